"""systemd's notification socket (sd_notify(3)): ready, and the watchdog's sign of life."""

import os
import socket


def notify(message: str) -> None:
    """Send `message`, as `READY=1` or `WATCHDOG=1`; without systemd this does nothing."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address:
        return
    if address.startswith("@"):
        address = "\0" + address[1:]
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
        try:
            sender.sendto(message.encode(), address)
        except OSError:  # a supervisor that went away is told by its own silence
            return
