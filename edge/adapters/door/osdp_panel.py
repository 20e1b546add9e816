"""The link to one controller: libosdp's control panel over a serial port, in a secure channel.

It belongs to one thread, which calls `turn` again and again; nothing here waits. What libosdp
(3.2.9) does and what is done about it:

- After a failure it is silent for 300 s (its issue 197), and after a cut cable it tries the same
  command again for nine seconds, a pulse too. So each command has `LINK_S` to be answered; after
  that nothing more leaves the port until libosdp has given up; then it starts again.
- Whether the controller still answers it does not say. So a light command that changes nothing goes
  there four times a second: its answer carries a MAC, a cut cable's silence does not.
- The commands that wait outlive a lost link: so one is handed over at a time, and none waits.
- Within a session it accepts an answer whose security block declares no MAC: anybody on the
  cable could tell inputs and pulses that are not so. So the line lets none of those through.
- Its challenges come from C's `rand()`, which nobody has seeded: after each start the same, and an
  old session's answers would be accepted. So we seed it.
- A new panel costs memory for ever, and so does each event: so there is one panel for the life of
  a door, and an event's table is emptied (64 bytes remain of it).
"""

import ctypes
import secrets
import time
from collections.abc import Callable
from typing import Any

import osdp

from edge.adapters import serial_port
from edge.wire.unit import ControllerDoor

LINK_S = 1.2
"""A command that is not answered for this long is lost, and with it the link. libosdp sends one
again after 1.0 s, so one frame may be lost; the controller's relay falls after 1.5 s without any
(firmware/guard.py)."""

BEAT_S = 0.25
"""How often the controller is asked for a sign of life while there is nothing to say."""

GIVEN_UP_S = 1.5
"""libosdp writes at least once a second; silent for longer, it has given up."""

REFUSED_S = 5.0
"""Between two tries of a key that was refused: more of them and the controller answers less."""

REOPEN_S = 0.5

Command = dict[str, Any]  # in libosdp's form

OUTPUTS: int = osdp.StatusReportType.Output
INPUTS: int = osdp.StatusReportType.Input
LOCAL: int = osdp.StatusReportType.Local

_OK = osdp.CompletionStatus.Ok
_RELAY = 0  # the only output
_TENTH_MS = 100  # in which the controller counts


def pulse(ms: int) -> Command:
    """Turn the relay on for `ms`, rounded up to tenths of a second."""
    return _output(5, _tenths(ms))  # 5: on for a time, and off by itself


def relay_off() -> Command:
    """End a pulse."""
    return _output(1, 0)


def lights(green: bool, red: bool, ms: int) -> Command:
    """Show these for `ms`, rounded up to tenths of a second; dark at once where neither is on."""
    colour = osdp.CommandLEDColor
    shown = {(True, False): colour.Green, (False, True): colour.Red, (True, True): colour.Amber}
    if (green, red) not in shown:
        return _light(1, colour.Black, 0)  # 1: end what was shown for a time
    return _light(2, shown[green, red], _tenths(ms))  # 2: show for a time


def sound(ms: int) -> Command:
    """Sound once for `ms`, rounded up to tenths of a second; 0: be silent."""
    tenths = _tenths(ms)
    return {
        "command": osdp.Command.Buzzer,
        "reader": 0,
        "control_code": 2 if tenths else 1,  # 1: off; 2: the controller's own tone
        "on_count": tenths,
        "off_count": 0,
        "rep_count": 1,
    }


def sounds(command: Command) -> bool:
    """Whether this is a sound."""
    return bool(command["command"] == osdp.Command.Buzzer)


def status(kind: int) -> Command:
    """Ask for OUTPUTS, INPUTS or LOCAL."""
    return {"command": osdp.Command.Status, "type": kind}


def _output(control_code: int, tenths: int) -> Command:
    return {
        "command": osdp.Command.Output,
        "output_no": _RELAY,
        "control_code": control_code,
        "timer_count": tenths,
    }


def _light(control_code: int, colour: int, tenths: int) -> Command:
    return {
        "command": osdp.Command.LED,
        "reader": 0,
        "led_number": 0,
        "temporary": True,
        "control_code": control_code,
        "on_color": colour,
        "off_color": osdp.CommandLEDColor.Black,
        "on_count": 1,
        "off_count": 0,
        "timer_count": tenths,
    }


