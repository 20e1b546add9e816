"""`make fuzz`: a million mutants, then ten minutes of atheris. Exit 1 when anything is found."""

import os
import sys
import time
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from tests.fuzz import mutants, search
from tests.fuzz.wounds import RAW, SIGNED, SIGNED_HELD, TEXT

console = Console()


def main(
    count: Annotated[int, typer.Option("--mutants", min=0, help="How many; 0: none.")] = 1_000_000,
    minutes: Annotated[float, typer.Option(min=0, help="Of atheris; 0: none.")] = 10.0,
    first: Annotated[int, typer.Option(min=0, help="The first block of a thousand.")] = 0,
    jobs: Annotated[int, typer.Option(min=1, help="Processes.")] = os.cpu_count() or 1,
) -> None:
    """Hurt valid codes in every way we know; no door may believe one, nor fall over."""
    good = True
    if count:
        good = hurt(-(-count // mutants.BLOCK), first, jobs)
    if minutes:
        good = search.run(minutes * 60 * 0.8, console) and good
        good = search.run(minutes * 60 * 0.2, console, "documents") and good
    sys.exit(0 if good else 1)


def hurt(blocks: int, first: int, jobs: int) -> bool:
    tally, began_s = mutants.MutantTally(), time.monotonic()
    with Progress(
        TextColumn("mutants"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(),
        TextColumn("{task.fields[found]}"), console=console,
    ) as progress:  # fmt: skip
        task = progress.add_task("", total=blocks * mutants.BLOCK, found="")
        for part in mutants.blocks(first, blocks, jobs):
            tally.add(part)
            found = f"[red]{len(tally.found)} found" if tally.found else "none found"
            progress.update(task, advance=mutants.BLOCK, found=found)
    took_s = time.monotonic() - began_s
    for finding in tally.found:
        console.print(str(finding), style="red", markup=False, highlight=False)
    kinds = len(set(RAW + TEXT)) + len(set(SIGNED + SIGNED_HELD))
    console.print(
        f"{tally.mutants} mutants by {len(tally.wounds)} of {kinds} wounds in {took_s:.0f} s "
        f"({tally.mutants / took_s:.0f} a second): {len(tally.found)} found; "
        f"{tally.unhurt} came out unhurt and were genuine.",
        highlight=False,
    )
    for verdict, times in tally.verdicts.most_common():
        console.print(f"  {times:8}  {verdict}", highlight=False)
    return not tally.found


if __name__ == "__main__":
    typer.run(main)
