"""systemd: report ready and keep-alive to it by sd_notify(3); ask it whether a service runs."""

import os
import socket
import subprocess

SERVICE = "menshen-edge.service"

_TIMEOUT_S = 5.0


def notify(message: str) -> None:
    """Send `message`, such as `READY=1` or `WATCHDOG=1`. Without systemd this does nothing."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address:
        return
    if address.startswith("@"):
        address = "\0" + address[1:]
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
        try:
            sender.sendto(message.encode(), address)
        except OSError:  # systemd is gone, so there is nothing to notify
            return


def running(service: str = SERVICE) -> bool:
    """Whether systemd runs or starts `service`. Without systemd: False."""
    try:
        answer = subprocess.run(
            ["systemctl", "is-active", service],
            capture_output=True,
            text=True,
            timeout=_TIMEOUT_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return answer.stdout.strip() in ("active", "activating", "reloading")
