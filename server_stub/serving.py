"""What every server here does: take its port, say that it serves, end when it is told to."""

import asyncio
import contextlib
import os
import signal
import socket
import sys
import time
from collections.abc import Callable
from typing import Any

import uvicorn

READY_S = 30  # how long a broker may take to open its port


class PortError(ValueError):
    """The address cannot be served; one sentence that says what is wrong and what to do."""


def take_port(host: str, port: int) -> socket.socket:
    """A listening socket. Raises PortError."""
    try:
        family, kind, proto, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        taken = socket.socket(family, kind, proto)
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        taken.bind(address)
        taken.listen(1024)
    except OSError as error:
        raise PortError(
            f"{host} port {port} cannot be served ({error.strerror or error}); "
            f"end what uses it, or name another with --host and --port"
        ) from None
    return taken


def print_ready(what: str, address: str) -> None:
    """The one line that says: from now on it serves."""
    print(f"ready: {what} at {address}", flush=True)


def serve_web(app: Any, what: str, host: str, port: int) -> None:
    """Serve `app` until it is told to end. No access log: addresses of people are in it.

    Raises PortError.
    """
    taken = take_port(host, port)
    address = f"http://{host}:{taken.getsockname()[1]}/"
    config = uvicorn.Config(
        app,
        access_log=False,
        log_level="warning",
        server_header=False,
        timeout_graceful_shutdown=2,
    )
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(_WebServer(config, lambda: print_ready(what, address)).serve([taken]))


class _WebServer(uvicorn.Server):
    def __init__(self, config: uvicorn.Config, started: Callable[[], None]) -> None:
        super().__init__(config)
        self._tell = started

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._tell()


def print_ready_when_open(what: str, address: str, host: str, port: int) -> None:
    """Say `ready` once somebody listens at `port`; returns at once, to be followed by an exec.

    A grandchild waits, so what this process becomes has no child that it knows nothing of.
    """
    parent = os.getpid()
    sys.stdout.flush()
    child = os.fork()
    if child:
        os.waitpid(child, 0)
        return
    if os.fork():
        os._exit(0)
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    end_s = time.monotonic() + READY_S
    while time.monotonic() < end_s and _alive(parent):
        try:
            socket.create_connection((host, port), 1).close()
        except OSError:
            time.sleep(0.05)
            continue
        print_ready(what, address)
        break
    os._exit(0)


def _alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except OSError:
        return False
    return True
