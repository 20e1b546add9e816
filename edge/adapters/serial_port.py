"""A serial port for one program alone, through pyserial; what is wrong with one in a sentence."""

import errno
import os
import termios

import serial

Port = serial.Serial  # as others call it

FAILURES = (OSError, termios.error, ValueError)
"""What opening, reading and writing a port raise; pyserial's own is an OSError."""

_GONE = (errno.EIO, errno.ENXIO, errno.ENODEV)


def open_port(port: str, baud: int, wait_s: float = 0.0) -> serial.Serial:
    """Open `port`; a read waits for `wait_s` at most. Raises one of FAILURES."""
    return serial.Serial(port, baud, timeout=wait_s, exclusive=True)


def error_sentence(port: str, of: str, error: Exception) -> str:
    """What to do about `error` at the port of `of`, as "the controller"."""
    number = getattr(error, "errno", None)
    if number == errno.ENOENT:
        return f"there is no serial port {port} for {of}; check its plug and its name in unit.toml"
    if number == errno.EACCES:
        return f"this user may not open {port}; add it to the group dialout"
    if number in (errno.EBUSY, errno.EAGAIN):
        return f"{port} is in use by another program; stop that one first"
    if "returned no data" in str(error) or number in _GONE:
        return f"{of} at {port} has gone; check its plug and its cable"
    return f"{port} cannot be used as a serial port ({error}); name the port of {of} in unit.toml"


def read(port: serial.Serial) -> bytes:
    """What has come to a port that is readable. Raises OSError when it is gone."""
    data = os.read(port.fileno(), 4096)
    if not data:  # readable, and nothing there: its device has hung up
        raise OSError(errno.EIO, "the port has hung up")
    return data


def write(port: serial.Serial, data: bytes) -> int:
    """How many bytes of `data` the port took, maybe none. Raises OSError when it is gone."""
    try:
        return os.write(port.fileno(), data)
    except BlockingIOError:  # its buffer is full: pyserial would try for ever
        return 0
