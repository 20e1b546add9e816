"""Stands in for linuxpy in the webcam demo's test: put `tests/demo/usb` first in PYTHONPATH."""
