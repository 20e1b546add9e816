"""The picture of the simulation: pin and coil current over time, one row for each case."""

from pathlib import Path

import matplotlib as mpl

from hardware.circuit.simulate import CircuitCase, Netlist, run, square

mpl.use("Agg")
from matplotlib import pyplot as plt  # after mpl.use

NEVER = 1e9

CASES = (
    ("A pulse of 3 s: the relay turns off with the pin", CircuitCase(square(1, 4), 15)),
    (
        "The pin stays high: the board ends the pulse, and needs 0.25 s of low before the next",
        CircuitCase(square(1, 13, 13.25), 15),
    ),
    (
        "The pin flickers (0.05 s low each second): the time does not restart",
        CircuitCase(square(*(t for i in range(14) for t in (1 + i, 1.95 + i))), 15),
    ),
    (
        "The pin is high when the supply comes on: nothing opens until it has been low",
        CircuitCase(
            [(0, 3.3), (6, 3.3), (6.001, 0), (6.25, 0), (6.251, 3.3)],
            15,
            [(0, 0), (1, 0), (1.02, 12)],
        ),
    ),
    (
        "The supply dips for 0.1 s during a pulse: the relay turns off and stays off",
        CircuitCase(
            square(1, 9, 10, 12),
            15,
            [(0, 0), (0.02, 12), (3, 12), (3.01, 4), (3.1, 4), (3.11, 12)],
        ),
    ),
)


def draw(nets: Netlist, to: Path) -> None:
    """Simulate each case and write the picture as PNG."""
    mpl.rcParams.update({"font.size": 9, "font.family": "DejaVu Sans", "svg.hashsalt": "menshen"})
    figure, rows = plt.subplots(len(CASES), 1, figsize=(9, 10), sharex=True, layout="constrained")
    for row, (title, case) in zip(rows, CASES, strict=True):
        result = run(nets, case)
        row.fill_between(
            result["t"],
            0,
            result["pin"] / 3.3 * 36,
            step=None,
            color="#c9d7e8",
            lw=0,
            label="pin (high)",
        )
        if any(volts == 4 for _, volts in case.supply) or case.supply[1][1] == 0:
            row.plot(
                result["t"],
                result["supply"] / 12 * 36,
                color="#b08030",
                lw=1,
                ls=":",
                label="12 V supply",
            )
        row.plot(result["t"], result["coil_ma"], color="#a01c1c", lw=1.6, label="coil's current")
        row.set_title(title, loc="left", fontsize=9.5)
        row.set_ylabel("mA")
        row.set_ylim(-1.5, 40)
        row.set_yticks([0, 10, 20, 30])
        row.grid(alpha=0.25)
        row.legend(loc="upper right", fontsize=7.5, ncols=3, framealpha=0.95)
        for spine in ("top", "right"):
            row.spines[spine].set_visible(False)
    rows[-1].set_xlabel("seconds")
    rows[-1].set_xlim(0, 15)
    rows[-1].set_xticks(range(16))
    figure.savefig(to, dpi=110, metadata={"Software": None})
    plt.close(figure)
