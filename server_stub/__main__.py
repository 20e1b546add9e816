"""The command `menshen-server`: one sub-command for each program of the central side."""

import logging
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

app = typer.Typer(
    help="The central side of Menshen: broker, collector, issuer, operators' page.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

EstateFolder = Annotated[
    Path, typer.Argument(metavar="ESTATE", help="The folder that menshen-provision made.")
]
StoreUrl = Annotated[
    str,
    typer.Option(
        "--store",
        envvar="MENSHEN_STORE",
        help="The store, as sqlite:////var/lib/menshen/menshen.db",
    ),
]
Host = Annotated[str, typer.Option(help="The address to serve at.")]


@app.command()
def broker(
    estate: EstateFolder,
    state: Annotated[Path, typer.Option(help="Where the broker keeps its files.")],
    host: Host = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535, help="The port.")] = 8883,
) -> None:
    """Run Mosquitto for this estate: TLS with certificates of its own authority, nobody else."""
    from server_stub import broker
    from server_stub.estate import Estate

    broker.run(Estate(estate), state, host, port)


@app.command()
def collector(
    estate: EstateFolder,
    store: StoreUrl,
    broker_host: Annotated[str, typer.Option(help="A name in its certificate.")] = "localhost",
    broker_port: Annotated[int, typer.Option(min=1, max=65535)] = 8883,
) -> None:
    """Take the units' messages into the store and acknowledge what is stored."""
    from server_stub import collector
    from server_stub import store as stores
    from server_stub.estate import Estate

    collector.run(Estate(estate), stores.open_store(store), broker_host, broker_port)


def main() -> None:
    """Run the command; what is wrong with its input is one sentence and exit code 2."""
    logging.basicConfig(format="%(asctime)s %(message)s", datefmt="%Y-%m-%dT%H:%M:%S")
    try:
        app()
    except ValueError as error:
        if not _for_people(error):
            raise
        Console(stderr=True, soft_wrap=True, highlight=False, markup=False).print(f"{error}")
        sys.exit(2)


def _for_people(error: ValueError) -> bool:
    """Our own errors carry a sentence; any other is a fault of ours and shows where."""
    return type(error).__module__.startswith("server_stub.")


if __name__ == "__main__":
    main()
