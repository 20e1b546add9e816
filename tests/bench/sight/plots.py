"""The figures as pictures: rates by what is hard, rates against one hardship, and costs."""

import os
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean

import cv2
import numpy as np

os.environ.setdefault("MPLBACKEND", "agg")
import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from tests import scenes
from tests.bench.sight import shown
from tests.bench.sight.work import DecoderResult
from tests.scenes import Luma
from tests.scenes.sweep import HARDSHIPS, Hardship, easy

COLOURS = {
    "menshen": "#0b7a4b",
    "zxing-cpp": "#2b6cb0",
    "pyzbar": "#d97706",
    "OpenCV": "#9ca3af",
    "zxing-cpp, pyzbar": "#7c5cbf",
}
SHOWN = ("zxing-cpp, pyzbar", "OpenCV", "pyzbar", "zxing-cpp", "menshen")  # ours on top
COLUMNS = 4  # of small pictures
INK, FAINT = "#1f2937", "#e5e7eb"

STYLE = {
    "font.size": 9,
    "text.color": INK,
    "axes.edgecolor": "#9ca3af",
    "axes.labelcolor": INK,
    "axes.titlesize": 9,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": FAINT,
    "grid.linewidth": 0.8,
    "axes.axisbelow": True,
    "xtick.color": "#4b5563",
    "ytick.color": "#4b5563",
    "figure.dpi": 110,
    "savefig.bbox": "tight",
    "svg.hashsalt": "menshen",  # the same figures, the same file
    "svg.fonttype": "path",
}


def draw(seen: Sequence[DecoderResult], folder: Path) -> list[Path]:
    """Write what was measured into `folder`; what was not is left out."""
    folder.mkdir(parents=True, exist_ok=True)
    made = []
    with plt.rc_context(STYLE):
        for name, figure in (
            ("categories", _categories(seen)),
            ("hardships", _hardships(seen)),
            ("costs", _costs(seen)),
            ("visits", _visits(seen)),
        ):
            if figure is not None:
                for suffix in ("png", "svg"):
                    path = folder / f"{name}.{suffix}"
                    figure.savefig(path, metadata={"Date": None} if suffix == "svg" else None)
                    made.append(path)
                plt.close(figure)
    return made


def _categories(seen: Sequence[DecoderResult]) -> Figure | None:
    """A dot for each reader on a line for each category, the hardest for zxing-cpp at the top."""
    photos = [s for s in seen if s.kind == "photo"]
    if not photos:
        return None
    groups: dict[str, list[DecoderResult]] = {}
    for s in photos:
        named = s.category.replace("_", " ") if s.group == "boofcv" else f"{s.group} collection"
        groups.setdefault(named, []).append(s)
    peers = _names(photos)
    last = {name: fmean(s.read["zxing-cpp"] for s in some) for name, some in groups.items()}
    order = sorted(groups, key=lambda name: (name.endswith("collection"), last[name]), reverse=True)
    figure, axes = plt.subplots(figsize=(7.6, 0.3 * len(order) + 1.1))
    for y, name in enumerate(order):
        rates = {n: 100 * fmean(s.read[n] for s in groups[name]) for n in peers}
        axes.plot([0, 100], [y, y], color=FAINT, linewidth=6, solid_capstyle="round", zorder=1)
        if "menshen" in rates:
            ends = sorted((rates["zxing-cpp"], rates["menshen"]))
            axes.plot(ends, [y, y], color=COLOURS["menshen"], linewidth=6, alpha=0.35, zorder=2)
        known = 100 * fmean(bool(s.known) for s in groups[name])
        axes.plot([known, known], [y - 0.33, y + 0.33], color=INK, linewidth=1.1, zorder=3)
        for n in peers:
            axes.scatter(
                rates[n],
                y,
                s=58 if n == "menshen" else 30,
                color=COLOURS[n],
                edgecolor="white",
                linewidth=0.8,
                zorder=4 + SHOWN.index(n),
                label=n if y == 0 else None,
            )
    axes.plot([], [], color=INK, linewidth=1.1, label="known texts")
    axes.set_yticks(range(len(order)), [f"{name}, {len(groups[name])}" for name in order])
    axes.grid(visible=False)
    axes.spines["left"].set_visible(False)
    axes.tick_params(left=False)
    axes.set_xlim(-2, 102)
    axes.set_xlabel("% of photographs read")
    axes.legend(
        loc="lower center", bbox_to_anchor=(0.4, 1.0), ncols=len(peers) + 1, frameon=False,
        fontsize=8, handletextpad=0.3, columnspacing=1.0,
    )  # fmt: skip
    return figure


