#!/usr/bin/python3
"""Stands in for systemd: writes what a unit says on NOTIFY_SOCKET into /run/notified."""

import socket
from pathlib import Path

NOTIFIED = Path("/run/notified")

with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as service:
    service.bind("/run/notify")
    NOTIFIED.touch()
    while True:
        said = service.recv(4096)
        with NOTIFIED.open("ab") as told:
            told.write(said + b"\n")
