"""The lights and the buzzer, as a panel commands them; every pattern has an end.

Times are milliseconds that wrap at 2**30. The data are those of OSDP's LED and BUZ commands
(osdp.md); patterns without an end are ignored.
"""

from guard import ticks_diff

RED, GREEN = 1, 2  # OSDP's colours; 3 is amber: both
FLASH_MS = 150  # red, while there is no link
FLASH_EVERY_MS = 3_000
BEAT_MS = 500

LED_LEN = 14
BUZ_LEN = 5


class Blinker:
    """Alternates between two values for `length_ms`; 0 is dark."""

    def __init__(self, now_ms):
        self._start_ms = now_ms
        self._on_ms = 0
        self._off_ms = 0
        self._length_ms = 0
        self.on = 0
        self.off = 0

    def start(self, on_ms, off_ms, length_ms, on, off, now_ms):
        self._start_ms = now_ms
        self._on_ms = on_ms
        self._off_ms = off_ms
        self._length_ms = length_ms
        self.on = on
        self.off = off

    def stop(self):
        self._length_ms = 0

    def update(self, now_ms):
        """Return the value to show now: `on`, `off`, or 0 after the end."""
        if not self._length_ms:
            return 0
        elapsed_ms = ticks_diff(now_ms, self._start_ms)
        if not 0 <= elapsed_ms < self._length_ms:
            self._length_ms = 0
            return 0
        if not self._off_ms:
            return self.on
        return self.on if elapsed_ms % (self._on_ms + self._off_ms) < self._on_ms else self.off


class Lights:
    """One red and one green light, one buzzer, and the board's own LED."""

    def __init__(self, now_ms):
        self._light = Blinker(now_ms)
        self._buzzer = Blinker(now_ms)
        self._start_ms = now_ms  # of the flash and the heartbeat
        self.red = False
        self.green = False
        self.buzzer = False
        self.heartbeat = False

    def apply_led(self, data, now_ms):
        """Apply records of LED: reader, light, then 7 bytes temporary and 5 permanent."""
        for at in range(0, len(data), LED_LEN):
            if data[at] or data[at + 1]:
                continue
            code = data[at + 2]
            length_ms = (data[at + 7] | data[at + 8] << 8) * 100
            if code == 1:
                self._light.stop()
            elif code == 2 and length_ms:
                on_ms, off_ms = data[at + 3] * 100, data[at + 4] * 100
                on, off = data[at + 5], data[at + 6]
                self._light.start(on_ms, off_ms, length_ms, on, off, now_ms)

    def apply_buz(self, data, now_ms):
        """Apply records of BUZ: reader, tone, on, off, count."""
        for at in range(0, len(data), BUZ_LEN):
            if data[at]:
                continue
            on_ms, off_ms, count = data[at + 2] * 100, data[at + 3] * 100, data[at + 4]
            if data[at + 1] < 2:
                self._buzzer.stop()
            elif on_ms and count:
                self._buzzer.start(on_ms, off_ms, (on_ms + off_ms) * count, 1, 0, now_ms)

    def update(self, linked, now_ms):
        elapsed_ms = ticks_diff(now_ms, self._start_ms)
        if not 0 <= elapsed_ms < FLASH_EVERY_MS:
            self._start_ms = now_ms
            elapsed_ms = 0
        if linked:
            colour = self._light.update(now_ms)
            self.buzzer = self._buzzer.update(now_ms) == 1
        else:
            self._light.stop()
            self._buzzer.stop()
            colour = RED if elapsed_ms < FLASH_MS else 0
            self.buzzer = False
        self.red = colour in (1, 3)
        self.green = colour in (2, 3)
        self.heartbeat = linked and elapsed_ms % (2 * BEAT_MS) < BEAT_MS
