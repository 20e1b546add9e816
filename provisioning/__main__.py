"""The command `menshen-provision`. Every step can be repeated; none overwrites existing files."""

import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import Progress

from edge import extras, version
from edge.wire.door_inputs import INPUTS
from edge.wire.foreign_formats import FORMATS
from edge.wire.unit import CameraConfig
from provisioning import authority as authorities
from provisioning import batch, inventory, pairing, repository, sites
from provisioning import foreign as foreign_keys
from provisioning import issuers as issuer_folders
from provisioning import rules as rule_files
from provisioning import units as cards
from provisioning.files import ProvisioningError, TrackedFolder

out = Console(highlight=False, markup=False, soft_wrap=True)
app = typer.Typer(
    help="Make what doors need: an authority, issuers, sites, and a card for each unit. "
    "Everything is in one folder, the ESTATE. Any step can be repeated: it keeps existing files.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
version.add_option(app, "menshen-provision")

Estate = Annotated[Path, typer.Argument(metavar="ESTATE", help="The folder of this estate.")]
IssuerName = Annotated[str, typer.Argument(metavar="NAME", help="The issuer's name.")]
Days = Annotated[
    int | None,
    typer.Option(
        min=1,
        help=f"How many days the key may sign.  [default: {issuer_folders.KEY_DAYS}]",
    ),
]
Offline = Annotated[
    bool,
    typer.Option("--offline", help="The key is never on a networked machine; it may sign longer."),
]
SiteName = Annotated[str, typer.Argument(metavar="SITE", help="The site's name.")]


@app.command()
def authority(
    estate: Estate,
    host: Annotated[
        list[str] | None,
        typer.Option(
            help="A name or address of the broker; may be repeated.  "
            "[default: localhost and 127.0.0.1]"
        ),
    ] = None,
) -> None:
    """Make the authority, and the certificates of broker and collector."""
    _print_changes(authorities.create_authority(estate, host or []))
    _next(
        f"give each folder in {estate}/authority/holders to a different person, and keep "
        f"{estate}/authority off any network; copy {estate}/server to the broker's machine. "
        f"Then: menshen-provision issuer {estate} NAME"
    )


@app.command()
def issuer(
    estate: Estate,
    name: IssuerName,
    longest_life_s: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="How many seconds a code of this issuer may be valid at most.  "
            f"[default: {issuer_folders.LONGEST_LIFE_S}]",
        ),
    ] = None,
    days: Days = None,
    offline: Offline = False,
    site: Annotated[
        list[str] | None,
        typer.Option(help="A site that it may sign for; may be repeated.  [default: every site]"),
    ] = None,
    group: Annotated[
        list[str] | None,
        typer.Option(
            help="A door group that it may sign for; may be repeated.  [default: every door]"
        ),
    ] = None,
    colour: Annotated[
        list[str] | None,
        typer.Option(help="A colour that it may sign; may be repeated.  [default: all three]"),
    ] = None,
) -> None:
    """Make an issuer, and the keys for its codes and status lists."""
    folder = issuer_folders.create_issuer(
        estate,
        name,
        longest_life_s,
        days,
        sites=site or [],
        groups=group or [],
        colours=colour or [],
        offline=offline,
    )
    _print_changes([folder])
    _next(
        f"copy {folder.path} to the issuer's machine. Then: menshen-provision site {estate} SITE, "
        f"and after the last site: menshen-provision publish {estate}"
    )


@app.command("issuer-key")
def issuer_key(
    estate: Estate, name: IssuerName, days: Days = None, offline: Offline = False
) -> None:
    """Make an issuer's next key; it becomes valid when the last one ends."""
    folder = issuer_folders.create_next_key(estate, name, days, offline=offline)
    _print_changes([folder])
    _next(f"menshen-provision publish {estate}, and copy {folder.path} to the issuer's machine")


