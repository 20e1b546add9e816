"""What the door says: each level once it has held, and each change told once.

Levels are bits of one number, 1 meaning yes (the contact: open; a button: pressed), in the order of
OSDP's input status report (osdp.md).
"""

from guard import ticks_diff

CONTACT, EXIT_BUTTON, FIRE, HELP_BUTTON = 1, 2, 4, 8  # as edge/wire/door_inputs.py has them
TURN, TURN_OUT, LATCHED, TAMPER = 16, 32, 64, 128
REARM = 256  # told to nobody: the button on the safe side
COUNT = 8  # that are told

HELD_MS = 20  # a level that holds for less is bounce
CHANGES_MAX = 64  # kept while nobody asks; then only the newest counts

_WIRED = 9


class Inputs:
    """Debounces levels, and keeps each change until it is taken."""

    def __init__(self, now_ms):
        self.levels = 0  # as they are now, debounced
        self._seen = 0  # as they were read last
        self._since_ms = [now_ms] * _WIRED
        self._first = True
        self._changes = []  # what was told after each change, oldest first
        self._told = 0

    def turn(self, levels, latched, now_ms):
        """Take what the pins say; `latched` is told beside it."""
        if self._first:
            self._first = False
            self._seen = levels
            self.levels = levels
        changed = levels ^ self._seen
        self._seen = levels
        for n in range(_WIRED):
            bit = 1 << n
            if changed & bit:
                self._since_ms[n] = now_ms
            if (levels ^ self.levels) & bit:
                held_ms = ticks_diff(now_ms, self._since_ms[n])
                if held_ms < 0:
                    self._since_ms[n] = now_ms
                elif held_ms >= HELD_MS:
                    self.levels ^= bit
        self.latched(latched)

    def latched(self, latched):
        """Tell the changes so far, the latch among them."""
        told = self.levels & ~REARM & ~LATCHED
        if latched:
            told |= LATCHED
        if told != self._told:
            self._told = told
            self._keep(told)

    def tell(self):
        """Tell all levels anew: whoever asks now has not heard them."""
        if not self._changes:
            self._keep(self._told)

    def change(self):
        """The levels after the oldest change that was not taken; None: nothing changed."""
        return self._changes[0] if self._changes else None

    def taken(self):
        """The oldest change came over."""
        self._changes.pop(0)

    def told(self):
        """The levels now, as they are told."""
        return self._told

    def _keep(self, told):
        if len(self._changes) >= CHANGES_MAX:
            self._changes[-1] = told
        else:
            self._changes.append(told)


def report(levels):
    """The data of an input status report."""
    return bytes((levels >> n) & 1 for n in range(COUNT))
