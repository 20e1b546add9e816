"""The relay's guard. Written for micropython-lib's unittest; runs in MicroPython and in CPython."""

import unittest

from guard import (
    LINK_MS_MAX,
    PULSE_EVERY_MS,
    PULSE_MS_MAX,
    PULSES_MAX,
    REST_MS_MIN,
    Guard,
    ticks_diff,
)

try:
    import micropython
except ImportError:
    micropython = None

PERIOD = 2**30
STARTS = (0, 12_345, PERIOD - 1, PERIOD - 700, PERIOD // 2 - 300)
"""Where a test begins after its quiet time: somewhere, and just before where ticks turn over."""


class GuardStreet:
    """A guard with a clock that wraps, and a host that sends a frame every 200 ms."""

    def __init__(self, start, quiet_ms=PULSES_MAX * PULSE_EVERY_MS):
        self.at = start - quiet_ms
        self.guard = Guard(self.now)
        self.frames = True
        for _ in range(quiet_ms // 200):
            self.at += 200
            self.guard.note_frame(self.now)

    @property
    def now(self):
        return self.at % PERIOD

    def go(self, ms):
        """Let `ms` pass; return for how many of them the relay was on."""
        on = 0
        for _ in range(ms):
            self.at += 1
            if self.frames and self.at % 200 == 0:
                self.guard.note_frame(self.now)
            on += self.guard.relay_level(self.now)
        return on

    def ask(self, ms):
        return self.guard.start_pulse(self.now, ms)

    def on(self):
        return self.guard.relay_level(self.now)


class TicksTest(unittest.TestCase):
    def test_like_micropythons_own(self):
        for start in STARTS:
            for ms in (0, 1, 999, PERIOD // 2 - 1, -1, -999, -(PERIOD // 2)):
                end = (start + ms) % PERIOD
                self.assertEqual(ticks_diff(end, start), ms)


class GuardTest(unittest.TestCase):
    def test_at_rest_at_the_start(self):
        for start in STARTS:
            fresh = Guard(start)
            self.assertFalse(fresh.relay_level(start))
            self.assertFalse(fresh.linked(start))

    def test_a_pulse_has_its_length(self):
        for start in STARTS:
            street = GuardStreet(start)
            self.assertEqual(street.ask(1000), 1000)
            self.assertTrue(street.on())
            self.assertEqual(street.go(999), 999)
            self.assertEqual(street.go(1000), 0)

    def test_a_long_pulse_is_cut(self):
        for asked in (PULSE_MS_MAX + 1, 6_553_500, PERIOD - 1, PERIOD):
            street = GuardStreet(0)
            self.assertEqual(street.ask(asked), PULSE_MS_MAX)
        self.assertEqual(street.go(PULSE_MS_MAX - 1), PULSE_MS_MAX - 1)
        self.assertEqual(street.go(1000), 0)

    def test_on_for_ever_is_refused(self):
        for asked in (0, -1, -PERIOD):
            street = GuardStreet(0)
            self.assertEqual(street.ask(asked), 0)
            self.assertFalse(street.on())
            self.assertEqual(street.ask(700), 700)  # and it cost nothing

    def test_a_running_pulse_is_not_lengthened(self):
        for start in STARTS:
            street = GuardStreet(start)
            street.ask(1000)
            on = 0
            for _ in range(10):
                on += street.go(90)
                self.assertEqual(street.ask(1000), 0)
            self.assertEqual(on, 900)
            self.assertEqual(street.go(500), 99)

    def test_it_rests_between_pulses(self):
        for start in STARTS:
            street = GuardStreet(start)
            street.ask(500)
            street.go(500)
            street.go(REST_MS_MIN - 1)
            self.assertEqual(street.ask(500), 0)
            street.go(1)
            self.assertEqual(street.ask(500), 500)

    def test_off_ends_a_pulse_and_saves_nothing(self):
        street = GuardStreet(0)
        street.ask(3000)
        street.go(100)
        street.guard.end_pulse(street.now)
        self.assertFalse(street.on())
        self.assertEqual(street.ask(3000), 0)  # it rests after that too
        self.assertEqual(street.go(1000), 0)

    def test_too_many_are_refused(self):
        for start in STARTS:
            street = GuardStreet(start)
            given = 0
            for _ in range(PULSES_MAX * 2):
                given += street.ask(1) > 0
                street.go(1 + REST_MS_MIN)
            spent_ms = PULSES_MAX * 2 * (1 + REST_MS_MIN)
            self.assertEqual(given, PULSES_MAX + spent_ms // PULSE_EVERY_MS)

    def test_after_a_quiet_time_no_more_are_saved_up(self):
        street = GuardStreet(0, quiet_ms=PULSE_EVERY_MS * PULSES_MAX * 4)
        given = 0
        for _ in range(PULSES_MAX + 4):
            given += street.ask(1) > 0
            street.go(1 + REST_MS_MIN)
        spent_ms = (PULSES_MAX + 4) * (1 + REST_MS_MIN)
        self.assertEqual(given, PULSES_MAX + spent_ms // PULSE_EVERY_MS)

    def test_it_falls_when_the_link_is_lost(self):
        for start in STARTS:
            street = GuardStreet(start)
            street.ask(PULSE_MS_MAX)
            street.go(3000)
            street.guard.note_frame(street.now)
            street.frames = False
            self.assertEqual(street.go(LINK_MS_MAX - 1), LINK_MS_MAX - 1)
            self.assertEqual(street.go(1), 0)
            self.assertFalse(street.guard.linked(street.now))

    def test_a_pulse_that_fell_does_not_come_back(self):
        street = GuardStreet(0)
        street.ask(PULSE_MS_MAX)
        street.frames = False
        street.go(LINK_MS_MAX + 200)
        street.frames = True
        self.assertEqual(street.go(PULSE_MS_MAX), 0)

    def test_a_frame_that_comes_too_late_does_not_save_the_pulse(self):
        street = GuardStreet(0)
        street.guard.note_frame(street.now)
        street.ask(PULSE_MS_MAX)
        late = (street.now + LINK_MS_MAX) % PERIOD
        street.guard.note_frame(late)  # and nobody asked in between
        self.assertFalse(street.guard.relay_level(late))

    def test_nothing_without_a_link(self):
        fresh = Guard(0)
        for at in range(0, 60_000, 100):
            self.assertEqual(fresh.start_pulse(at, 1000), 0)
            self.assertFalse(fresh.relay_level(at))

    def test_a_restart_is_no_way_to_more(self):
        street = GuardStreet(0, quiet_ms=0)
        street.guard.note_frame(street.now)
        self.assertEqual(street.ask(1), 0)
        given = 0
        for _ in range(PULSES_MAX):
            street.go(1 + REST_MS_MIN)
            given += street.ask(1) > 0
        self.assertEqual(given, 1 + PULSES_MAX * (1 + REST_MS_MIN) // PULSE_EVERY_MS)

    def test_a_clock_that_goes_back_trusts_nothing(self):
        for back in (1, 5000, PERIOD // 2):
            street = GuardStreet(PERIOD + 5)
            street.ask(PULSE_MS_MAX)
            self.assertTrue(street.on())
            street.at -= back
            self.assertFalse(street.on())
            self.assertFalse(street.guard.linked(street.now))
            street.guard.note_frame(street.now)
            street.go(REST_MS_MIN)
            self.assertEqual(street.ask(1000), 0)
            street.go(PULSE_EVERY_MS)
            self.assertEqual(street.ask(1000), 1000)

    @unittest.skipUnless(hasattr(micropython, "heap_lock"), "MicroPython only")
    def test_nothing_is_allocated(self):
        ticks = [at % PERIOD for at in range(PERIOD - 5000, PERIOD + 15_000, 50)]
        watched = Guard(ticks[0])
        relay, frame = watched.relay_level, watched.note_frame
        ask, off = watched.start_pulse, watched.end_pulse
        on = 0
        micropython.heap_lock()  # from here on an allocation raises MemoryError
        try:
            for at in ticks:
                frame(at)
                ask(at, 700)
                if relay(at):
                    on += 1
            off(at)
            relay(ticks[-9])
        finally:
            micropython.heap_unlock()
        self.assertTrue(on > 50)

    def test_years_of_turning_over(self):
        """A step of three days at a time, over many wraps: the same pulse each time."""
        street = GuardStreet(0)
        for _ in range(20):
            street.at += 3 * 24 * 3600 * 1000
            self.assertFalse(street.on())
            self.assertFalse(street.guard.linked(street.now))
            street.guard.note_frame(street.now)
            self.assertEqual(street.ask(500), 500)
            self.assertEqual(street.go(600), 499)

    def test_whatever_comes_the_bounds_hold(self):
        """Random hosts, good and mad, judged by an observer who knows only the pin."""
        for seed in range(5):
            judge(self, seed)


def judge(test, seed):
    """One random run of 40 s; what must always hold is checked at every turn of the loop."""
    state = seed * 2654435761 % 2**32

    def pick(n):
        nonlocal state
        state = (state * 1664525 + 1013904223) % 2**32
        return (state >> 8) % n

    at = STARTS[seed % len(STARTS)]
    watched = Guard(at % PERIOD)
    frame_at = None
    rose = fell = None
    rises = []
    was = False
    while at < STARTS[seed % len(STARTS)] + 40_000:
        at += 1 + pick(20)
        now = at % PERIOD
        if pick(1000 if 2_000 < at % 9_000 < 5_000 else 20) == 0:
            watched.note_frame(now)
            frame_at = at
        what = pick(8)
        if what == 0:
            watched.start_pulse(now, (0, 1, 700, 5_000, PULSE_MS_MAX, 10**9)[pick(6)])
        elif what == 1 and pick(40) == 0:
            watched.end_pulse(now)
        on = watched.relay_level(now)
        where = f"seed {seed}, {at} ms"
        if on:
            test.assertTrue(frame_at is not None and at - frame_at < LINK_MS_MAX, where)
        if on and not was:
            test.assertTrue(fell is None or at - fell >= REST_MS_MIN, where)
            rose = at
            rises.append(at)
            for n in range(len(rises)):
                most = PULSES_MAX + (at - rises[n]) // PULSE_EVERY_MS + 1
                test.assertTrue(len(rises) - n <= most, where)
        if on:
            test.assertTrue(at - rose < PULSE_MS_MAX, where)
        if was and not on:
            fell = at
        was = on
    test.assertTrue(len(rises) > 3, f"seed {seed} opened nothing")


if __name__ == "__main__":
    unittest.main()