@app.command()
def recognise(
    estate: Estate,
    name: IssuerName,
    format: Annotated[str, typer.Option(help=f"Its format: {', '.join(FORMATS)}.")],
    terms: Annotated[Path, typer.Option(help="JSON file: which of its claims give which colour.")],
    keys: Annotated[Path, typer.Option(help="JSON file: the list of its keys.")],
    site: Annotated[
        list[str] | None,
        typer.Option(help="A site that recognises it; may be repeated.  [default: every site]"),
    ] = None,
    longest_life_s: Annotated[
        int,
        typer.Option(
            min=1,
            max=2**32 - 1,
            help="How many seconds a code of this issuer may be valid at most.",
        ),
    ] = issuer_folders.FOREIGN_LIFE_S,
) -> None:
    """Recognise a foreign issuer. Repeat it with newer lists."""
    folder = issuer_folders.recognise_issuer(
        estate, name, format, terms, keys, sites=site or [], longest_life_s=longest_life_s
    )
    _print_changes([folder])
    _next(f"menshen-provision publish {estate}")


@app.command()
def withdraw(estate: Estate, name: IssuerName) -> None:
    """Stop trusting an issuer at every door."""
    _print_changes([issuer_folders.withdraw(estate, name)])
    _next(f"menshen-provision publish {estate}; it takes effect at a door that has received that")


@app.command()
def site(
    estate: Estate,
    name: SiteName,
    demo: Annotated[
        bool, typer.Option("--demo", help="A demo site: its cells may close within seconds.")
    ] = False,
    like: Annotated[
        str | None,
        typer.Option(
            help=f"Start with the rules of an example: {', '.join(rule_files.example_names())}."
        ),
    ] = None,
) -> None:
    """Make a site: its key, and its first rules."""
    folder = sites.create_site(estate, name, demo, like=like)
    _print_changes([folder])
    _next(
        f"check {folder.path / sites.RULES}; menshen-provision publish {estate}; then: "
        f"menshen-provision unit {estate} {name} UNIT, or many at once: "
        f"menshen-provision units {estate} {name} units.csv"
    )


@app.command("site-rules")
def site_rules(
    estate: Estate,
    name: SiteName,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The site's new rules, JSON.")],
) -> None:
    """Replace a site's rules; the next `publish` signs them."""
    _print_changes([sites.change_rules(estate, name, file)])
    _next(f"menshen-provision publish {estate}")


@app.command()
def publish(estate: Estate) -> None:
    """Sign what has changed or expires soon; renew the repository and the cards.

    The list of trusted issuers needs the keys of two holders, whose folders must be present. A
    site's rules need the site's key; everything else needs the online keys.
    """
    folder, *cards = repository.publish(estate)
    _print_published(folder, cards)
    _next(
        f"copy {folder.path} to the server, or onto a USB stick; menshen-server collector {estate} "
        f"sends it to the doors"
    )


@app.command()
def refresh(estate: Estate) -> None:
    """Renew only the timestamp, which proves that no newer documents are withheld."""
    (folder,) = repository.refresh(estate)
    _print_published(folder, [])
    _next(f"copy {folder.path} onto the USB stick; doors accept it for 30 days")


@app.command()
def root(
    estate: Estate,
    retire: Annotated[
        int | None, typer.Option(help="The number of a holder to replace with a new one.")
    ] = None,
    online: Annotated[
        bool,
        typer.Option("--online", help="Make new keys for the server, if the old ones were stolen."),
    ] = False,
) -> None:
    """Sign the next root, with a new holder or new online keys."""
    _print_changes(repository.rotate(estate, retire, online))
    _next(f"menshen-provision publish {estate}")


