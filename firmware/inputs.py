"""The door's inputs: debounced levels, and a queue of changes to report.

Levels are bits of one number in the order of OSDP's input status report (osdp.md); 1 means active
(contact: open; button: pressed).
"""

from guard import ticks_diff

CONTACT, EXIT_BUTTON, FIRE, HELP_BUTTON = 1, 2, 4, 8  # as edge/wire/door_inputs.py has them
TURN, TURN_OUT, LATCHED, TAMPER = 16, 32, 64, 128
REARM = 256  # not reported: the button on the secure side
COUNT = 8  # reported inputs

DEBOUNCE_MS = 20  # a level that lasts for less is bounce
CHANGES_MAX = 64  # queued; when the queue is full, the newest entry is overwritten

_WIRED = 9


class Inputs:
    """Debounces levels and queues each change until the panel has it."""

    def __init__(self, now_ms):
        self.levels = 0  # debounced, REARM included
        self._raw_levels = 0  # as last read
        self._since_ms = [now_ms] * _WIRED
        self._is_first = True
        self._changes = []  # the reported levels after each change, oldest first
        self._reported = 0

    def update(self, levels, latched, now_ms):
        """Take the pins' levels and the latch's state."""
        if self._is_first:
            self._is_first = False
            self._raw_levels = levels
            self.levels = levels
        changed = levels ^ self._raw_levels
        self._raw_levels = levels
        for n in range(_WIRED):
            bit = 1 << n
            if changed & bit:
                self._since_ms[n] = now_ms
            if (levels ^ self.levels) & bit:
                stable_ms = ticks_diff(now_ms, self._since_ms[n])
                if stable_ms < 0:
                    self._since_ms[n] = now_ms
                elif stable_ms >= DEBOUNCE_MS:
                    self.levels ^= bit
        self.note_latch(latched)

    def note_latch(self, latched):
        """Queue the levels if they changed; the latch is one of them."""
        reported = self.levels & ~REARM & ~LATCHED
        if latched:
            reported |= LATCHED
        if reported != self._reported:
            self._reported = reported
            self._queue(reported)

    def report_all(self):
        """Queue the current levels for a panel that does not have them."""
        if not self._changes:
            self._queue(self._reported)

    def oldest_change(self):
        """Return the levels after the oldest queued change, None if the queue is empty."""
        return self._changes[0] if self._changes else None

    def drop_oldest(self):
        """Remove the oldest change: the panel has it."""
        self._changes.pop(0)

    def reported_levels(self):
        """Return the current levels for a report: with the latch, without REARM."""
        return self._reported

    def _queue(self, levels):
        if len(self._changes) >= CHANGES_MAX:
            self._changes[-1] = levels
        else:
            self._changes.append(levels)


def report(levels):
    """Return the data of an input status report."""
    return bytes((levels >> n) & 1 for n in range(COUNT))
