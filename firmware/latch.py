"""The latch: the door stays locked until somebody presses re-arm on the secure side.

An attacker may open the outside unit or cut its wire. To keep that unit from opening the door
afterwards, the controller latches: it refuses every pulse until its own button is held. The main
loop stores `on`, so the latch survives a power cut.
"""

from guard import ticks_diff

KINDS = ("none", "tamper", "link", "both")
LINK_LOST_MS = 120_000  # without a link, after a session; a unit restarts in less
REARM_MS = 2_000  # how long the button must be held


class Latch:
    def __init__(self, kind, on, now_ms):
        if kind not in KINDS:
            raise ValueError("latch must be one of " + ", ".join(KINDS))
        self.on = bool(on)
        self._tamper = kind in ("tamper", "both")
        self._link = kind in ("link", "both")
        self._had_session = False  # since the start or the last re-arming
        self._linked_ms = now_ms
        self._pressed_ms = now_ms
        self._released = False  # the button was released, so the next press counts

    def update(self, linked, tampered, rearm, now_ms):
        """Update the latch; return whether it is on. `rearm`: the button is pressed."""
        if linked:
            self._had_session = True
            self._linked_ms = now_ms
        silent_ms = ticks_diff(now_ms, self._linked_ms)
        if self._link and self._had_session and not 0 <= silent_ms < LINK_LOST_MS:
            self.on = True
        if not rearm:
            self._released = True
            self._pressed_ms = now_ms
        elif not self.on:  # so a button that is stuck does not re-arm a later latch
            self._released = False
        elif self._released and not 0 <= ticks_diff(now_ms, self._pressed_ms) < REARM_MS:
            self.on = False
            self._released = False
            self._had_session = linked
            self._linked_ms = now_ms
        if self._tamper and tampered:
            self.on = True
        return self.on