def _tenths(ms: int) -> int:
    return -(-ms // _TENTH_MS)


_BEAT = _light(0, 0, 0)  # 0: no change


class Panel:
    """The control panel of the controller at `door.port`."""

    def __init__(
        self,
        door: ControllerDoor,
        key: bytes,
        take_status: Callable[[int, bytes], None],
        done: Callable[[Command], None],
    ) -> None:
        """`take_status` is called with OUTPUTS, INPUTS or LOCAL and the controller's report of
        them; `done` with each command that was answered, before the report that is its answer.

        Raises one of serialport.FAILURES when there is no such port.
        """
        self._door = door
        self._take_status = take_status
        self._done = done
        self._line = _PanelLine(door)
        self._line.open()
        ctypes.CDLL(None).srand(secrets.randbits(32))
        info = osdp.PDInfo(
            door.address, self._line, scbk=key, flags=[osdp.LibFlag.EnforceSecure], name="door"
        )
        made = osdp.ControlPanel([info], log_level=osdp.LogLevel.Emergency)
        # The C object itself: its wrapper keeps every event for a reader that we are not.
        self._ctx = made.ctx
        self._ctx.set_event_callback(self._event)
        self._ctx.set_command_completion_callback(self._completed)
        self.up = False  # in a secure channel, as far as we know
        self.wrong = self._silent()  # why not
        self.sessions = 0
        self._asked: Command | None = None  # what was handed over and is not answered
        self._asked_s = self._answered_s = self._began_s = time.monotonic()
        self._reopen_s = 0.0
        self._refusals = 0
        self._ending = False

    @property
    def ready(self) -> bool:
        """Whether a command may be handed over now."""
        return self.up and self._asked is None

    def fileno(self) -> int | None:
        """Wait for this to be readable; None while the port is gone."""
        return self._line.fileno()

    def hear(self) -> None:
        """Take what has come, when the port is readable."""
        self._line.hear()

    def submit(self, command: Command) -> bool:
        """Hand over one command, when `ready`; whether it was taken. It is answered, or the link
        is lost.
        """
        if not self.ready or not self._ctx.submit_command(0, command):
            return False
        self._asked, self._asked_s = command, time.monotonic()
        return True

    def turn(self) -> None:
        """Let libosdp work; find out whether the link is there."""
        now_s = time.monotonic()
        if self._line.fileno() is None and now_s >= self._reopen_s:
            self._reopen_s = now_s + REOPEN_S
            self._line.reopen()
        self._ctx.refresh()
        self._line.secured = bool(self._ctx.sc_status() & 1)
        online = bool(self._ctx.status() & 1) and self._line.secured
        if self.up and (not online or self._late(now_s) or self._line.gone is not None):
            self._lose()
        elif online and not self.up and not self._line.cut:
            self.up = True
            self.sessions += 1
            self._refusals = 0
            self._asked, self._answered_s = None, now_s
        if self.up:
            if self.ready and now_s - self._answered_s >= BEAT_S:
                self.submit(_BEAT)
        elif self._ending:
            self._begin(now_s)
        elif not online and now_s - max(self._line.written_s, self._began_s) > self._patience_s():
            self._end()
        if not self.up:
            self.wrong = self._why()

    def close(self) -> None:
        """Give the port back."""
        self.up = False
        self._line.close()

    def _late(self, now_s: float) -> bool:
        return self._asked is not None and now_s - self._asked_s > LINK_S

    def _lose(self) -> None:
        """Nothing leaves the port until libosdp has noticed as well."""
        self.up = False
        self._asked = None
        self._line.heard = 0
        self._ctx.flush_commands(0)
        self._end()

    def _end(self) -> None:
        """Disabled, libosdp forgets its 300 s; until then it tries its command again and again."""
        refused = self._line.heard > 0 and self._is_known()
        self._refusals = self._refusals + 1 if refused else 0
        self._line.cut = True
        self._ending = True
        self._ctx.disable_pd(0)

    def _begin(self, now_s: float) -> None:
        if self._ctx.is_pd_enabled(0):
            self._ctx.disable_pd(0)  # again, if it had not been heard
            return
        self._ending = False
        self._began_s = now_s
        self._line.heard = 0
        self._line.cut = False
        self._ctx.flush_commands(0)
        self._ctx.enable_pd(0)

    def _patience_s(self) -> float:
        return REFUSED_S if self._refusals > 1 else GIVEN_UP_S

    def _is_known(self) -> bool:
        """Whether it has ever identified itself."""
        return any(self._ctx.get_pd_id(0).values())

    def _why(self) -> str:
        door = self._door
        if self._line.gone is not None:
            return serial_port.error_sentence(door.port, "the controller", self._line.gone)
        if self._refusals:
            return (
                f"the controller at {door.port} has another key than this unit: it refuses the "
                "secure channel; pair the two again (menshen-provision pair)"
            )
        if self._line.heard and not self._is_known():
            return (
                f"what answers at {door.port} is no controller with address {door.address} at "
                f"{door.baud} baud; check both, and that A and B are not swapped"
            )
        return self._silent()

    def _silent(self) -> str:
        return (
            f"the controller at {self._door.port} does not answer; check its supply and its cable"
        )

    def _completed(self, _number: int, _command: Command, outcome: int) -> None:
        """Called by libosdp, within `refresh`."""
        done, self._answered_s = self._asked, time.monotonic()
        if outcome == _OK and done is not None:
            self._asked = None
            self._done(done)

    def _event(self, _number: int, event: dict[str, Any]) -> int:
        """Called by libosdp, within `refresh`."""
        if event.get("event") == osdp.Event.Status:
            self._take_status(event["type"], event["report"])
        event.clear()
        return 0


class _PanelLine(osdp.Channel):  # type: ignore[misc]  # libosdp has no types
    """The port as libosdp reads and writes it; it never raises, for libosdp could not bear it."""

    def __init__(self, door: ControllerDoor) -> None:
        super().__init__()
        self._name, self._baud = door.port, door.baud
        self._port: serial_port.Port | None = None
        self._came = bytearray()
        self._heard = bytearray()  # what of it libosdp may have
        self.gone: Exception | None = None  # the port's last error, while it is missing
        self.cut = False  # writes go nowhere, and libosdp gets an error
        self.secured = False  # in a session: what has no MAC is not heard
        self.heard = 0  # bytes
        self.written_s = float("-inf")

    def open(self) -> None:
        """Raises one of serialport.FAILURES."""
        self._port = serial_port.open_port(self._name, self._baud)
        self.gone = None

    def reopen(self) -> None:
        try:
            self.open()
        except serial_port.FAILURES as error:
            self.gone = error

    def close(self) -> None:
        port, self._port = self._port, None
        self.flush()
        if port is not None:
            try:
                port.close()
            except serial_port.FAILURES as error:
                self.gone = error

    def fileno(self) -> int | None:
        return None if self._port is None else int(self._port.fileno())

    def hear(self) -> None:
        data = self._try(serial_port.read)
        if data is not None:
            self.heard += len(data)
            self._came += data
            del self._came[:-_CAME_MAX]

    def read(self, max_bytes: int) -> bytes:
        if not self.secured:
            self._heard, self._came = self._heard + self._came, bytearray()
        else:
            while frame := _first_frame(self._came):
                if _has_mac(frame):
                    self._heard += frame
        data = bytes(self._heard[:max_bytes])
        del self._heard[:max_bytes]
        return data

    def write(self, buf: bytes) -> int:
        if self.cut or self._port is None:
            return -1
        self.written_s = time.monotonic()
        written = self._try(lambda port: serial_port.write(port, buf))
        return -1 if written is None else written

    def flush(self) -> None:
        self._came.clear()
        self._heard.clear()

    def _try(self, call: Callable[[serial_port.Port], Any]) -> Any:
        if self._port is None:
            return None
        try:
            return call(self._port)
        except serial_port.FAILURES as error:
            self.close()
            self.gone = error
            return None


_CAME_MAX = 4096

# A frame: SOM, address, its length (two bytes, the low one first), control, then where control says
# so a security block (its length, its type), then a code. Source: SIA OSDP 2.2, 5.9 and annex D.
_SOM = 0x53
_LENGTHS = range(8, 257)  # what libosdp takes
_HAS_BLOCK = 0x08
_WITH_MAC = (0x16, 0x18)  # SCS_16, SCS_18: an answer in a session, without and with data
_NAK = 0x41  # means that there is no session any more, so it cannot have a MAC


def _first_frame(came: bytearray) -> bytes:
    """Take the first whole frame out of `came`; empty: there is none yet."""
    while True:
        start = came.find(_SOM)
        del came[: len(came) if start < 0 else start]
        if len(came) < 4:
            return b""
        length = came[2] | came[3] << 8
        if length not in _LENGTHS:
            del came[0]
            continue
        if len(came) < length:
            return b""
        frame = bytes(came[:length])
        del came[:length]
        return frame


def _has_mac(frame: bytes) -> bool:
    if frame[4] & _HAS_BLOCK:
        return frame[6] in _WITH_MAC
    return frame[5] == _NAK
