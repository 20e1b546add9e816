"""Run a command that dies by SIGKILL at its n-th call of a system call (strace's injection).

What happens then, tried with strace 6.1 (Debian 12) and held by tests/stand_ins/test_killer.py:

- The process dies as the call is entered: the call itself has not happened, all before it have.
- strace counts each call by name and thread by thread, so the process dies as soon as any one of
  its threads reaches its n-th. `counts` therefore gives the busiest thread's number: n from 1 to
  that number always kills, one more never does (given that the command does the same again).
- SIGKILL takes all threads of that process with it, and strace then ends the same way, so the
  return code is -9. A child process that is not strace's own dies alone: kill it by itself.
- `--seccomp-bpf` would make all this faster, and silently injects nothing: it is not used.
"""

import re
import signal
import subprocess
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

KILLED = -signal.SIGKILL

_CALL = re.compile(r"(\d+)\s+(\w+)\(")  # of `strace -f -o`; a resumed call has another form


def prefix(call: str, nth: int, path: Path | None = None) -> list[str]:
    """What to put before a command so that it dies at its `nth` `call` (with `path`: on it)."""
    inject = ("-e", f"inject={call}:signal=SIGKILL:when={nth}")
    return _strace((call,), Path("/dev/null"), path, inject)


def start(
    command: Sequence[str], call: str, nth: int, path: Path | None = None, **popen: Any
) -> subprocess.Popen[Any]:
    """Start `command` so that it dies at its `nth` `call`; with `path`, of those on that file.

    Stop it early with `terminate()`, which strace hands on; `kill()` would set the command free.
    """
    return subprocess.Popen([*prefix(call, nth, path), *command], **popen)


def watch(
    command: Sequence[str], calls: Sequence[str], into: Path, path: Path | None = None, **popen: Any
) -> subprocess.Popen[Any]:
    """Start `command` and write its `calls` into the file `into`, for `counted` once it ended."""
    return subprocess.Popen([*_strace(calls, into, path), *command], **popen)


def counted(into: Path) -> dict[str, int]:
    """How often the busiest thread of a watched command made each call."""
    made: Counter[tuple[str, str]] = Counter()
    for line in into.read_text(errors="replace").splitlines():
        if found := _CALL.match(line):
            made[found[1], found[2]] += 1
    most: dict[str, int] = {}
    for (_, call), times in made.items():
        most[call] = max(times, most.get(call, 0))
    return most


def counts(
    command: Sequence[str], calls: Sequence[str], into: Path, path: Path | None = None, **popen: Any
) -> dict[str, int]:
    """Run `command` to its end and tell how often its busiest thread made each of `calls`."""
    code = watch(command, calls, into, path, **popen).wait()
    if code != 0:
        raise RuntimeError(f"{' '.join(command)} ended with {code} before anybody killed it")
    return dict.fromkeys(calls, 0) | counted(into)


def moments(counted: dict[str, int]) -> Iterator[tuple[str, int]]:
    """Every (call, nth) at which the command can be killed."""
    return ((call, nth) for call, times in counted.items() for nth in range(1, times + 1))


def _strace(
    calls: Sequence[str], into: Path, path: Path | None, inject: Sequence[str] = ()
) -> list[str]:
    only = () if path is None else ("-P", str(path))
    tracer = ["strace", "-f", "-I2", "-qq", "-o", str(into), *only]  # -I2: terminate() ends it
    return [*tracer, "-e", "trace=" + ",".join(calls), *inject, "--"]
