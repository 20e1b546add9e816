"""libosdp's control panel on a serial port: a peer that nobody here wrote."""

import contextlib
import os
import queue
import threading
import time
from collections.abc import Callable
from typing import Any

import osdp

INPUT, OUTPUT, LOCAL, REMOTE = 0, 1, 2, 3  # kinds of status, as libosdp numbers them

_STATUS, _NOTIFICATION = osdp.Event.Status, osdp.Event.Notification


class Port(osdp.Channel):
    """A serial port that never blocks."""

    def __init__(self, path: str) -> None:
        super().__init__()
        self._descriptor = os.open(path, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
        self.sent = 0  # frames

    def read(self, max_bytes: int) -> bytes:
        try:
            return os.read(self._descriptor, max_bytes)
        except BlockingIOError:
            return b""

    def write(self, buf: bytes) -> int:
        self.sent += 1
        return os.write(self._descriptor, buf)

    def flush(self) -> None:
        """Drop what came unasked; libosdp wants that before each retry."""
        with contextlib.suppress(BlockingIOError):
            while os.read(self._descriptor, 4096):
                pass

    def close(self) -> None:
        os.close(self._descriptor)


class _Panel(osdp.ControlPanel):
    @staticmethod
    def refresh(event: threading.Event, lock: threading.Lock, ctx: Any) -> None:
        """As libosdp's own, which sleeps 20 ms and so polls only ten times a second."""
        while not event.is_set():
            with lock:
                ctx.refresh()
            time.sleep(0.002)


class ControlPanel:
    """libosdp, which never speaks without its secure channel."""

    def __init__(self, port: str, key: bytes | None, **flags: bool) -> None:
        self.port = Port(port)
        self.told: list[tuple[int, bytes]] = []  # (kind of status, report)
        self.answers: list[tuple[int, bool]] = []  # (command, whether it was carried out)
        wanted = [osdp.LibFlag.EnableNotification]
        if flags.get("secure", True):
            wanted.append(osdp.LibFlag.EnforceSecure)
        info = osdp.PDInfo(0, self.port, scbk=key, flags=wanted, name="door")
        self._panel = _Panel([info], log_level=osdp.LogLevel.Emergency)

    def __enter__(self) -> "ControlPanel":
        self._panel.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._panel.teardown()
        self.port.close()

    @property
    def secure(self) -> bool:
        """Whether there is a session, as libosdp sees it."""
        return bool(self._panel.is_online(0) and self._panel.is_sc_active(0))

    def wait(self, until: Callable[[], object], seconds: float) -> bool:
        """Whether `until()` came true in time."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.events()
            if until():
                return True
            time.sleep(0.005)
        return False

    def events(self) -> None:
        """Take what libosdp told since the last call."""
        while True:
            try:
                event = self._panel.event_queue[0].get_nowait()
            except queue.Empty:
                return
            if event["event"] == _STATUS:
                self.told.append((event["type"], bytes(event["report"])))
            elif event["event"] == _NOTIFICATION and event["type"] == 0:
                self.answers.append((event["arg0"], bool(event["arg1"])))

    def restart(self) -> None:
        """From the beginning, instead of waiting for 300 s."""
        self._panel.disable_pd(0)
        end = time.monotonic() + 5
        while self._panel.is_pd_enabled(0) and time.monotonic() < end:
            time.sleep(0.01)
        self._panel.enable_pd(0)

    def out(self, code: int, tenths: int, output: int = 0) -> bool:
        return self._submit(
            osdp.Command.Output, output_no=output, control_code=code, timer_count=tenths
        )

    def pulse(self, ms: int) -> bool:
        return self.out(5, ms // 100)

    def led(self, colour: int, ms: int, on_ms: int, off_ms: int = 0) -> bool:
        times = {"on_count": on_ms // 100, "off_count": off_ms // 100, "timer_count": ms // 100}
        return self._submit(
            osdp.Command.LED,
            reader=0,
            led_number=0,
            temporary=True,
            control_code=2,
            on_color=colour,
            off_color=0,
            **times,
        )

    def buzzer(self, on_ms: int, off_ms: int, count: int) -> bool:
        times = {"on_count": on_ms // 100, "off_count": off_ms // 100, "rep_count": count}
        return self._submit(osdp.Command.Buzzer, reader=0, control_code=2, **times)

    def status(self, kind: int) -> bool:
        return self._submit(osdp.Command.Status, type=kind)

    def comset(self, address: int, baud: int) -> bool:
        return self._submit(osdp.Command.Comset, address=address, baud_rate=baud)

    def keyset(self, key: bytes) -> bool:
        return self._submit(osdp.Command.Keyset, type=1, data=key)

    def _submit(self, command: int, **values: object) -> bool:
        return bool(self._panel.submit_command(0, {"command": command, **values}))
