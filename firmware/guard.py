"""Limits for the relay: how long a pulse lasts, how often one starts, never without the link.

This file does no input or output and imports nothing, so the same file runs on the controller and
in every test. The main loop calls `relay_level` once per cycle and sets the pin to the result;
nothing else sets the pin. All times are milliseconds of a counter that wraps at 2**30, like
`time.ticks_ms()` on a 32-bit MicroPython. Every number fits a small int, so nothing is allocated.
"""

PULSE_MS_MAX = 10_000  # a longer pulse is cut to this; edge/wire/unit.py has the same limit
REST_MS_MIN = 250  # after a pulse: the one-shot behind the pin resets in this time
LINK_MS_MAX = 1_500  # the relay turns off this long after the last valid frame
PULSES_MAX = 10  # in a row, after a quiet time
PULSE_EVERY_MS = 2_000  # one more for each of these: 30 a minute, more than a turnstile passes

_MASK = 0x3FFFFFFF  # 2**30 - 1
_HALF = 0x20000000


def ticks_diff(end_ms: int, start_ms: int) -> int:
    """Return `end_ms` - `start_ms`, -2**29 to 2**29 - 1, like MicroPython's `time.ticks_diff`."""
    difference = (end_ms - start_ms) & _MASK
    return difference if difference < _HALF else difference - _MASK - 1


def _later(at_ms: int, ms: int) -> int:
    """Return `at_ms` + `ms`, wrapped; 2**30 is subtracted first, so the sum stays a small int."""
    return (at_ms - _MASK - 1 + ms) & _MASK


class Guard:
    """Decides whether the relay is on. It is off at the start and in every doubtful case.

    `now_ms` must not go back. If it does (or nothing is called for six days), the relay is off,
    the link is lost and no pulse is available.
    """

    def __init__(self, now_ms: int) -> None:
        self._now_ms = now_ms & _MASK
        self._on = False
        self._start_ms = self._now_ms
        self._pulse_ms = 0
        self._resting = True  # as after a pulse: a restart cannot lengthen one
        self._end_ms = self._now_ms
        self._linked = False  # until a frame arrives
        self._frame_ms = self._now_ms
        self._pulses = 1  # available now; a restart cannot give more
        self._refill_ms = self._now_ms

    def note_frame(self, now_ms: int) -> None:
        """Note a valid frame: its CRC, sequence number and MAC were right."""
        self._update(now_ms)
        self._linked = True
        self._frame_ms = self._now_ms

    def start_pulse(self, now_ms: int, pulse_ms: int) -> int:
        """Start a pulse; return its length in milliseconds, 0 if it is refused.

        Refused: a pulse without an end (`pulse_ms` of 0 or less), a pulse while another runs (so
        none is lengthened) or has just ended, too many pulses, and any pulse without the link.
        """
        self._update(now_ms)
        if pulse_ms <= 0 or not self._linked:
            return 0
        if self._on or self._resting or self._pulses == 0:
            return 0
        if self._pulses == PULSES_MAX:
            self._refill_ms = self._now_ms
        self._pulses -= 1
        self._on = True
        self._start_ms = self._now_ms
        self._pulse_ms = pulse_ms if pulse_ms < PULSE_MS_MAX else PULSE_MS_MAX
        return self._pulse_ms

    def end_pulse(self, now_ms: int) -> None:
        """End the running pulse, if there is one."""
        self._update(now_ms)
        if self._on:
            self._rest()

    def relay_level(self, now_ms: int) -> bool:
        """Return the level for the relay's pin now."""
        self._update(now_ms)
        return self._on

    def linked(self, now_ms: int) -> bool:
        """Whether a valid frame arrived within `LINK_MS_MAX`."""
        self._update(now_ms)
        return self._linked

    def _update(self, now_ms: int) -> None:
        now_ms &= _MASK
        went_back = ticks_diff(now_ms, self._now_ms) < 0
        self._now_ms = now_ms
        if went_back:
            self._linked = False
            self._pulses = 0
            self._refill_ms = now_ms
            self._rest()
            return
        if self._linked and ticks_diff(now_ms, self._frame_ms) >= LINK_MS_MAX:
            self._linked = False
        if self._on:
            if not self._linked or ticks_diff(now_ms, self._start_ms) >= self._pulse_ms:
                self._rest()
        elif self._resting and ticks_diff(now_ms, self._end_ms) >= REST_MS_MIN:
            self._resting = False
        while self._pulses < PULSES_MAX and ticks_diff(now_ms, self._refill_ms) >= PULSE_EVERY_MS:
            self._pulses += 1
            self._refill_ms = _later(self._refill_ms, PULSE_EVERY_MS)

    def _rest(self) -> None:
        self._on = False
        self._resting = True
        self._end_ms = self._now_ms
