"""A door behind a controller on the safe side (firmware/osdp.md), through libosdp's control panel.

One thread speaks with the controller; every call returns at once with what that thread knows. What
the controller does ends by itself: a pulse and a light carry their time, and the relay falls 1.5 s
after our last message.
"""

import logging
import os
import select
import threading
import time
from contextlib import suppress
from typing import Any

from edge.adapters import serial_port
from edge.adapters.door import osdp_panel
from edge.adapters.door.gpio_door import REST_S, IlluminatorPin
from edge.adapters.door.osdp_panel import LOCAL, OUTPUTS, Command, Panel
from edge.doorway.door_signals import DoorAction
from edge.doorway.input_levels import InputLevels
from edge.parts import DoorLost
from edge.threads import Progress, Threads
from edge.wire.door_inputs import INPUTS, LATCHED_PLACE, REPORT_LEN, Input
from edge.wire.unit import UNLOCK_MS_MAX, ControllerDoor

log = logging.getLogger("menshen")

START_S = 3.0
"""How long the start waits for the controller: a door that works begins as one that works."""

REFUSED_S = 2.0
"""For so long a refused pulse is a fault: the controller then has one more to give
(firmware/guard.py, PULSE_EVERY_MS)."""

TOLD_S = 0.5
"""The controller reports the end of a pulse by itself; after this long it is queried."""

TURN_S = 0.02  # between two turns of libosdp when nothing comes
FAREWELL_S = 0.5

_TURNS = 2
"""libosdp's turns from taking a command to having sent it."""

_TURN_INPUTS: tuple[Input, Input] = ("turn", "turn_out")
"""In the order of `take_turns`."""

LATCHED = (
    "the controller holds this door shut, for its housing was opened or its link was lost; see "
    "why, then press its re-arm button inside for two seconds"
)
REFUSED = (
    "the controller refused a pulse; wait for two seconds, and see whether pulses were asked for "
    "more often than it gives them"
)
CLOSED = "this door is closed"


