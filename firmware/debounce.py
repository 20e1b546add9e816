"""When an input has really changed: contacts bounce, long cables catch sparks."""

from guard import ticks_diff

STEADY_MS = 20


class Debounced:
    """One input's level, changed only after it was the other one for `STEADY_MS` without a gap."""

    def __init__(self, level: bool, now_ms: int) -> None:
        self.level = level
        self._same_ms = now_ms  # when it was last seen as `level`

    def sample(self, level: bool, now_ms: int) -> bool:
        """Take what the pin says at `now_ms` (ticks); return what to believe."""
        if level == self.level:
            self._same_ms = now_ms
        elif ticks_diff(now_ms, self._same_ms) >= STEADY_MS:
            self.level = level
            self._same_ms = now_ms
        return self.level