@app.command()
def unit(
    estate: Estate,
    site: SiteName,
    name: Annotated[str, typer.Argument(metavar="UNIT", help="The unit's name.")],
    group: Annotated[
        list[str] | None,
        typer.Option(
            help="A door group of this door; may be repeated.  [default: SITE and SITE/UNIT]"
        ),
    ] = None,
    camera_kind: Annotated[
        str, typer.Option(help="picamera, webcam, imager, or pictures (from a folder).")
    ] = "picamera",
    camera_source: Annotated[
        str,
        typer.Option(
            help="The webcam's device, the imager's port, or the folder, relative to the card."
        ),
    ] = "",
    wired: Annotated[
        list[str] | None,
        typer.Option(
            help="What is wired beyond lights, buzzer and relay: "
            f"{', '.join(('illuminator', *INPUTS))}; may be repeated."
        ),
    ] = None,
    controller: Annotated[
        str,
        typer.Option(
            metavar="PORT",
            help="The unit's serial port to a controller on the secure side that drives the door, "
            "for example /dev/ttyAMA0.  [default: no controller, the unit's own pins]",
        ),
    ] = "",
    controller_baud: Annotated[
        int,
        typer.Option(help="That port's baud rate: 9600, 19200, 38400, 57600 or 115200."),
    ] = cards.CONTROLLER_BAUD,
    broker_host: Annotated[
        str,
        typer.Option(
            help="The broker's name or address.  [default: the first one in its certificate]"
        ),
    ] = "",
    broker_port: Annotated[
        int, typer.Option(min=1, max=65535, help="The broker's port.")
    ] = cards.BROKER_PORT,
    no_broker: Annotated[
        bool,
        typer.Option("--no-broker", help="A door without a network; it checks codes all the same."),
    ] = False,
) -> None:
    """Make one unit's card: the folder that the unit reads its configuration from."""
    order = cards.UnitOrder(
        name=name,
        groups=group or [],
        camera=_camera(camera_kind, camera_source),
        wired=wired or [],
        controller=controller,
        controller_baud=controller_baud,
        broker=not no_broker,
        broker_host=broker_host,
        broker_port=broker_port,
    )
    card = cards.create_card(estate, site, order)
    _print_changes([card])
    copy_step = (
        f"copy {card.path} to the unit; on the unit, add config.txt.add to the boot configuration "
        f"once, as its first lines say, and: menshen-edge run unit.toml"
    )
    if controller:
        _next(
            f"fit the controller's pairing jumper, plug it into this machine by USB, and: "
            f"menshen-provision pair {card.path} --port /dev/ttyACM0; then {copy_step}"
        )
    else:
        _next(copy_step)


@app.command()
def pair(
    card: Annotated[
        Path, typer.Argument(metavar="UNIT_FOLDER", help="The card of the unit: ESTATE/sites/….")
    ],
    port: Annotated[
        str, typer.Option(help="The USB serial port of the controller on this machine.")
    ] = "/dev/ttyACM0",
    latch: Annotated[
        str,
        typer.Option(
            help="What makes the controller keep the door shut until somebody inside re-arms it: "
            "none, tamper, link (the unit was cut off) or both."
        ),
    ] = "none",
) -> None:
    """Store a unit's key in its controller, over USB with the pairing jumper fitted."""
    result = pairing.pair(card, port, latch)
    out.print(result.sentence)
    _next(
        "remove the jumper, switch the controller off and on, and wire it to the unit; now no "
        "other controller can open this door, and this controller obeys no other unit"
    )


