"""`--version`, the same for all three commands: which version this is and when it was built.

The build time matters to an operator: no unit believes a clock that shows an earlier one.
"""

from datetime import UTC, datetime
from importlib import metadata
from typing import Annotated

import typer

from edge import BUILT_S


def line(command: str) -> str:
    """What `command --version` prints: `menshen-edge 0.2.0 (built 2026-12-01)`, a date in UTC."""
    built = datetime.fromtimestamp(BUILT_S, UTC).date()
    return f"{command} {metadata.version('menshen')} (built {built})"


def add_option(app: typer.Typer, command: str) -> None:
    """Give `app`, the command line of `command`, the option `--version`."""

    def print_and_exit(requested: bool) -> None:
        if requested:
            print(line(command))
            raise typer.Exit

    @app.callback()
    def options(
        version: Annotated[
            bool,
            typer.Option(
                "--version",
                callback=print_and_exit,
                is_eager=True,
                help="Print the version and its build date, and exit.",
            ),
        ] = False,
    ) -> None:
        pass