class OsdpDoor:
    """Drives the controller at `door.port`. Raises DoorLost when the port cannot be opened.

    Each call raises DoorLost while the controller does not answer or has another key.
    """

    def __init__(
        self,
        door: ControllerDoor,
        key: bytes,
        pin_factory: Any = None,
        threads: Threads | None = None,
    ) -> None:
        """`key`: 16 bytes, the pair's own; `pin_factory`: gpiozero's, for the illuminator."""
        self._wired = door.wired
        self._lock = threading.Lock()
        self._wrong: str | None = None  # why nothing can be asked of the controller
        self._broken: Exception | None = None
        self._asked: tuple[int, float] | None = None  # a pulse of so many ms, asked when
        self._on_until_s: float | None = None  # the relay is on, and should not be for longer
        self._rests_from_s = float("inf")
        self._refused_until_s = float("-inf")
        self._score: list[tuple[float, Command]] = []  # what is sent when, the earliest first
        self._levels: bytes | None = None
        self._tampered = False
        self._seen: set[int] = set()  # places that were on since somebody asked
        self._turns = [0, 0]
        self._closed = False
        # Of the thread alone:
        self._session = 0
        self._queries: list[int] = []
        self._pulse: Command | None = None  # what was sent for `_asked`
        self._judged = False  # the next report of the outputs shows whether it opened
        self._lamp = (
            None if door.illuminator is None else IlluminatorPin(door.illuminator, pin_factory)
        )
        try:
            self._panel = Panel(door, key, self._take_status, self._done)
        except serial_port.FAILURES as error:
            self._dark()
            raise DoorLost(serial_port.error_sentence(door.port, "the controller", error)) from None
        self._wrong = self._panel.wrong
        self._settled = threading.Event()
        self._wakes: int | None
        self._woken, self._wakes = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._thread = (threads or Threads()).start("door", self._run)
        self._settled.wait(START_S)

    def apply(self, action: DoorAction) -> None:
        """Start `action` in place of the one that runs; a pulse that runs is left to its end."""
        now_s = time.monotonic()
        with self._lock:
            self._check()
            if action.unlock_ms > 0:
                self._check_pulse(now_s)
            may = 0 < action.unlock_ms <= UNLOCK_MS_MAX and self._resting(now_s)
            if may:  # the last word on this side; the controller has its own
                self._asked = (action.unlock_ms, now_s)
            self._score = [(now_s + at_ms / 1000, command) for at_ms, command in score(action)]
        self._wake()

    def settle(self) -> bool:
        """Whether the relay has been off for REST_S, as the controller reports.

        Raises DoorLost while it does not answer, is latched, or has just refused a pulse.
        """
        now_s = time.monotonic()
        with self._lock:
            self._check()
            self._check_pulse(now_s)
            return self._resting(now_s)

    def illuminate(self, on: bool) -> None:
        """Light what is held before the camera, or cease to. Raises DoorLost."""
        if self._lamp is not None:
            self._lamp.light(on)

    def take_turns(self) -> tuple[int, int]:
        """Turns in and out since the last call."""
        with self._lock:
            turns_in, turns_out = self._turns
            self._turns = [0, 0]
            return turns_in, turns_out

    def read_inputs(self) -> InputLevels:
        """The inputs in the controller's last report. Raises DoorLost."""
        with self._lock:
            self._check()
            report, seen = self._levels or bytes(REPORT_LEN), self._seen
            self._seen = set()
        levels = {
            name: bool(report[row.place]) or row.place in seen
            for name, row in INPUTS.items()
            if name in self._wired and not row.turns
        }
        if "tamper" in levels:  # OSDP also reports it separately
            levels["tamper"] = levels["tamper"] or self._tampered
        return InputLevels(levels, latched=bool(report[LATCHED_PLACE]))

    def close(self) -> None:
        """Everything at rest, as far as the controller hears it; it rests without us too."""
        with self._lock:
            self._closed = True
            self._wrong = CLOSED
            self._asked, self._score = None, []
        self._wake()
        self._thread.join(timeout=2)
        self._dark()

    def _check(self) -> None:
        if self._broken is not None:
            raise self._broken
        if self._wrong is not None:
            raise DoorLost(self._wrong)

    def _check_pulse(self, now_s: float) -> None:
        if self._levels is not None and self._levels[LATCHED_PLACE]:
            raise DoorLost(LATCHED)
        if now_s < self._refused_until_s:
            raise DoorLost(REFUSED)

    def _resting(self, now_s: float) -> bool:
        return self._asked is None and self._on_until_s is None and now_s >= self._rests_from_s

    def _dark(self) -> None:
        if self._lamp is not None:
            self._lamp.close()

    def _wake(self) -> None:
        with self._lock:
            if self._wakes is not None:
                with suppress(BlockingIOError):  # full: it wakes anyway
                    os.write(self._wakes, b".")

    # What follows runs in the thread.

    def _run(self, progress: Progress) -> None:
        try:
            while not self._closed:
                progress.tick()
                self._turn()
                self._wait()
            self._farewell()
        except Exception as error:  # our own bug: the loop raises it, and the unit starts again
            with self._lock:
                self._broken = error
            raise
        finally:
            self._panel.close()
            self._settled.set()
            with self._lock:
                os.close(self._woken)
                if self._wakes is not None:
                    os.close(self._wakes)
                self._wakes = None

    def _wait(self) -> None:
        wait_s = TURN_S if self._panel.ready or not self._panel.up else TURN_S / 4
        waiting = select.poll()
        waiting.register(self._woken, select.POLLIN)
        port = self._panel.fileno()
        if port is not None:
            waiting.register(port, select.POLLIN)
        for ready, _ in waiting.poll(wait_s * 1000):
            if ready == self._woken:
                os.read(self._woken, 4096)
            else:
                self._panel.hear()
                self._panel.turn()  # it understands; the two in `_turn` say what comes next

    def _turn(self) -> None:
        for _ in range(_TURNS):
            self._panel.turn()
        if not self._panel.up:
            self._lose()
            return
        if self._panel.sessions != self._session:
            self._session = self._panel.sessions
            self._queries = [osdp_panel.INPUTS, LOCAL, OUTPUTS]
        self._overdue()
        while self._panel.ready:
            command = self._next()
            if command is None or not self._panel.submit(command):
                break
            for _ in range(_TURNS):  # out at once, and not when the wait is over
                self._panel.turn()

    def _lose(self) -> None:
        """Nothing is asked for any more: a pulse that comes late opens for nobody."""
        self._queries.clear()
        self._pulse, self._judged = None, False
        self._session = 0
        with self._lock:
            if self._closed:
                return
            self._wrong = self._panel.wrong
            self._asked, self._on_until_s, self._score = None, None, []
            self._rests_from_s = float("inf")

    def _overdue(self) -> None:
        """Query the end of a pulse that was not reported."""
        now_s = time.monotonic()
        with self._lock:
            if self._on_until_s is not None and now_s > self._on_until_s + TOLD_S:
                self._on_until_s = now_s
                self._queries.append(OUTPUTS)

    def _next(self) -> Command | None:
        """The next command: the relay before queries, queries before lights and sounds."""
        now_s = time.monotonic()
        with self._lock:
            if self._asked is not None and self._pulse is None:
                unlock_ms, asked_s = self._asked
                if now_s - asked_s > osdp_panel.LINK_S:  # this thread was held up
                    self._asked = None
                    self._refused_until_s = now_s + REFUSED_S
                else:
                    self._on_until_s = now_s + unlock_ms / 1000
                    self._pulse = osdp_panel.pulse(unlock_ms)
                    return self._pulse
            if self._judged:  # it was answered, and not with the outputs
                return osdp_panel.status(OUTPUTS)
            if self._queries:
                return osdp_panel.status(self._queries.pop(0))
            while self._score and self._score[0][0] <= now_s:
                _, command = self._score.pop(0)
                if not self._superseded(command, now_s):
                    return command
        return None

    def _superseded(self, command: Command, now_s: float) -> bool:
        """Whether what is due already would end it at once: the line was slow."""
        kind = osdp_panel.sounds(command)
        return any(
            at_s <= now_s and osdp_panel.sounds(later) == kind for at_s, later in self._score
        )

    def _done(self, command: Command) -> None:
        """A command was answered, within `Panel.turn`."""
        if command is self._pulse:
            self._judged = True

    def _take_status(self, kind: int, report: bytes) -> None:
        """The controller's report, within `Panel.turn`."""
        with self._lock:
            if kind == OUTPUTS and report:
                self._relay(bool(report[0]), time.monotonic())
            elif kind == osdp_panel.INPUTS and len(report) >= REPORT_LEN:
                self._noted(report)
            elif kind == LOCAL and report:
                self._tampered = bool(report[0])
            if not self._closed and self._levels is not None and self._rests_from_s < float("inf"):
                self._wrong = None
                self._settled.set()

    def _relay(self, on: bool, now_s: float) -> None:
        judged, self._judged = self._judged, False
        if judged:
            self._asked = self._pulse = None
        if on:
            self._on_until_s = now_s if self._on_until_s is None else self._on_until_s
            return
        if judged:
            self._refused_until_s = now_s + REFUSED_S
        if self._on_until_s is not None or self._rests_from_s == float("inf"):
            self._rests_from_s = now_s + REST_S
        self._on_until_s = None

    def _noted(self, report: bytes) -> None:
        before = self._levels
        for number, name in enumerate(_TURN_INPUTS):
            place = INPUTS[name].place
            rose = before is not None and report[place] and not before[place]
            if rose and name in self._wired:
                self._turns[number] += 1
        self._seen |= {place for place in range(REPORT_LEN) if report[place]}
        self._levels = report[:REPORT_LEN]

    def _farewell(self) -> None:
        """The relay off, and everything dark and silent, if it still answers."""
        last = [osdp_panel.relay_off(), osdp_panel.lights(False, False, 0), osdp_panel.sound(0)]
        until_s = time.monotonic() + FAREWELL_S
        while self._panel.up and time.monotonic() < until_s:
            if self._panel.ready:
                if not last:
                    return
                self._panel.submit(last.pop(0))
            self._panel.turn()
            self._wait()


def score(action: DoorAction) -> list[tuple[int, Command]]:
    """What is sent for `action`, and how many ms after its start; each would end by itself."""
    sent: list[tuple[int, Command]] = []
    sounding = False
    for number, step in enumerate(action.steps):
        later = action.steps[number + 1 :]
        changes_ms = later[0].at_ms if later else step.at_ms
        lasts_ms = changes_ms - step.at_ms + _OVERLAP_MS
        sent.append((step.at_ms, osdp_panel.lights(step.green, step.red, lasts_ms)))
        if step.buzzer and not sounding:
            quiet_ms = next(then.at_ms for then in later if not then.buzzer)
            sent.append((step.at_ms, osdp_panel.sound(quiet_ms - step.at_ms + _OVERLAP_MS)))
        elif sounding and not step.buzzer:
            sent.append((step.at_ms, osdp_panel.sound(0)))
        sounding = step.buzzer
    return sent


_OVERLAP_MS = 200
"""What is sent outlasts its step by this, so that the next takes its place without a gap."""