@app.command()
def units(
    estate: Estate,
    site: SiteName,
    table: Annotated[
        Path,
        typer.Argument(
            metavar="UNITS.CSV",
            help=f"One unit per line; the first line names columns: {', '.join(batch.COLUMNS)}. "
            "Only `name` is required; groups and wired take several values, separated by spaces.",
        ),
    ],
) -> None:
    """Make the cards of all units in a table; if one is wrong, none is made."""
    orders = batch.read(table)
    with Progress(console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("Cards", total=len(orders))
        folders = cards.create_cards(estate, site, orders, lambda _card: progress.advance(task))
    new = [folder for folder in folders if folder.created_names]
    out.print(f"Made {_count(len(new), 'card')} in {estate}/sites/{site}/units.")
    if len(new) < len(folders):
        out.print(f"Already there, kept: {_count(len(folders) - len(new), 'card')}.")
    pair_step = ""
    if any(order.controller for order in orders):
        pair_step = (
            "connect each controller by USB, with its pairing jumper fitted, and: "
            "menshen-provision pair UNIT_FOLDER --port /dev/ttyACM0; then "
        )
    _next(
        f"{pair_step}copy each unit's folder to its unit; on the unit, add config.txt.add to the "
        "boot configuration once, as its first lines say, and: menshen-edge run unit.toml"
    )


@app.command()
def foreign(
    out: Annotated[Path, typer.Argument(metavar="FILE", help="The key list: keys/ISSUER.json.")],
    certificates: Annotated[
        list[Path],
        typer.Argument(metavar="CERTIFICATE...", help="DER, PEM or base64, one per file."),
    ],
    illegible: Annotated[
        list[str] | None,
        typer.Option(
            help="What a certificate with unreadable usages may sign: vaccination, test or "
            "recovery; may be repeated.  [default: such a certificate stops this step]"
        ),
    ] = None,
) -> None:
    """Make the key list of a foreign issuer from published EU signer certificates."""
    count = foreign_keys.write_key_list(out, certificates, illegible or [])
    print(f"{out} has {_count(count, 'key')}.")
    _next(
        "check that each certificate really is from its state, then: menshen-provision recognise "
        "ESTATE NAME --keys FILE …"
    )


@app.command()
def show(estate: Estate) -> None:
    """Show the issuers, when their keys may sign, the sites and the units."""
    tables, problems = inventory.show(estate)
    for table in tables:
        out.print(table)
    if problems:
        raise ProvisioningError("\n".join(problems))


@app.command()
def rules(
    file: Annotated[
        Path,
        typer.Argument(metavar="FILE", help="A site's rules, in the form of edge/wire/rules.md."),
    ],
    group: Annotated[
        list[str] | None,
        typer.Option(
            help="Show a door in this group; may be repeated.  [default: every door that differs]"
        ),
    ] = None,
) -> None:
    """Check a site's rules, and show each door's week."""
    site = rule_files.read(file)
    tables, notes = rule_files.show(site, group or [])
    out.print(f"{file} is valid: version {site.version} of {site.site}, time zone {site.zone}.")
    for table in tables:
        out.print(table)
    for note in notes:
        out.print(f"Note: {note}.")


def _camera(kind: str, source: str) -> CameraConfig:
    return batch.camera_config({"kind": kind, "source": source})


def _print_changes(folders: list[TrackedFolder]) -> None:
    for folder in folders:
        if folder.created_names:
            out.print(f"Made in {folder.path}: {', '.join(folder.created_names)}.")
        if folder.renewed_names:
            out.print(f"Renewed in {folder.path}: {', '.join(folder.renewed_names)}.")
        if folder.kept_names:
            out.print(f"Already there, kept, in {folder.path}: {', '.join(folder.kept_names)}.")


def _print_published(folder: TrackedFolder, cards: list[TrackedFolder]) -> None:
    changed = sorted(
        n for n in (*folder.created_names, *folder.renewed_names) if n.startswith("metadata/")
    )
    if changed:
        out.print(f"Signed in {folder.path}: {', '.join(changed)}.")
    else:
        out.print(f"Nothing has changed or expires soon in {folder.path}; all files were kept.")
    renewed = [card for card in cards if card.created_names or card.renewed_names]
    if renewed:
        out.print(f"{_count(len(renewed), 'card')} renewed.")


def _next(sentence: str) -> None:
    out.print(f"Next: {sentence}")


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def main() -> None:
    """Run the command. A bad input or setting prints one sentence and exits with code 2."""
    try:
        app()
    except ProvisioningError as error:
        print(error, file=sys.stderr)
        sys.exit(2)
    except ModuleNotFoundError as error:
        sentence = extras.sentence(error, "provisioning")
        if sentence is None:
            raise
        print(sentence, file=sys.stderr)
        sys.exit(2)
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        print(f"{where}{error.strerror}; correct that and repeat the step", file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()
