"""What every server here needs: open its port, print that it is ready, end on a signal."""

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
    """The server cannot listen on the address; one sentence says why and what to do."""


def take_port(host: str, port: int) -> socket.socket:
    """Open a listening socket. Raises PortError."""
    try:
        family, kind, proto, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family, kind, proto)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(1024)
    except OSError as error:
        raise PortError(
            f"cannot listen on {host} port {port} ({error.strerror or error}); "
            f"stop the program that uses it, or choose another with --host and --port"
        ) from None
    return listener


def print_ready(what: str, address: str) -> None:
    """Print the one line that says that the server is ready."""
    print(f"ready: {what} at {address}", flush=True)


def serve_web(app: Any, what: str, host: str, port: int) -> None:
    """Serve `app` until SIGTERM or SIGINT. No access log, because it would hold people's addresses.

    Raises PortError.
    """
    listener = take_port(host, port)
    address = f"http://{host}:{listener.getsockname()[1]}/"
    config = uvicorn.Config(
        app,
        access_log=False,
        log_level="warning",
        server_header=False,
        timeout_graceful_shutdown=2,
    )
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(_WebServer(config, lambda: print_ready(what, address)).serve([listener]))


class _WebServer(uvicorn.Server):
    def __init__(self, config: uvicorn.Config, on_start: Callable[[], None]) -> None:
        super().__init__(config)
        self._on_start = on_start

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._on_start()


def print_ready_when_open(what: str, address: str, host: str, port: int) -> None:
    """Print the ready line once `port` accepts connections. Returns at once; call exec after it.

    A grandchild waits for the port, so the program that replaces this one has no unknown child.
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
    while time.monotonic() < end_s and _is_alive(parent):
        try:
            socket.create_connection((host, port), 1).close()
        except OSError:
            time.sleep(0.05)
            continue
        print_ready(what, address)
        break
    os._exit(0)


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except OSError:
        return False
    return True
