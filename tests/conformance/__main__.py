"""`python -m tests.conformance reader -- COMMAND`; the same with `issuer` and `wallet`."""

import sys
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from tests.conformance import kit
from tests.conformance.kit import Result
from tests.conformance.program import LATE_S, ReaderProgram

app = typer.Typer(add_completion=False, no_args_is_help=True)
console = Console()

Command = Annotated[list[str], typer.Argument(help="The program under test, behind --.")]
Late = Annotated[float, typer.Option("--late-s", min=0.1, help="How long an answer may take.")]


@app.command()
def reader(command: Command, late_s: Late = LATE_S) -> None:
    """Show a reader every vector: it must say of each what the vector expects."""
    run(kit.reader, command, late_s)


@app.command()
def issuer(command: Command, late_s: Late = LATE_S) -> None:
    """Ask an issuer for codes and read them strictly."""
    run(kit.issuer, command, late_s)


@app.command()
def wallet(command: Command, late_s: Late = LATE_S) -> None:
    """Ask a wallet to sign around codes, and read what it shows strictly."""
    run(kit.wallet, command, late_s)


def run(
    questions: Callable[[ReaderProgram], Iterator[Result]], command: list[str], late_s: float
) -> None:
    """Exit 0: it conforms; 1: it does not; 2: it never answered."""
    with ReaderProgram(command, late_s) as program:
        results: list[Result] = []
        for result in questions(program):
            results.append(result)
            if len(results) == 3 and all(map(_silent, results)):  # nothing to speak of
                console.print(f"{' '.join(command)} does not answer: {result.wrong}", style="red")
                sys.exit(2)
    failed = [result for result in results if result.wrong]
    good, bad = Counter(r.group for r in results), Counter(r.group for r in failed)
    table = Table("rule" if questions is not kit.reader else "expected", "passed", "failed")
    for group in sorted(good):
        table.add_row(group, str(good[group] - bad[group]), str(bad[group] or "-"))
    console.print(table)
    for result in failed:
        console.print(f"{result.name}: {result.wrong}", style="red", highlight=False)
        console.print(f"    {result.why}", highlight=False)
    conforms = "It conforms." if not failed else f"It does NOT conform: {len(failed)} failed."
    console.print(f"{len(results) - len(failed)} of {len(results)} passed. {conforms}")
    sys.exit(1 if failed else 0)


def _silent(result: Result) -> bool:
    said = result.wrong.removeprefix(f"expected {result.group}, said ")
    return said.startswith(("it cannot be started", "no answer within", "stopped ("))


if __name__ == "__main__":
    app()
