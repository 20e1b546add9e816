"""How well the camera sees, judged by its low-resolution picture alone: light, structure, edges.

No single frame changes anything: a problem is reported after it has lasted for minutes, and cleared
after it has been absent for minutes, so one passage does neither. Low resolution does not show how
much a blur harms a code that is only pixels wide: use `menshen-edge look` for focusing.
"""

from collections import Counter, deque
from typing import Literal, NamedTuple, get_args

from edge.parts import Trouble
from edge.sight.frame import Exposure, Luma

SAMPLE_S = 1.0
WINDOW = 180  # samples: three minutes
MOST = 0.9  # the share of the window that must agree

WIDTH = 320  # wider pictures are thinned to about this
ROWS, COLUMNS = 12, 16  # blocks so large that their means have almost no noise

DARK = 30  # a mean luma that no gain could raise; black is 16 from most USB cameras
FLAT = 1.0  # luma by which a block differs from its neighbours, where it differs most
FLAT_IN_THE_DARK = 0.4  # of a black picture; between, in proportion to its mean
VEILED = 0.2  # (bright - dark) / (bright + dark) of the scene; a hall has 0.5 and more
SOFT = 1.3
"""The steepest edge divided by the largest step between blocks. For halls behind the plane of focus
(tests/scenes) it is 1.7 to 2.9. With a further blur of sigma 6 pixels of 1280 it is 1.3 to 1.7;
with 8, 1.0 to 1.4; with 12, 0.8 to 1.1; with 16, 0.7 to 1.0. Noise only raises it."""

SUDDEN_S = 10
"""A picture that turns black within this time is covered; nightfall is slower."""

GREY = 0.16  # linear light of a well-exposed picture, as in libcamera's exposure control
UNKNOWN_MS = 12.0  # assumed when the camera does not report its exposure
DIM_MS = 40.0
"""A picture that would need this exposure at gain 1 is dim: gain 10 at a shutter of 4 ms."""
BRIGHT_MS = 13.0
DIM_AFTER_S = 3.0  # longer than a hand needs to pass close to the lens
BRIGHT_AFTER_S = 60.0
SETTLED_S = 3.0  # the exposure follows the illuminator by then
RELAPSE_S = 300.0
RELAPSES_MAX = 6

_Kind = Trouble | Literal["ok"]
_TROUBLES: tuple[Trouble, ...] = get_args(Trouble)


class ViewHealth:
    """The state of one camera's view. It gets every frame and examines one each second."""

    def __init__(self) -> None:
        self._illuminator = Illuminator()
        self._kinds: deque[_Kind] = deque(maxlen=WINDOW)
        self._counts: Counter[_Kind] = Counter()
        self._means: deque[float] = deque(maxlen=int(SUDDEN_S / SAMPLE_S))
        self._next_s = float("-inf")
        self._black = self._fell = False
        self.trouble: Trouble | None = None

    @property
    def dim(self) -> bool:
        """Whether the illuminator should be on."""
        return self._illuminator.on

    def take_frame(self, small: Luma, exposure: Exposure | None, seen_s: float) -> None:
        """Take one frame into account. `small`: uint8, height x width; `seen_s`: monotonic."""
        if seen_s < self._next_s:
            return
        self._next_s = seen_s + SAMPLE_S
        looked = look(small)
        self._illuminator.take_light(looked.mean, exposure, seen_s)
        self._count(self._kind(looked))
        self._means.append(looked.mean)

    def _kind(self, looked: "ViewFigures") -> _Kind:
        flat = looked.structure < FLAT * min(1.0, max(FLAT_IN_THE_DARK, looked.mean / DARK))
        if flat and looked.mean < DARK:
            if not self._black:
                self._black, self._fell = True, max(self._means, default=0.0) >= DARK
            return "covered" if self._fell else "dark"
        self._black = False
        if flat:
            return "covered"
        if looked.mean < DARK:
            return "dark"
        if looked.contrast < VEILED:
            return "dirty"
        return "unfocused" if looked.edge < SOFT * looked.structure else "ok"

    def _count(self, kind: _Kind) -> None:
        if len(self._kinds) == WINDOW:
            self._counts[self._kinds[0]] -= 1
        self._kinds.append(kind)
        self._counts[kind] += 1
        well = self._counts["ok"]
        if well >= MOST * WINDOW:
            self.trouble = None
        elif len(self._kinds) - well >= MOST * WINDOW:
            worst = max(_TROUBLES, key=self._counts.__getitem__)
            if self.trouble is None or self._counts[worst] >= MOST * WINDOW:
                self.trouble = worst


