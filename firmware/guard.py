"""The last word on the door's relay: how long, how often, and never without the link.

Pure and without imports, so that the same file runs on the controller and in every test. Whoever
drives the pin calls `relay` at every turn of its loop and sets the pin to the answer; nothing
else sets it. All times are milliseconds of a counter that wraps at 2**30, as `time.ticks_ms()` of
a 32-bit MicroPython does. No number here leaves the range of a small int, so nothing is allocated.
"""

PULSE_MS_MAX = 10_000  # a longer pulse is cut to this; edge/wire/unit.py allows no longer one
REST_MS_MIN = 250  # after a pulse: the one-shot behind the pin falls back and is ready again
LINK_MS_MAX = 1_500  # the relay falls this long after the last valid frame
PULSES_MAX = 10  # at once, after a quiet time
PULSE_EVERY_MS = 2_000  # and then one for each of these: 30 a minute, more than pass a turnstile

_MASK = 0x3FFFFFFF  # 2**30 - 1
_HALF = 0x20000000


def ticks_diff(end_ms: int, start_ms: int) -> int:
    """From `start_ms` to `end_ms`, -2**29 to 2**29 - 1, like MicroPython's `time.ticks_diff`."""
    between = (end_ms - start_ms) & _MASK
    return between if between < _HALF else between - _MASK - 1


def _later(at_ms: int, ms: int) -> int:
    """`at_ms` + `ms`, wrapped; from 2**30 below, so that the sum stays a small int."""
    return (at_ms - _MASK - 1 + ms) & _MASK


class Guard:
    """What the relay may do. At the start, and whenever in doubt, it is at rest.

    `now_ms` must not go back; where it does (or nobody called for six days), everything is at
    rest, the link is lost and no pulse is saved up.
    """

    def __init__(self, now_ms: int) -> None:
        self._now_ms = now_ms & _MASK
        self._on = False
        self._start_ms = self._now_ms
        self._pulse_ms = 0
        self._resting = True  # as if a pulse had just ended: a restart is no way to a longer one
        self._end_ms = self._now_ms
        self._linked = False  # until a frame comes
        self._frame_ms = self._now_ms
        self._pulses = 1  # nor to more of them
        self._saved_ms = self._now_ms

    def frame(self, now_ms: int) -> None:
        """A valid frame came: its check sum, sequence and MAC were right."""
        self._turn(now_ms)
        self._linked = True
        self._frame_ms = self._now_ms

    def ask(self, now_ms: int, pulse_ms: int) -> int:
        """Start a pulse; return its milliseconds, 0 if it is refused.

        Refused: on for ever (`pulse_ms` of 0 or less), while a pulse runs (which is so never
        lengthened) or has just ended, too often, and without the link.
        """
        self._turn(now_ms)
        if pulse_ms <= 0 or not self._linked:
            return 0
        if self._on or self._resting or self._pulses == 0:
            return 0
        if self._pulses == PULSES_MAX:
            self._saved_ms = self._now_ms
        self._pulses -= 1
        self._on = True
        self._start_ms = self._now_ms
        self._pulse_ms = pulse_ms if pulse_ms < PULSE_MS_MAX else PULSE_MS_MAX
        return self._pulse_ms

    def off(self, now_ms: int) -> None:
        """End the pulse that runs, if one does."""
        self._turn(now_ms)
        if self._on:
            self._rest()

    def relay(self, now_ms: int) -> bool:
        """Whether the relay may be on now."""
        self._turn(now_ms)
        return self._on

    def linked(self, now_ms: int) -> bool:
        """Whether a valid frame came lately."""
        self._turn(now_ms)
        return self._linked

    def _turn(self, now_ms: int) -> None:
        now_ms &= _MASK
        back = ticks_diff(now_ms, self._now_ms) < 0
        self._now_ms = now_ms
        if back:
            self._linked = False
            self._pulses = 0
            self._saved_ms = now_ms
            self._rest()
            return
        if self._linked and ticks_diff(now_ms, self._frame_ms) >= LINK_MS_MAX:
            self._linked = False
        if self._on:
            if not self._linked or ticks_diff(now_ms, self._start_ms) >= self._pulse_ms:
                self._rest()
        elif self._resting and ticks_diff(now_ms, self._end_ms) >= REST_MS_MIN:
            self._resting = False
        while self._pulses < PULSES_MAX and ticks_diff(now_ms, self._saved_ms) >= PULSE_EVERY_MS:
            self._pulses += 1
            self._saved_ms = _later(self._saved_ms, PULSE_EVERY_MS)

    def _rest(self) -> None:
        self._on = False
        self._resting = True
        self._end_ms = self._now_ms
