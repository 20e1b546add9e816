"""An ASGI application served by uvicorn in a thread, for tests that make one of their own."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import uvicorn

from server_stub import serving


@contextmanager
def served(app: Any, port: int = 0) -> Iterator[str]:
    """Its URL, while it is served."""
    taken = serving.take_port("127.0.0.1", port)
    started = threading.Event()
    server = _Server(uvicorn.Config(app, log_level="error", timeout_graceful_shutdown=1), started)
    thread = threading.Thread(target=lambda: asyncio.run(server.serve([taken])), daemon=True)
    thread.start()
    assert started.wait(10)
    try:
        yield f"http://127.0.0.1:{taken.getsockname()[1]}/"
    finally:
        server.should_exit = True
        thread.join(10)
        taken.close()


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config, started: threading.Event) -> None:
        super().__init__(config)
        self._said = started

    async def startup(self, sockets: Any = None) -> None:
        await super().startup(sockets)
        self._said.set()
