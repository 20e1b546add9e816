"""The controller's rules between the line and the pins. Pure: bytes, levels and a clock come in.

    controller = Controller(key, address, latch, latched, os.urandom, ticks_ms())
    at every turn of the loop, every 5 ms or sooner:
        controller.receive(what came over the line, now_ms)
        write controller.send(), where it is not None
        set the pins to controller.turn(levels, now_ms)
        store controller.latched, where it changed

`now_ms` is `time.ticks_ms()`. Only guard.py says what the relay does. osdp.md has the rules.
"""

import frames
import inputs
from guard import Guard
from latch import Latch
from lights import BUZ_LEN, LED_LEN, Lights
from peripheral import Peripheral

OUT_LEN = 4


class Outputs:
    """Levels for the pins, True meaning on."""

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
        """`key`: the pair's 16 bytes, None where there is none yet: the door is then not served.
        `address`: 0 to 126. `latch`: one of latch.KINDS; `latched`: as it was stored.
        `rng(n)`: n random bytes. `serial`: 4 bytes that tell this board from others.
        `starts`: how often it has started; another number at each start.
        """
        self._guard = Guard(now_ms)
        self._latch = Latch(latch, latched, now_ms)
        self._inputs = inputs.Inputs(now_ms)
        self._lights = Lights(now_ms)
        self._peripheral = Peripheral(key, address, serial, rng, self, now_ms, starts)
        self._com = bytes((address,)) + baud.to_bytes(4, "little")
        self._outputs = Outputs()
        self._telling = False  # an input's change was told and it is not known to have come over
        self._told_local = None  # None: this session has not heard
        self._told_relay = None

    @property
    def latched(self):
        """Whether the door is shut until re-armed; stored by whoever owns the pins."""
        return self._latch.on

    def linked(self, now_ms):
        """Whether a valid frame came within the last 1.5 s."""
        return self._guard.linked(now_ms)

    def receive(self, data, now_ms):
        """Take what came over the line; b"" is nothing."""
        self._peripheral.receive(data, now_ms)

    def send(self):
        """Bytes to write to the line, None: nothing. Ask after each `receive`."""
        return self._peripheral.send()

    def turn(self, levels, now_ms):
        """One turn of the loop: `levels` are the bits of inputs.py. Return the pins' levels."""
        self._peripheral.turn(now_ms)
        linked = self._guard.linked(now_ms)
        self._inputs.turn(levels, self._latch.on, now_ms)
        debounced = self._inputs.levels
        tampered = debounced & inputs.TAMPER != 0
        latched = self._latch.turn(linked, tampered, debounced & inputs.REARM != 0, now_ms)
        if latched:
            self._guard.off(now_ms)
        self._inputs.latched(latched)
        self._lights.turn(linked, now_ms)
        outputs = self._outputs
        outputs.relay = self._guard.relay(now_ms)
        outputs.green = self._lights.green
        outputs.red = self._lights.red
        outputs.buzzer = self._lights.buzzer
        outputs.heartbeat = self._lights.heartbeat
        return outputs

    # What the peripheral asks of the door.

    def proved(self, now_ms):
        """A session began: its panel knows nothing yet."""
        self._guard.frame(now_ms)
        self._inputs.tell()
        self._told_local = self._told_relay = None

    def valid(self, now_ms):
        """A frame of the session came; return whether the link had been lost before it."""
        late = not self._guard.linked(now_ms)
        self._guard.frame(now_ms)
        if self._telling:  # its MAC is chained to our last answer, which so came over
            self._inputs.taken()
            self._telling = False
        return late

    def ended(self, now_ms):
        """The session is over: nothing of it goes on."""
        self._guard.off(now_ms)
        self._telling = False

    def status(self, code, now_ms):
        """Answer a status query."""
        if code == frames.ISTAT:
            return frames.ISTATR, inputs.report(self._inputs.told())
        if code == frames.OSTAT:
            return frames.OSTATR, bytes((self._guard.relay(now_ms),))
        if code == frames.LSTAT:
            return frames.LSTATR, bytes((self._inputs.told() & inputs.TAMPER != 0, False))
        return frames.RSTATR, b"\0"

    def command(self, code, data, late, now_ms):
        """Carry out a command of a proven panel; `late`: it may have been held back on its way."""
        if code == frames.POLL:
            return self._news(now_ms)
        if code == frames.ISTAT:  # in its turn: else the next poll would go back behind it
            return self._next_change() or self.status(code, now_ms)
        if code in (frames.OSTAT, frames.LSTAT, frames.RSTAT):
            return self.status(code, now_ms)
        if code == frames.OUT and data and len(data) % OUT_LEN == 0:
            for at in range(0, len(data), OUT_LEN):
                self._out(data[at : at + OUT_LEN], late, now_ms)
            self._told_relay = self._guard.relay(now_ms)
            return frames.OSTATR, bytes((self._told_relay,))
        if code == frames.LED and data and len(data) % LED_LEN == 0:
            self._lights.led(data, now_ms)
            return frames.ACK, b""
        if code == frames.BUZ and data and len(data) % BUZ_LEN == 0:
            self._lights.buz(data, now_ms)
            return frames.ACK, b""
        if code == frames.COMSET and len(data) == 5:
            return frames.COM, self._com
        known = code in (frames.OUT, frames.LED, frames.BUZ, frames.COMSET)
        return frames.NAK, bytes((frames.NAK_LENGTH if known else frames.NAK_UNKNOWN,))

    def _out(self, record, late, now_ms):
        output, code, tenths = record[0], record[1], record[2] | record[3] << 8
        if output != 0:
            return
        if code in (1, 6):
            self._guard.off(now_ms)
        elif code == 5 and not late and not self._latch.on:
            self._guard.ask(now_ms, tenths * 100)

    def _news(self, now_ms):
        """What a poll is told: the oldest change of the inputs, then what else is new."""
        change = self._next_change()
        if change is not None:
            return change
        local = self.status(frames.LSTAT, now_ms)
        if local[1] != self._told_local:
            self._told_local = local[1]
            return local
        relay = self._guard.relay(now_ms)
        if relay != self._told_relay:
            self._told_relay = relay
            return frames.OSTATR, bytes((relay,))
        return frames.ACK, b""

    def _next_change(self):
        """The oldest change that the panel has not heard; None: it knows how things are."""
        change = self._inputs.change()
        if change is None:
            return None
        self._telling = True
        return frames.ISTATR, inputs.report(change)
