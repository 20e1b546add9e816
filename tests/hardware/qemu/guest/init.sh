#!/bin/busybox sh
# The guest's first program. One serial line is the kernel's console and shows what goes on; on the
# other the test gives commands, a line each, and is told what they printed and their exit code.
export PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C.UTF-8
/bin/busybox --install -s /usr/bin
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
mount -t tmpfs run /run
mount -t tmpfs tmp /tmp
mkdir -p /run/menshen /run/eyes /dev/shm /root
mount -t tmpfs shm /dev/shm
ldconfig
insmod /usr/lib/modules/i2c-bcm2835.ko
for _ in 1 2 3 4 5 6 7 8 9 10; do [ -e /dev/rtc0 ] && break || sleep 0.3; done
cd /root

# Usage: soon SECONDS COMMAND; whether it succeeds within them.
soon() {
  for _ in $(seq $(($1 * 10))); do
    eval "$2" && return
    sleep 0.1
  done
  false
}

exec 3<>/dev/ttyS1
stty -F /dev/ttyS1 raw -echo
echo ready >&3
while read -r line <&3; do
  printf '# %.120s\n' "$line"
  eval "$line" >/run/said 2>&1 3>&-
  code=$?
  head -n 20 /run/said
  { cat /run/said; printf '\n=%d=\n' "$code"; } >&3
done
echo "the line of commands has ended"
