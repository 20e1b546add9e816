"""The command `menshen-server`: one subcommand for each program of the central side."""

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
    Path, typer.Argument(metavar="ESTATE", help="The folder that menshen-provision enrolment.")
]
StoreUrl = Annotated[
    str,
    typer.Option(
        "--store",
        envvar="MENSHEN_STORE",
        help="The database URL, for example sqlite:////var/lib/menshen/menshen.db",
    ),
]
WalletUrl = Annotated[str, typer.Option(help="Where phones reach the wallet page.")]
ColourName = Literal["green", "yellow", "red"]
Host = Annotated[str, typer.Option(help="The address to listen on.")]


@app.command()
def broker(
    estate: EstateFolder,
    state: Annotated[Path, typer.Option(help="The folder for the broker's own files.")],
    host: Host = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535, help="The port.")] = 8883,
) -> None:
    """Run Mosquitto for this estate. Only clients with this estate's certificates can connect."""
    from server_stub.collecting import broker
    from server_stub.estate import Estate

    broker.run(Estate(estate), state, host, port)


@app.command()
def collector(
    estate: EstateFolder,
    store: StoreUrl,
    broker_host: Annotated[
        str, typer.Option(help="The broker's host; its certificate must name it.")
    ] = "localhost",
    broker_port: Annotated[int, typer.Option(min=1, max=65535)] = 8883,
    clock_error_ms: Annotated[
        int, typer.Option(min=1, max=60_000, help="How far this machine's clock may be off.")
    ] = 1000,
    look_s: Annotated[
        float,
        typer.Option(min=0.1, max=3600, help="How often to look for newer documents, seconds."),
    ] = 15.0,
) -> None:
    """Store the units' messages, acknowledge them, and answer the units' time requests."""
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
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="The port; 0 takes any free one.")
    ] = 8080,
    life_s: Annotated[int, typer.Option(help="How many seconds a bearer code is valid.")] = 600,
    holder_life_s: Annotated[
        int | None,
        typer.Option(
            help="How many seconds a holder code (bound to the phone's key) is valid. "
            "[default: 12 hours, or the issuer's longest life if that is shorter]",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Sign codes over HTTP for unlocked records, and serve the wallet page.

    Put a TLS proxy in front of it: a phone stores a key and works offline only on https:// pages.
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
    colour: Annotated[ColourName, typer.Option(help="The first colour.")] = "green",
    aud: Annotated[list[str] | None, typer.Option(help="A door group; may be repeated.")] = None,
    scope: Annotated[
        str | None, typer.Option(help='Grants, for example "staff:acme slow".')
    ] = None,
    url: WalletUrl = "http://127.0.0.1:8080/",
) -> None:
    """Create a record and print its activation secret. The secret is not stored: note it now."""
    from edge.wire.code import Colour
    from server_stub import store as stores
    from server_stub.estate import Estate
    from server_stub.issuing import records

    Estate(estate).issuer(name)  # raises EstateError if there is none
    with stores.changing(store) as connection:
        enrolment = records.enrol(
            connection, name, Colour[colour.upper()], tuple(aud or ()), scope or None
        )
    _print_enrolled(enrolment, url)


@app.command()
def colour(
    record: Annotated[str, typer.Argument(help="The record, as enrol printed it.")],
    colour: Annotated[ColourName, typer.Argument(help="Its new colour.")],
    store: StoreUrl,
    until: Annotated[
        str | None,
        typer.Option(help="When the colour changes by itself, for example 2026-12-01T00:00Z."),
    ] = None,
    then: Annotated[
        ColourName | None, typer.Option(help="The colour after --until. [default: green]")
    ] = None,
) -> None:
    """Change a record's colour, permanently or until a given time.

    The phone shows it after its next renewal. The record's holder codes and sheets of paper are
    revoked. If the colour became worse, party codes that include the record are revoked too.
    """
    from edge.wire.code import Colour
    from server_stub import store as stores
    from server_stub.issuing import records

    now_s, first = int(time.time()), Colour[colour.upper()]
    turn = records.parse_turn(first, until, Colour[then.upper()] if then else None, now_s)
    with stores.changing(store) as connection:
        records.recolour(connection, record, first, now_s, turn)
    later = f", and {turn.colour.name.lower()} from {until} on" if turn else ""
    print(f"record {record} is {colour} from its next renewal{later}")


@app.command()
def party(
    record: Annotated[
        str, typer.Argument(help="The record whose phone shows the code, as enrol printed it.")
    ],
    store: StoreUrl,
    members: Annotated[
        list[str] | None, typer.Argument(help="1 to 8 other records of the same issuer.")
    ] = None,
) -> None:
    """Let a record's phone show one code for several people: a family, a class with its teacher.

    The code is green only if all of them are green. Without MEMBERS the record has no party.
    """
    from server_stub import store as stores
    from server_stub.issuing import parties

    with stores.changing(store) as connection:
        parties.set_members(connection, record, members or ())
    people = 1 + len(members or ())
    what = f"can show a code for {people} people" if members else "has no party"
    print(f"record {record} {what} from its next renewal")


@app.command()
def paper(
    estate: EstateFolder,
    name: Annotated[str, typer.Argument(help="The issuer that signs.")],
    record: Annotated[str, typer.Argument(help="The record, as enrol printed it.")],
    store: StoreUrl,
    out: Annotated[Path, typer.Option(help="The SVG file to write; it must not exist.")],
    hours: Annotated[int, typer.Option(min=1, help="How many hours the sheet is valid.")] = 24,
) -> None:
    """Make a code on paper for somebody without a phone; the sheet can be revoked."""
    from server_stub.estate import Estate
    from server_stub.issuing import paper

    issuer_file, key = Estate(estate).issuer(name)
    sheet = paper.make(issuer_file, key, store, record, hours * 3600, int(time.time()), out)
    print(f"sheet   {out}")
    print(f"number  {sheet.entry}")
    print(f"lost?   menshen-server revoke {record} --number {sheet.entry}")


@app.command()
def revoke(
    record: Annotated[str, typer.Argument(help="The record, as enrol printed it.")],
    store: StoreUrl,
    number: Annotated[
        str | None,
        typer.Option(help="Only the sheet of paper with this number, for example 1/123456."),
    ] = None,
) -> None:
    """Revoke a record's holder codes and sheets of paper.

    Bearer codes have no entry in a status list; they expire within minutes.
    """
    from server_stub import store as stores
    from server_stub.issuing import revocation

    sheet = None if number is None else revocation.parse_entry(number)
    with stores.changing(store) as connection:
        if sheet:
            count = revocation.revoke_sheet(connection, record, sheet)
        else:
            count = revocation.revoke(connection, record)
    print(f"revoked: {count}; doors learn of it with the next status list")


@app.command("status-list")
def status_list(
    estate: EstateFolder,
    name: Annotated[str, typer.Argument(help="The issuer of the lists.")],
    store: StoreUrl,
) -> None:
    """Bring the issuer's status lists up to date, as the issuer's server does every minute."""
    from server_stub import store as stores
    from server_stub.estate import Estate
    from server_stub.issuing import status_lists

    engine = stores.open_store(store)
    for status_file in status_lists.publish(Estate(estate), name, engine, int(time.time())):
        change = "renewed" if status_file.renewed else "kept"
        print(
            f"{change}  {status_file.path}: {status_file.set_count} set, {status_file.size} bytes"
        )


@app.command()
def replace(
    record: Annotated[str, typer.Argument(help="The record, as enrol printed it.")],
    store: StoreUrl,
    url: WalletUrl = "http://127.0.0.1:8080/",
) -> None:
    """Print a new activation secret for a record whose phone is lost; the old phone gets no codes.

    The old phone's holder codes are revoked; doors learn of it with the next status list.
    """
    from server_stub import store as stores
    from server_stub.issuing import records

    with stores.changing(store) as connection:
        enrolment = records.replace(connection, record)
    _print_enrolled(enrolment, url)


@app.command()
def page(
    store: StoreUrl,
    host: Host = "127.0.0.1",
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="The port; 0 takes any free one.")
    ] = 8081,
) -> None:
    """Show every door and its counts to operators. It has no login: keep it on this machine."""
    from server_stub import store as stores
    from server_stub.operating import page

    page.serve(stores.open_store(store), host, port)


def _print_enrolled(enrolment: "records.Enrolment", url: str) -> None:
    print(f"record  {enrolment.record}")
    print(f"secret  {enrolment.secret}")
    print(f"page    {url.rstrip('/')}/#{enrolment.secret}")


def main() -> None:
    """Run the command. A bad input or setting prints one sentence and exits with code 2."""
    logging.basicConfig(format="%(asctime)s %(message)s", datefmt="%Y-%m-%dT%H:%M:%S")
    try:
        app()
    except ModuleNotFoundError as error:
        sentence = extras.sentence(error, "server")
        if sentence is None:
            raise
        print(sentence, file=sys.stderr)
        sys.exit(2)
    except ValueError as error:
        if not _is_own_error(error):
            raise
        Console(stderr=True, soft_wrap=True, highlight=False, markup=False).print(f"{error}")
        sys.exit(2)


def _is_own_error(error: ValueError) -> bool:
    """Our own errors carry a sentence for people; any other is a bug and keeps its traceback."""
    return type(error).__module__.startswith("server_stub.")


if __name__ == "__main__":
    main()
