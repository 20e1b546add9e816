#!/bin/sh
# What is held before the camera: the picture /run/shown, frame after frame, for as long as it is there.
n=0
while sleep 0.3; do
  n=$((n + 1))
  [ -e /run/shown ] || continue
  ln /run/shown "$(printf /run/eyes/%09d.png $n)"
  rm -f "$(printf /run/eyes/%09d.png $((n - 8)))"
done