def _hardships(seen: Sequence[DecoderResult]) -> Figure | None:
    """One small picture for each hardship: the share that is read as it grows, and what it is."""
    swept = [s for s in seen if s.kind == "sweep"]
    if not swept:
        return None
    peers = [name for name in _names(swept) if name != "zxing-cpp, pyzbar"]
    there = [h for h in HARDSHIPS if any(s.group == h.name for s in swept)]
    rows = -(-len(there) // COLUMNS)
    figure, grid = plt.subplots(
        2 * rows, COLUMNS, figsize=(10.4, 2.35 * rows), layout="constrained", squeeze=False,
        height_ratios=[0.3, 1] * rows,
    )  # fmt: skip
    figure.get_layout_engine().set(h_pad=0.02, hspace=0.03)  # type: ignore[union-attr]
    strips, panels = grid[0::2].ravel(), grid[1::2].ravel()
    for strip, axes, hardship in zip(strips, panels, there, strict=False):
        strip.imshow(_strip(hardship), cmap="gray", vmin=0, vmax=255)
        strip.axis("off")
        strip.set_title(hardship.name)
        _curves(axes, [s for s in swept if s.group == hardship.name], hardship, peers)
    for axes in panels[::COLUMNS]:
        axes.set_ylabel("% read")
    for axes in (*strips[len(there) :], *panels[len(there) :]):
        axes.axis("off")
    figure.legend(
        *(lines[::-1] for lines in panels[0].get_legend_handles_labels()),
        loc="lower right", bbox_to_anchor=(0.93, 0.08), frameon=False, fontsize=10,
    )  # fmt: skip
    return figure


def _curves(axes: Axes, seen: list[DecoderResult], hardship: Hardship, peers: list[str]) -> None:
    at = np.arange(len(hardship.levels))
    for name in peers:
        rates = [
            100 * fmean(s.read[name] for s in seen if s.category == f"{level:g}")
            for level in hardship.levels
        ]
        ours = name == "menshen"
        axes.plot(
            at,
            rates,
            color=COLOURS[name],
            linewidth=2.4 if ours else 1.3,
            marker="o",
            markersize=3.4 if ours else 2.4,
            clip_on=False,
            label=name,
        )
    axes.set_xlabel(hardship.unit, fontsize=8)
    axes.set_xticks(at[::2], [f"{level:g}" for level in hardship.levels[::2]], fontsize=7.5)
    axes.set_yticks([0, 50, 100])
    axes.set_ylim(-3, 103)


def _strip(hardship: Hardship) -> Luma:
    """The same person at every second level, what is around the symbol cut away."""
    crops = []
    for level in hardship.levels[::2]:
        rng = np.random.default_rng((1, 4, 0))
        text = shown.code(8, 0)
        look = hardship.worsen(easy(text, rng), level)
        luma = scenes.still(text, rng, look)
        x, y, half = round(look.x), round(look.y), 140
        crops.append(luma[max(y - half, 0) : y + half, x - half : x + half])
    strip = np.hstack([np.pad(c, ((0, 0), (0, 16)), constant_values=255) for c in crops])
    return cv2.resize(strip, None, fx=0.4, fy=0.4, interpolation=cv2.INTER_AREA)


def _costs(seen: Sequence[DecoderResult]) -> Figure | None:
    """How many pictures cost at most so much: one curve for each reader, by what is shown."""
    parts = (
        ("photographs", [s for s in seen if s.kind == "photo"]),
        ("door scenes, a code in each", [s for s in seen if s.kind == "still"]),
        ("people pass, no code", [s for s in seen if s.kind == "empty" and s.group == "hall"]),
        ("nothing moves, noise alone", [s for s in seen if s.kind == "rest"]),
    )
    there = [(title, some) for title, some in parts if some]
    if not there:
        return None
    figure, panels = plt.subplots(
        1, len(there), figsize=(2.75 * len(there), 2.7), sharey=True, layout="constrained",
        squeeze=False,
    )  # fmt: skip
    for axes, (title, some) in zip(panels[0], there, strict=True):
        for name in _names(some):
            costs = np.sort([1e3 * cost for s in some for cost in s.cpu_s.get(name, ())])
            if len(costs):
                share = 100 * np.arange(1, len(costs) + 1) / len(costs)
                axes.step(
                    np.maximum(costs, 0.05),
                    share,
                    where="post",
                    color=COLOURS[name],
                    linewidth=2.2 if name == "menshen" else 1.2,
                    label=name,
                )
        axes.set_xscale("log")
        axes.set_xlim(0.05, 120)
        axes.set_ylim(0, 101)
        axes.set_title(title)
        axes.set_xlabel("CPU ms a frame, at most")
        axes.set_xticks([0.1, 1, 10, 100], ["0.1", "1", "10", "100"])
    panels[0][0].set_ylabel("% of frames")
    _legend(figure, panels[0][0])
    return figure


def _visits(seen: Sequence[DecoderResult]) -> Figure | None:
    """The share of visits that are read after so many seconds."""
    versions = sorted({s.group for s in seen if s.kind == "visit"}, key=int)
    if not versions:
        return None
    figure, panels = plt.subplots(
        1, len(versions), figsize=(3.6 * len(versions), 2.9), sharey=True, layout="constrained",
        squeeze=False,
    )  # fmt: skip
    for axes, version in zip(panels[0], versions, strict=True):
        some = [s for s in seen if s.kind == "visit" and s.group == version]
        for name in _names(some):
            times = [s.attended[name].read_s for s in some]
            at = [0.0, *sorted(t for t in times if t is not None), 0.8]
            share = [100 * min(i, len(at) - 2) / len(some) for i in range(len(at))]
            axes.step(
                at,
                share,
                where="post",
                color=COLOURS[name],
                linewidth=2.2 if name == "menshen" else 1.2,
                label=name,
            )
        axes.set_title(f"QR version {version}, {len(some)} visits")
        axes.set_xlabel("seconds after the first frame")
        axes.set_xlim(0, 0.8)
        axes.set_ylim(0, 100)
    panels[0][0].set_ylabel("% read")
    _legend(figure, panels[0][0])
    return figure


def _legend(figure: Figure, axes: Axes) -> None:
    """Beside the panels, ours first."""
    handles, labels = axes.get_legend_handles_labels()
    figure.legend(
        handles[::-1], labels[::-1], frameon=False, fontsize=8, loc="outside right center"
    )


def _names(seen: Sequence[DecoderResult]) -> list[str]:
    """The readers that were measured, the ones to be seen best last."""
    there = {name for s in seen for name in (*s.read, *s.cpu_s)}
    return [name for name in SHOWN if name in there]