class Illuminator:
    """On in low light, judged by the light of the scene without its own.

    If it gets dark again soon after it was switched off, the next switching off takes twice as
    long. So it does not flicker, whatever stands before the lamp.
    """

    def __init__(self) -> None:
        self.on = False
        self._since_s = float("-inf")  # when it was switched last
        self._other_since_s: float | None = None  # since when the light calls for the other state
        self._before = 0.0  # the scene's light just before it was switched on
        self._own: float | None = None  # its own light; None: not known yet
        self._relapses = 0

    def take_light(self, mean: float, exposure: Exposure | None, seen_s: float) -> None:
        """Take the mean luma of one picture into account."""
        light = _light(mean, exposure)
        if not self.on:
            if self._lasts(light < 1 / DIM_MS, DIM_AFTER_S, seen_s):
                relapse = seen_s - self._since_s < RELAPSE_S
                self._relapses = min(self._relapses + 1, RELAPSES_MAX) if relapse else 0
                self._switch(True, seen_s)
                self._before, self._own = light, None
            return
        if self._own is None:
            if seen_s - self._since_s < SETTLED_S:
                return
            self._own = max(0.0, light - self._before) if exposure else 0.0
        after_s = BRIGHT_AFTER_S * 2**self._relapses
        if self._lasts(light - self._own > 1 / BRIGHT_MS, after_s, seen_s):
            self._switch(False, seen_s)

    def _lasts(self, other: bool, after_s: float, seen_s: float) -> bool:
        if not other:
            self._other_since_s = None
            return False
        if self._other_since_s is None:
            self._other_since_s = seen_s
        return seen_s - self._other_since_s >= after_s

    def _switch(self, on: bool, seen_s: float) -> None:
        self.on, self._since_s, self._other_since_s = on, seen_s, None


class ViewFigures(NamedTuple):
    """One picture in numbers, in luma but for `contrast`."""

    mean: float
    contrast: float  # (bright - dark) / (bright + dark)
    structure: float  # how much a block differs from its neighbours, without noise
    edge: float  # the steepest steps between neighbouring pixels


def look(small: Luma) -> ViewFigures:
    """The numbers of one picture, uint8, at least 48 x 64. Costs some 100,000 additions."""
    import numpy as np

    step = max(1, small.shape[1] // WIDTH)
    small = small[::step, ::step]
    height, width = small.shape[0] // 2 * 2, small.shape[1] // 2 * 2
    wide = small[:height, :width].astype(np.float32)
    half = (wide[::2, ::2] + wide[1::2, ::2] + wide[::2, 1::2] + wide[1::2, 1::2]) / 4
    down, across = half.shape[0] // ROWS, half.shape[1] // COLUMNS
    blocks = half[: down * ROWS, : across * COLUMNS]
    means = blocks.reshape(ROWS, down, COLUMNS, across).mean((1, 3))
    around = means[:-2, 1:-1] + means[2:, 1:-1] + means[1:-1, :-2] + means[1:-1, 2:]
    differ = np.abs(means[1:-1, 1:-1] - around / 4)
    steps = np.abs(np.diff(half, axis=1))
    noise = float(np.median(steps)) / (0.6745 * 2**0.5)  # sigma of a pixel of `half`
    low, high = np.percentile(half, (2, 98))
    return ViewFigures(
        float(half.mean()),
        float((high - low) / max(high + low, 1.0)),
        max(0.0, float(np.percentile(differ, 95)) ** 2 - 4.8 * noise**2 / (down * across)) ** 0.5,
        float(np.percentile(steps, 99.5)),
    )


def _light(mean: float, exposure: Exposure | None) -> float:
    """Light of the scene: 1 / the ms at gain 1 that would expose it well."""
    linear = float((mean / 255) ** 2.2)
    taken_ms = exposure.shutter_us / 1000 * exposure.gain if exposure else UNKNOWN_MS
    return linear / GREY / max(taken_ms, 0.001)
