"""What the unit and its decoder's process share: one frame's memory, and small messages.

The memory is a memfd: no file system names it, its size is sealed, and the decoder can only read
it. A frame is written there once and never travels. The messages are msgpack, one a packet of a
SOCK_SEQPACKET pair; the memfd comes along with the first one that needs it.
"""

import fcntl
import mmap
import os
import socket

import msgspec
import numpy as np

from edge.sight.frame import Corners, Luma

ANSWER_LEN_MAX = 128 * 1024  # bytes: under Linux's default buffer of a socket (212,992)

_SEAL_FUTURE_WRITE = 0x10  # fcntl.h, Linux 5.1: no new writable mapping
_SEALS = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | _SEAL_FUTURE_WRITE | fcntl.F_SEAL_SEAL
_MAP_LOCKED = 0x2000  # mman.h: never in swap


class ReadRequest(msgspec.Struct, frozen=True, array_like=True):
    """To the decoder: read the frame that is in the memory now."""

    width: int
    height: int
    seen_s: float  # monotonic seconds


class DecoderReady(msgspec.Struct, frozen=True, array_like=True, tag=True):
    """From the decoder: its libraries are loaded."""


class ReadResult(msgspec.Struct, frozen=True, array_like=True, tag=True):
    """From the decoder: what the frame shows; the fields of `edge.sight.frame.Sighting`."""

    symbols: tuple[tuple[bytes, Corners], ...]
    unread: tuple[Corners, ...]
    steps: tuple[tuple[str, float], ...]


class ReadFailed(msgspec.Struct, frozen=True, array_like=True, tag=True):
    """From the decoder: it raised and goes on. Where, and never what: that could hold a code."""

    where: str


Answer = DecoderReady | ReadResult | ReadFailed

_look = msgspec.msgpack.Decoder(ReadRequest)
_answer = msgspec.msgpack.Decoder(Answer)


class FrameMemory:
    """Room for one frame, on the unit's side."""

    def __init__(self, length: int) -> None:
        """`length`: bytes. Raises OSError."""
        self.length = length
        self.fd = os.memfd_create("frame", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        os.ftruncate(self.fd, length)
        try:
            self._map = mmap.mmap(self.fd, length, mmap.MAP_SHARED | _MAP_LOCKED)
        except OSError:  # more than this user may lock (RLIMIT_MEMLOCK)
            self._map = mmap.mmap(self.fd, length)
        fcntl.fcntl(self.fd, fcntl.F_ADD_SEALS, _SEALS)

    def put(self, luma: Luma) -> None:
        """Write a frame of at most `length` bytes over the one before."""
        room = np.frombuffer(self._map, np.uint8, luma.size)
        np.copyto(room.reshape(luma.shape), luma)

    def close(self) -> None:
        """Forget the frame. A second call does nothing."""
        if not self._map.closed:
            self._map.close()
            os.close(self.fd)


def send_request(to: socket.socket, look: ReadRequest, memory: FrameMemory | None) -> None:
    """Send `look`; with `memory` where the decoder has not got this one yet. Raises OSError."""
    message = msgspec.msgpack.encode(look)
    if memory is None:
        to.send(message)
    else:
        socket.send_fds(to, [message], [memory.fd])


def receive_request(at: socket.socket) -> tuple[ReadRequest, int | None] | None:
    """The next frame to read, and the memory's descriptor when it is a new one; None: the end."""
    message, fds, _, _ = socket.recv_fds(at, 256, 1)
    return (_look.decode(message), fds[0] if fds else None) if message else None


def mapped(fd: int) -> mmap.mmap:
    """The decoder's view of the memory: for reading alone."""
    try:
        return mmap.mmap(fd, 0, mmap.MAP_SHARED, mmap.PROT_READ)
    finally:
        os.close(fd)


def send_answer(to: socket.socket, answer: Answer) -> None:
    """Send what the decoder has to say. Of too many symbols the last are left out."""
    message = msgspec.msgpack.encode(answer)
    while len(message) > ANSWER_LEN_MAX and isinstance(answer, ReadResult):
        half = len(answer.symbols) // 2, len(answer.unread) // 2
        answer = ReadResult(answer.symbols[: half[0]], answer.unread[: half[1]], answer.steps)
        message = msgspec.msgpack.encode(answer)
    to.send(message)


def receive_answer(at: socket.socket) -> Answer | None:
    """What the decoder answers; None: it is gone.

    Raises OSError and, for nonsense, msgspec.MsgspecError or RecursionError.
    """
    message = at.recv(ANSWER_LEN_MAX)
    return _answer.decode(message) if message else None
