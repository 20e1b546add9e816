"""The command `menshen-server`: one sub-command for each program of the central side."""

import logging
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from rich.console import Console

from edge import extras, version

if TYPE_CHECKING:
    from server_stub.issuing import records

app = typer.Typer(
    help="The central side of Menshen: broker, collector, issuer, operators' page.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
version.add_option(app, "menshen-server")

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
WalletUrl = Annotated[str, typer.Option(help="Where phones reach the wallet page.")]
ColourName = Literal["green", "yellow", "red"]
Host = Annotated[str, typer.Option(help="The address to serve at.")]


@app.command()
def broker(
    estate: EstateFolder,
    state: Annotated[Path, typer.Option(help="Where the broker keeps its files.")],
    host: Host = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535, help="The port.")] = 8883,
) -> None:
    """Run Mosquitto for this estate: TLS with certificates of its own authority, nobody else."""
    from server_stub.collecting import broker
    from server_stub.estate import Estate

    broker.run(Estate(estate), state, host, port)


@app.command()
def collector(
    estate: EstateFolder,
    store: StoreUrl,
    broker_host: Annotated[str, typer.Option(help="A name in its certificate.")] = "localhost",
    broker_port: Annotated[int, typer.Option(min=1, max=65535)] = 8883,
    clock_error_ms: Annotated[
        int, typer.Option(min=1, max=60_000, help="How far this machine's clock may be off.")
    ] = 1000,
    look_s: Annotated[
        float,
        typer.Option(min=0.1, max=3600, help="How often newer documents are looked for, seconds."),
    ] = 15.0,
) -> None:
    """Take the units' messages into the store, acknowledge what is stored, tell them the time."""
    from server_stub import store as stores
    from server_stub.collecting import collector
    from server_stub.estate import Estate

    collector.run(
        Estate(estate), stores.open_store(store), broker_host, broker_port, clock_error_ms, look_s
    )


