"""A Raspberry Pi 3B booted in QEMU: the real GPIO driver under the real unit (README.md)."""
