"""Shut until someone on the safe side says otherwise.

Where the unit outside may be opened or cut off, what happens there must not open the door later:
the controller latches, the relay is refused, and only its own button, held, ends that. Whoever owns
the pins stores `on`, so that a power cut does not end it either.
"""

from guard import ticks_diff

KINDS = ("none", "tamper", "link", "both")
LOST_MS = 120_000  # without a link after a session; a unit that restarts is back sooner
REARM_MS = 2_000  # the button is held for so long


class Latch:
    def __init__(self, kind, on, now_ms):
        if kind not in KINDS:
            raise ValueError("latch must be one of " + ", ".join(KINDS))
        self.on = bool(on)
        self._tamper = kind in ("tamper", "both")
        self._link = kind in ("link", "both")
        self._met = False  # whether there was a session since the start or the last re-arming
        self._linked_ms = now_ms
        self._pressed_ms = now_ms
        self._fresh = False  # the button was seen let go: the next press counts

    def turn(self, linked, tampered, rearm, now_ms):
        """Return whether the door is latched."""
        if linked:
            self._met = True
            self._linked_ms = now_ms
        lost_ms = ticks_diff(now_ms, self._linked_ms)
        if self._link and self._met and not 0 <= lost_ms < LOST_MS:
            self.on = True
        if not rearm:
            self._fresh = True
            self._pressed_ms = now_ms
        elif not self.on:  # one that is stuck would re-arm whatever comes
            self._fresh = False
        elif self._fresh and not 0 <= ticks_diff(now_ms, self._pressed_ms) < REARM_MS:
            self.on = False
            self._fresh = False
            self._met = linked
            self._linked_ms = now_ms
        if self._tamper and tampered:
            self.on = True
        return self.on