@app.command()
def issuer(
    estate: EstateFolder,
    name: Annotated[str, typer.Argument(help="The issuer.")],
    store: StoreUrl,
    host: Host = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="The port; 0: any free one.")] = 8080,
    life_s: Annotated[int, typer.Option(help="How many seconds a bearer code lives.")] = 600,
    holder_life_s: Annotated[
        int | None,
        typer.Option(
            help="How many seconds a code lives that works only with the phone's own key. "
            "[default: 12 hours, or the issuer's longest life if that is shorter]",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Sign codes over HTTP for unlocked records, and serve the wallet page.

    Put TLS in front of it: a phone keeps a key and works offline only on an https:// page.
    """
    from server_stub import store as stores
    from server_stub.estate import Estate
    from server_stub.issuing import issuer

    issuer.run(Estate(estate), name, stores.open_store(store), host, port, life_s, holder_life_s)


@app.command()
def enrol(
    estate: EstateFolder,
    name: Annotated[str, typer.Argument(help="The issuer that will sign.")],
    store: StoreUrl,
    colour: Annotated[ColourName, typer.Option(help="The colour to begin with.")] = "green",
    aud: Annotated[list[str] | None, typer.Option(help="A door group; may be repeated.")] = None,
    scope: Annotated[str | None, typer.Option(help='Grants, as "staff:acme slow".')] = None,
    url: WalletUrl = "http://127.0.0.1:8080/",
) -> None:
    """Make a record and print its activation secret: once, it is stored nowhere."""
    from edge.wire.code import Colour
    from server_stub import store as stores
    from server_stub.estate import Estate
    from server_stub.issuing import records

    Estate(estate).issuer(name)  # says so if there is none
    with stores.changing(store) as connection:
        made = records.enrol(
            connection, name, Colour[colour.upper()], tuple(aud or ()), scope or None
        )
    _print_enrolled(made, url)


@app.command()
def colour(
    record: Annotated[str, typer.Argument(help="The record, as enrol printed it.")],
    colour: Annotated[ColourName, typer.Argument(help="Its new colour.")],
    store: StoreUrl,
    until: Annotated[
        str | None, typer.Option(help="When it turns by itself, as 2026-12-01T00:00Z.")
    ] = None,
    then: Annotated[
        ColourName | None, typer.Option(help="What it turns to. [default: green]")
    ] = None,
) -> None:
    """Change a record's colour, for good or until a moment; its holder sees it at the next renewal.

    Its codes that live long, and its sheets of paper, are taken back; so are party codes that speak
    for it, if its colour became worse.
    """
    from edge.wire.code import Colour
    from server_stub import store as stores
    from server_stub.issuing import records

    now_s, first = int(time.time()), Colour[colour.upper()]
    turn = records.parse_turn(first, until, Colour[then.upper()] if then else None, now_s)
    with stores.changing(store) as connection:
        records.recolour(connection, record, first, now_s, turn)
    later = f", and {turn.colour.name.lower()} from {until} on" if turn else ""
    print(f"record {record} is {colour} from its next renewal on{later}")


@app.command()
def party(
    record: Annotated[str, typer.Argument(help="Who speaks, as enrol printed it.")],
    store: StoreUrl,
    members: Annotated[
        list[str] | None, typer.Argument(help="1 to 8 other records of the same issuer.")
    ] = None,
) -> None:
    """Let a record's phone show one code for several people: a family, a class with its teacher.

    It is green only if all of them are. Without MEMBERS the record speaks only for itself again.
    """
    from server_stub import store as stores
    from server_stub.issuing import parties

    with stores.changing(store) as connection:
        parties.set_members(connection, record, members or ())
    people = 1 + len(members or ())
    what = f"may show a code for {people} people" if members else "speaks only for itself"
    print(f"record {record} {what} from its next renewal on")


@app.command()
def paper(
    estate: EstateFolder,
    name: Annotated[str, typer.Argument(help="The issuer that signs.")],
    record: Annotated[str, typer.Argument(help="The record, as enrol printed it.")],
    store: StoreUrl,
    out: Annotated[Path, typer.Option(help="The sheet to write, an SVG; never overwritten.")],
    hours: Annotated[int, typer.Option(min=1, help="How long the sheet works.")] = 24,
) -> None:
    """Make a code on paper for who has no phone; it can be taken back."""
    from server_stub.estate import Estate
    from server_stub.issuing import paper

    said, key = Estate(estate).issuer(name)
    sheet = paper.make(said, key, store, record, hours * 3600, int(time.time()), out)
    print(f"sheet   {out}")
    print(f"number  {sheet.entry}")
    print(f"lost?   menshen-server revoke {record} --number {sheet.entry}")


@app.command()
def revoke(
    record: Annotated[str, typer.Argument(help="The record, as enrol printed it.")],
    store: StoreUrl,
    number: Annotated[
        str | None, typer.Option(help="Only the sheet of paper with this number, as 1/123456.")
    ] = None,
) -> None:
    """Take back a record's codes: those of hours and its sheets of paper.

    Codes without an entry in a status list end by themselves, within minutes.
    """
    from server_stub import store as stores
    from server_stub.issuing import revocation

    sheet = None if number is None else revocation.parse_entry(number)
    with stores.changing(store) as connection:
        if sheet:
            revoked = revocation.revoke_sheet(connection, record, sheet)
        else:
            revoked = revocation.revoke(connection, record)
    print(f"taken back: {revoked}; doors know it with the next status list")


@app.command("status-list")
def status_list(
    estate: EstateFolder,
    name: Annotated[str, typer.Argument(help="The issuer whose lists these are.")],
    store: StoreUrl,
) -> None:
    """Bring the issuer's status lists up to date, as its server does every minute."""
    from server_stub import store as stores
    from server_stub.estate import Estate
    from server_stub.issuing import status_lists

    engine = stores.open_store(store)
    for one in status_lists.publish(Estate(estate), name, engine, int(time.time())):
        did = "renewed" if one.renewed else "kept"
        print(f"{did}  {one.path}: {one.set_count} set, {one.size} bytes")


@app.command()
def replace(
    record: Annotated[str, typer.Argument(help="The record, as enrol printed it.")],
    store: StoreUrl,
    url: WalletUrl = "http://127.0.0.1:8080/",
) -> None:
    """Print a new activation secret for a record whose phone is lost; the old phone is out.

    Its codes of hours are taken back; doors know it with the next status list.
    """
    from server_stub import store as stores
    from server_stub.issuing import records

    with stores.changing(store) as connection:
        made = records.replace(connection, record)
    _print_enrolled(made, url)


@app.command()
def page(
    store: StoreUrl,
    host: Host = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="The port; 0: any free one.")] = 8081,
) -> None:
    """Show every door and its counts to operators. No login yet: keep it on this machine."""
    from server_stub import store as stores
    from server_stub.operating import page

    page.serve(stores.open_store(store), host, port)


def _print_enrolled(made: "records.Enrolment", url: str) -> None:
    print(f"record  {made.record}")
    print(f"secret  {made.secret}")
    print(f"page    {url.rstrip('/')}/#{made.secret}")


def main() -> None:
    """Run the command; what is wrong with its input is one sentence and exit code 2."""
    logging.basicConfig(format="%(asctime)s %(message)s", datefmt="%Y-%m-%dT%H:%M:%S")
    try:
        app()
    except ModuleNotFoundError as error:
        missing = extras.sentence(error, "server")
        if missing is None:
            raise
        print(missing, file=sys.stderr)
        sys.exit(2)
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
