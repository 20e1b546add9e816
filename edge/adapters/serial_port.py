"""A serial port that one program uses exclusively, through pyserial; error messages for it."""

import errno
import os
import termios

import serial

Port = serial.Serial  # the name for other modules, which do not import pyserial

FAILURES = (OSError, termios.error, ValueError)
"""What opening, reading and writing a port can raise; pyserial's exception is an OSError."""

_GONE = (errno.EIO, errno.ENXIO, errno.ENODEV)


def open_port(port: str, baud: int, timeout_s: float = 0.0) -> serial.Serial:
    """Open `port`, whose reads wait for `timeout_s` at most. Raises one of FAILURES."""
    return serial.Serial(port, baud, timeout=timeout_s, exclusive=True)


def error_sentence(port: str, device: str, error: Exception) -> str:
    """What is wrong and what to do; `device`: what is on the port, as "the controller"."""
    number = getattr(error, "errno", None)
    if number == errno.ENOENT:
        return (
            f"there is no serial port {port} for {device}; check its plug and its name in unit.toml"
        )
    if number == errno.EACCES:
        return f"this user may not open {port}; add the user to the group dialout"
    if number in (errno.EBUSY, errno.EAGAIN):
        return f"{port} is in use by another program; stop that program first"
    if "returned no data" in str(error) or number in _GONE:
        return f"{device} at {port} has gone; check its plug and its cable"
    return (
        f"{port} cannot be used as a serial port ({error}); name the port of {device} in unit.toml"
    )


def read(port: serial.Serial) -> bytes:
    """The bytes that have come to a readable port. Raises OSError if the port is gone."""
    data = os.read(port.fileno(), 4096)
    if not data:  # readable without data: the device was disconnected
        raise OSError(errno.EIO, "the port was disconnected")
    return data


def write(port: serial.Serial, data: bytes) -> int:
    """Write without waiting. Returns how many bytes the port took, perhaps 0.

    Raises OSError if the port is gone.
    """
    try:
        return os.write(port.fileno(), data)
    except BlockingIOError:  # the buffer is full; pyserial would retry for ever
        return 0
