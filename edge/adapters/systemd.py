"""systemd: sd_notify(3), ready and the watchdog's sign of life; and whether a service runs."""

import os
import socket
import subprocess

SERVICE = "menshen-edge.service"

_ANSWERS_S = 5.0


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
        except OSError:  # the supervisor is gone, and nobody waits for this
            return


def running(service: str = SERVICE) -> bool:
    """Whether systemd runs `service`, or will in a moment; without systemd nothing does."""
    try:
        answer = subprocess.run(
            ["systemctl", "is-active", service],
            capture_output=True,
            text=True,
            timeout=_ANSWERS_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return answer.stdout.strip() in ("active", "activating", "reloading")
