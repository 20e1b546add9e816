"""The program under test: one line of JSON in, one line of JSON out."""

import json
import queue
import subprocess
import threading
from collections import deque
from types import TracebackType
from typing import Any, Self

LATE_S = 20.0


class NoAnswer(Exception):
    """The program does not run, stopped, or said nothing that is an answer."""


class ReaderProgram:
    """A process that is asked; it is started again after it has stopped."""

    def __init__(self, command: list[str], late_s: float = LATE_S) -> None:
        self._command, self._late_s = command, late_s
        self._process: subprocess.Popen[str] | None = None
        self._said: queue.Queue[str | None] = queue.Queue()
        self._errors: deque[str] = deque(maxlen=5)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: object, trace: TracebackType | None
    ) -> None:
        self.stop()

    def ask(self, question: dict[str, Any]) -> dict[str, Any]:
        """Its answer. Raises NoAnswer."""
        process = self._running()
        assert process.stdin is not None
        try:
            process.stdin.write(json.dumps(question) + "\n")
            process.stdin.flush()
            line = self._said.get(timeout=self._late_s)
        except (BrokenPipeError, queue.Empty):
            line = None
        if line is None:
            code = process.poll()
            self.stop()
            last = " ".join(self._errors) or "nothing on its error output"
            how = f"no answer within {self._late_s:.0f} s" if code is None else f"stopped ({code})"
            raise NoAnswer(f"{how}: {last[-300:]}")
        try:
            answer = json.loads(line)
        except ValueError:
            raise NoAnswer(f"not JSON: {line[:100]!r}") from None
        if type(answer) is not dict:
            raise NoAnswer(f"not an object of JSON: {line[:100]!r}")
        return answer

    def stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            for stream in (self._process.stdin, self._process.stdout, self._process.stderr):
                if stream is not None:
                    stream.close()
            self._process = None

    def _running(self) -> subprocess.Popen[str]:
        if self._process is not None:
            return self._process
        pipe = subprocess.PIPE
        try:
            process = subprocess.Popen(
                self._command, stdin=pipe, stdout=pipe, stderr=pipe, text=True, bufsize=1
            )
        except OSError as error:
            raise NoAnswer(f"it cannot be started ({error.strerror})") from None
        self._process, self._said = process, queue.Queue()
        self._errors.clear()
        for listen in (self._listen, self._listen_for_errors):
            threading.Thread(target=listen, args=(process, self._said), daemon=True).start()
        return process

    def _listen(self, process: subprocess.Popen[str], said: queue.Queue[str | None]) -> None:
        assert process.stdout is not None
        try:
            for line in process.stdout:
                said.put(line)
        except ValueError:  # closed while it was read
            pass
        said.put(None)

    def _listen_for_errors(self, process: subprocess.Popen[str], _said: object) -> None:
        assert process.stderr is not None
        try:
            for line in process.stderr:
                self._errors.append(line.strip())
        except ValueError:
            pass
