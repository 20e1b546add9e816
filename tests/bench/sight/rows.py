"""The table: each figure for each reader in the same run, its bound, and whether it holds."""

import statistics
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Literal

import numpy as np

from tests.bench.sight import shown
from tests.bench.sight.photos import SCREENS
from tests.bench.sight.visits import paired
from tests.bench.sight.work import DecoderResult

SURE = 1.96
"""Standard errors: the difference of two counts is more than their error in 95 of 100 runs."""
P95_BY_PYZBAR = 40 / 10.4
"""40 ms where pyzbar's mean on such photographs is 10.4 ms, so that a machine's speed is out."""

Sense = Literal["at least", "at most", "more than"]
OURS, ZXING, ZBAR = "menshen", "zxing-cpp", "pyzbar"


@dataclass(frozen=True, slots=True)
class Row:
    """One figure. `values` by reader; the bound is for ours alone."""

    key: str
    says: str
    unit: Literal["%", "ms", "x", "count", "points", "s"]
    values: dict[str, float]
    sense: Sense | None = None
    bound: float | None = None
    goal: float | None = None
    notes: tuple[str, ...] = ()  # of single pictures

    @property
    def within(self) -> bool | None:
        """None: there is no bound, or we were not measured."""
        ours = self.values.get(OURS)
        if self.sense is None or self.bound is None or ours is None:
            return None
        if self.sense == "more than":
            return ours > self.bound
        return ours >= self.bound if self.sense == "at least" else ours <= self.bound

    def document(self) -> dict[str, object]:
        return asdict(self) | {"within": self.within}


@dataclass(slots=True)
class Section:
    """Rows that belong together."""

    title: str
    rows: list[Row] = field(default_factory=list)


def sections(seen: Sequence[DecoderResult]) -> list[Section]:
    """Every section that was measured."""
    made = [_photographs(seen), _categories(seen), _scenes(seen), _quiet(seen), _visits(seen)]
    return [section for section in made if section.rows] + [_false(seen)]


def missed(made: Iterable[Section]) -> list[Row]:
    """Rows whose bound does not hold."""
    return [row for section in made for row in section.rows if row.within is False]


def _photographs(seen: Sequence[DecoderResult]) -> Section:
    section = Section("photographs")
    photos = [s for s in seen if s.kind == "photo"]
    boofcv = [s for s in photos if s.group == "boofcv"]
    others = [s for s in photos if s.group != "boofcv"]
    screens = [s for s in boofcv if (s.group, s.category) == SCREENS]
    if boofcv:
        section.rows += [
            _rate("boofcv", f"BoofCV, {len(boofcv)} pictures", boofcv, 78, 82),
            _count("screens", f"  photographed screens, of {len(screens)}", screens),
            _ms("boofcv_mean_ms", "  mean cost", boofcv, statistics.fmean),
            _ms("boofcv_median_ms", "  median cost", boofcv, statistics.median),
            _ms("boofcv_p95_ms", "  95th percentile", boofcv, _p95),
            _by("boofcv_mean_by_pyzbar", "  mean cost / pyzbar's", boofcv, ZBAR, 0.5),
            _p95_by_pyzbar(boofcv),
        ]
    for corpus in sorted({s.group for s in others}):
        some = [s for s in others if s.group == corpus]
        section.rows.append(_rate(corpus, f"{corpus}, {len(some)} pictures", some))
    if others:
        says = f"all but BoofCV, {len(others)} pictures"
        section.rows += [
            _rate("others", says, others, 92),
            _ms("others_mean_ms", "  mean cost", others, statistics.fmean),
        ]
    return section


def _categories(seen: Sequence[DecoderResult]) -> Section:
    section = Section("photographs, by what is hard (no bounds)")
    boofcv = [s for s in seen if s.kind == "photo" and s.group == "boofcv"]
    for category in sorted({s.category for s in boofcv}):
        some = [s for s in boofcv if s.category == category]
        says = f"{category.replace('_', ' ')}, {len(some)}"
        section.rows.append(_rate(f"boofcv_{category}", says, some))
    return section


def _scenes(seen: Sequence[DecoderResult]) -> Section:
    section = Section("door scenes, one picture each")
    for version, least in zip(shown.KINDS, (70, 55), strict=True):
        stills = [s for s in seen if s.kind == "still" and s.group == str(version)]
        if stills:
            says = f"version {version} ({shown.KINDS[version]}), {len(stills)}"
            section.rows += [
                _rate(f"scenes_{version}", says, stills, least),
                _ms(f"scenes_{version}_mean_ms", "  mean cost", stills, statistics.fmean),
                _ms(f"scenes_{version}_p95_ms", "  95th percentile", stills, _p95),
            ]
    dark = [s for s in seen if s.kind == "dark"]
    if dark:
        section.rows.append(_rate("dark", f"dark mode, {len(dark)}", dark, 100))
    return section


def _quiet(seen: Sequence[DecoderResult]) -> Section:
    section = Section("frames in which nobody shows a code")
    halls = [s for s in seen if s.kind == "empty" and s.group == "hall"]
    cluttered = [s for s in seen if s.kind == "empty" and s.group == "clutter"]
    quiet = [s for s in seen if s.kind == "empty" and s.group == "quiet"]
    resting = [s for s in seen if s.kind == "rest" and s.group == "hall"]
    holding = [s for s in seen if s.kind == "rest" and s.group == "code"]
    usb = [s for s in seen if s.kind == "rest" and s.group == "usb"]
    for key, says, some, most in (
        ("quiet", "people pass, nothing located", quiet, 1.25),
        ("hall", "the same, all frames", halls, None),
        ("clutter", "the same before clutter", cluttered, None),
        ("rest", "a still scene with noise", resting, 0.25),
        ("held", "a code held still", holding, 0.25),
        ("usb", "a still scene, a USB camera", usb, None),
    ):
        if some:
            section.rows += [
                _ms(f"{key}_ms", f"{says}, mean cost", some, statistics.fmean),
                _by(f"{key}_by_zxing", "  mean cost / zxing-cpp's", some, ZXING, most),
            ]
    return section


