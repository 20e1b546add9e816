"""Back-off: how long to wait before the next try, longer after each failure up to a bound."""

import random


class Backoff:
    """One thing that is tried again and again. `reset` when it has worked."""

    def __init__(
        self,
        first_s: float,
        most_s: float,
        jitter: float = 0.0,
        rng: random.Random | None = None,
    ) -> None:
        """`first_s`: the wait after the first failure; each further one doubles it up to `most_s`.

        `jitter`: the share by which `rng` makes a wait longer or shorter, so that many units do
        not try in step; 0 needs no `rng`.
        """
        self._first_s, self._most_s = first_s, most_s
        self._jitter, self._rng = jitter, rng or random.Random(0)  # noqa: S311 -- no secret
        self._wait_s = first_s

    def reset(self) -> None:
        """It has worked: the next failure waits for `first_s`."""
        self._wait_s = self._first_s

    def take_wait_s(self) -> float:
        """Seconds to wait now; the next wait is twice as long."""
        wait_s = self._wait_s
        self._wait_s = min(2 * wait_s, self._most_s)
        return self.jittered(wait_s)

    def jittered(self, wait_s: float) -> float:
        """`wait_s`, longer or shorter by up to the jitter."""
        return wait_s * self._rng.uniform(1 - self._jitter, 1 + self._jitter)
