"""A Raspberry Pi 3B that is booted in QEMU: the real GPIO driver under the real unit (README.md)."""
