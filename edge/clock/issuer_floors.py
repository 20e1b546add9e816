"""The earliest that the time can be, by what each issuer key has signed."""

import math

from edge.clock.time_interval import DRIFT_PPM, Interval, Now


class IssuerFloors:
    """The newest `iat` that each issuer key has signed: true time is not before it.

    A floor applies only to codes of its own key: a key that signs ahead harms no other issuer.
    In memory only, because on a disk it would be a last-seen.
    """

    def __init__(self) -> None:
        self._floors: dict[bytes, tuple[float, int, float]] = {}  # key: (iat, cap, monotonic)

    def raise_to(self, key: bytes, iat_s: int, until_s: int, now: Now) -> None:
        """A code of `key` with this `iat_s` was verified; `until_s` ends the key's window."""
        if iat_s > now.interval.latest_s:
            return
        capped_s = min(iat_s, until_s)
        if capped_s > self._floor_s(key, now):
            self._floors[key] = (capped_s, until_s, now.monotonic_s)

    def of(self, key: bytes, now: Now) -> Interval:
        """`now` with its earliest raised by what `key` has signed."""
        floor_s = self._floor_s(key, now)
        if not now.interval.earliest_s < floor_s <= now.interval.latest_s:
            return now.interval
        return Interval(math.floor(floor_s), now.interval.latest_s, now.interval.source)

    def note_sync(self, now: Now) -> None:
        """After an authenticated sync: floors above its latest time were wrong."""
        latest_s = now.interval.latest_s
        self._floors = {k: f for k, f in self._floors.items() if self._floor_s(k, now) <= latest_s}

    def _floor_s(self, key: bytes, now: Now) -> float:
        """The floor with the monotonic time passed, within the key's window."""
        if key not in self._floors:
            return 0.0
        iat_s, until_s, raised_s = self._floors[key]
        passed_s = (now.monotonic_s - raised_s) * (1 - DRIFT_PPM * 1e-6)
        return min(iat_s + passed_s, until_s)
