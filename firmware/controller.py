"""The controller's rules between the line and the pins. No I/O: it gets bytes, levels and the time.

    controller = Controller(key, address, latch, latched, os.urandom, ticks_ms())
    in every cycle of the loop, every 5 ms or sooner:
        controller.receive(bytes from the line, now_ms)
        write controller.send() to the line, if it is not None
        set the pins to controller.update(levels, now_ms)
        store controller.latched, if it changed

`now_ms` is `time.ticks_ms()`. Only guard.py decides about the relay. The rules are in osdp.md.
"""

import frames
import inputs
from guard import Guard
from latch import Latch
from lights import BUZ_LEN, LED_LEN, Lights
from peripheral import Peripheral

OUT_LEN = 4


class Outputs:
    """Levels for the pins; True is on."""

    def __init__(self):
        self.relay = False
        self.green = False
        self.red = False
        self.buzzer = False
        self.heartbeat = False


class Controller:
    """One door."""

    def __init__(
        self,
        key,
        address,
        latch,
        latched,
        rng,
        now_ms,
        baud=115_200,
        serial=b"\0\0\0\0",
        starts=0,
    ):
        """`key`: the 16 bytes shared with the unit; None: not paired, so no session.
        `address`: 0 to 126. `latch`: one of latch.KINDS; `latched`: the stored state.
        `rng(n)`: returns n random bytes. `serial`: 4 bytes that identify this board.
        `starts`: how often the board has started; a different number at each start.
        """
        self._guard = Guard(now_ms)
        self._latch = Latch(latch, latched, now_ms)
        self._inputs = inputs.Inputs(now_ms)
        self._lights = Lights(now_ms)
        self._peripheral = Peripheral(key, address, serial, rng, self, now_ms, starts)
        self._com = bytes((address,)) + baud.to_bytes(4, "little")
        self._outputs = Outputs()
        self._report_pending = False  # a change was sent and is not yet confirmed
        self._last_local = None  # as last reported; None: not yet in this session
        self._last_relay = None

    @property
    def latched(self):
        """Whether the latch is on; the main loop stores it."""
        return self._latch.on

    def linked(self, now_ms):
        """Whether a valid frame arrived within the last 1.5 s."""
        return self._guard.linked(now_ms)

    def receive(self, data, now_ms):
        """Handle bytes from the line; `data` may be empty."""
        self._peripheral.receive(data, now_ms)

    def send(self):
        """Return the bytes to write to the line, None for nothing. Call it after each `receive`."""
        return self._peripheral.send()

    def update(self, levels, now_ms):
        """Run one cycle: `levels` are the bits of inputs.py. Return the outputs' levels."""
        self._peripheral.update(now_ms)
        linked = self._guard.linked(now_ms)
        self._inputs.update(levels, self._latch.on, now_ms)
        debounced = self._inputs.levels
        tampered = debounced & inputs.TAMPER != 0
        latched = self._latch.update(linked, tampered, debounced & inputs.REARM != 0, now_ms)
        if latched:
            self._guard.end_pulse(now_ms)
        self._inputs.note_latch(latched)
        self._lights.update(linked, now_ms)
        outputs = self._outputs
        outputs.relay = self._guard.relay_level(now_ms)
        outputs.green = self._lights.green
        outputs.red = self._lights.red
        outputs.buzzer = self._lights.buzzer
        outputs.heartbeat = self._lights.heartbeat
        return outputs

    # Callbacks of the peripheral.

    def note_session(self, now_ms):
        """A session began: its panel needs every state once."""
        self._guard.note_frame(now_ms)
        self._inputs.report_all()
        self._last_local = self._last_relay = None

    def note_frame(self, now_ms):
        """A valid frame of the session arrived; return whether the link had been lost before it."""
        late = not self._guard.linked(now_ms)
        self._guard.note_frame(now_ms)
        if self._report_pending:  # its MAC is chained to our last reply, so the panel has that
            self._inputs.drop_oldest()
            self._report_pending = False
        return late

    def note_end(self, now_ms):
        """The session ended: end its pulse too."""
        self._guard.end_pulse(now_ms)
        self._report_pending = False

    def status(self, code, now_ms):
        """Return the reply to a status query."""
        if code == frames.ISTAT:
            return frames.ISTATR, inputs.report(self._inputs.reported_levels())
        if code == frames.OSTAT:
            return frames.OSTATR, bytes((self._guard.relay_level(now_ms),))
        if code == frames.LSTAT:
            return frames.LSTATR, bytes(
                (self._inputs.reported_levels() & inputs.TAMPER != 0, False)
            )
        return frames.RSTATR, b"\0"

    def command(self, code, data, late, now_ms):
        """Execute a command of an authenticated panel; `late`: an attacker may have delayed it."""
        if code == frames.POLL:
            return self._poll_reply(now_ms)
        if code == frames.ISTAT:  # from the queue: else the next poll would report an older state
            return self._next_change() or self.status(code, now_ms)
        if code in (frames.OSTAT, frames.LSTAT, frames.RSTAT):
            return self.status(code, now_ms)
        if code == frames.OUT and data and len(data) % OUT_LEN == 0:
            for at in range(0, len(data), OUT_LEN):
                self._out(data[at : at + OUT_LEN], late, now_ms)
            self._last_relay = self._guard.relay_level(now_ms)
            return frames.OSTATR, bytes((self._last_relay,))
        if code == frames.LED and data and len(data) % LED_LEN == 0:
            self._lights.apply_led(data, now_ms)
            return frames.ACK, b""
        if code == frames.BUZ and data and len(data) % BUZ_LEN == 0:
            self._lights.apply_buz(data, now_ms)
            return frames.ACK, b""
        if code == frames.COMSET and len(data) == 5:
            return frames.COM, self._com
        is_supported = code in (frames.OUT, frames.LED, frames.BUZ, frames.COMSET)
        return frames.NAK, bytes((frames.NAK_LENGTH if is_supported else frames.NAK_UNKNOWN,))

    def _out(self, record, late, now_ms):
        output, code, tenths = record[0], record[1], record[2] | record[3] << 8
        if output != 0:
            return
        if code in (1, 6):
            self._guard.end_pulse(now_ms)
        elif code == 5 and not late and not self._latch.on:
            self._guard.start_pulse(now_ms, tenths * 100)

    def _poll_reply(self, now_ms):
        """Reply to a poll: the oldest input change, else tamper, else the relay, else ACK."""
        change = self._next_change()
        if change is not None:
            return change
        local = self.status(frames.LSTAT, now_ms)
        if local[1] != self._last_local:
            self._last_local = local[1]
            return local
        relay = self._guard.relay_level(now_ms)
        if relay != self._last_relay:
            self._last_relay = relay
            return frames.OSTATR, bytes((relay,))
        return frames.ACK, b""

    def _next_change(self):
        """Return a report of the oldest queued change, None if the queue is empty."""
        levels = self._inputs.oldest_change()
        if levels is None:
            return None
        self._report_pending = True
        return frames.ISTATR, inputs.report(levels)