def _visits(seen: Sequence[DecoderResult]) -> Section:
    section = Section("visits of 0.8 s, on a processor five times slower")
    for version, goal in zip(shown.KINDS, (75, 90), strict=True):
        visits = [s for s in seen if s.kind == "visit" and s.group == str(version)]
        if not visits:
            continue
        names = list(visits[0].read)
        says = f"version {version} ({shown.KINDS[version]}), {len(visits)}"
        section.rows.append(_rate(f"visits_{version}", says, visits, goal=goal))
        theirs = [s.read[ZXING] for s in visits]
        pairs = {n: paired([s.read[n] for s in visits], theirs) for n in names if n != ZXING}
        section.rows += [
            Row(
                f"visits_{version}_more",
                "  more than zxing-cpp reads",
                "points",
                {n: 100 * mean for n, (mean, _) in pairs.items()},
                "more than",
                100 * SURE * pairs[OURS][1] if OURS in pairs else None,
            ),
            Row(
                f"visits_{version}_read_s",
                "  median time to the read",
                "s",
                {n: _median(s.attended[n].read_s for s in visits) for n in names},
            ),
            Row(
                f"visits_{version}_dropped",
                "  frames dropped, of each visit",
                "count",
                {n: statistics.fmean(s.attended[n].dropped for s in visits) for n in names},
            ),
        ]
    return section


def _false(seen: Sequence[DecoderResult]) -> Section:
    wrong = [(name, s, text) for s in seen for name, text in s.wrong]
    alone = [(name, s, text) for s in seen for name, text in s.alone]
    again = [(name, s, text) for name, s, text in wrong + alone if _again(s, text, wrong + alone)]
    once, open_ = ([told for told in some if told not in again] for some in (wrong, alone))
    return Section(
        "texts that are not there",
        [
            _texts(seen, "false", "false, of all pictures and frames", once, 0),
            _texts(seen, "alone", "by one family, where no truth is known", open_, None),
            _texts(seen, "again", "by one family, in several photographs", again, None),
        ],
    )


def _again(seen: DecoderResult, text: str, told: list[tuple[str, DecoderResult, str]]) -> bool:
    """Whether other photographs of the collection are read so: noise does not err alike twice.

    A guess at an encoding does, so the text must be ASCII.
    """
    others = {s.name for _, s, said in told if s.group == seen.group and said == text}
    return seen.kind == "photo" and text.isascii() and len(others) > 1


def _texts(
    seen: Sequence[DecoderResult],
    key: str,
    says: str,
    told: list[tuple[str, DecoderResult, str]],
    most: float | None,
) -> Row:
    names = dict.fromkeys(name for s in seen for name in s.cpu_s)
    return Row(
        key,
        says,
        "count",
        {n: float(sum(name == n for name, _, _ in told)) for n in names},
        None if most is None else "at most",
        most,
        notes=tuple(f"{key}: {name}: {s.kind} {s.name}: {text!r}" for name, s, text in told),
    )


def _rate(
    key: str,
    says: str,
    seen: list[DecoderResult],
    least: float | None = None,
    goal: float | None = None,
) -> Row:
    values = {n: 100 * statistics.fmean(s.read[n] for s in seen) for n in seen[0].read}
    return Row(key, says, "%", values, "at least" if least else None, least, goal)


def _count(key: str, says: str, seen: list[DecoderResult]) -> Row:
    """All of them are to be read."""
    names = seen[0].read if seen else {}
    values = {n: float(sum(s.read[n] for s in seen)) for n in names}
    return Row(key, says, "count", values, "at least", len(seen))


def _ms(
    key: str,
    says: str,
    seen: list[DecoderResult],
    of: Callable[[list[float]], float],
    unit: float = 1e3,
) -> Row:
    return Row(key, says, "ms", {n: of(_costs(seen, n)) * unit for n in seen[0].cpu_s})


def _by(key: str, says: str, seen: list[DecoderResult], whose: str, most: float | None) -> Row:
    theirs = statistics.fmean(_costs(seen, whose))
    values = {n: statistics.fmean(_costs(seen, n)) / theirs for n in seen[0].cpu_s}
    return Row(key, says, "x", values, "at most" if most else None, most)


def _p95_by_pyzbar(seen: list[DecoderResult]) -> Row:
    theirs = statistics.fmean(_costs(seen, ZBAR))
    values = {n: _p95(_costs(seen, n)) / theirs for n in seen[0].cpu_s}
    says = "  95th percentile / pyzbar's mean"
    return Row("boofcv_p95_by_pyzbar", says, "x", values, "at most", round(P95_BY_PYZBAR, 2))


def _costs(seen: list[DecoderResult], name: str) -> list[float]:
    return [cost for s in seen for cost in s.cpu_s.get(name, ())]


def _p95(costs: list[float]) -> float:
    return float(np.percentile(costs, 95))


def _median(values: Iterable[float | None]) -> float:
    there = [value for value in values if value is not None]
    return statistics.median(there) if there else float("nan")
