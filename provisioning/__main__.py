"""The command `menshen-provision`. Every step can be repeated; none overwrites what is there."""

import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import Progress

from edge import extras, version
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
    "All of it is kept in one folder, the ESTATE. Any step may be repeated: what is there is kept.",
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
        help=f"How many days its key may sign.  [default: {issuer_folders.KEY_DAYS}]",
    ),
]
Offline = Annotated[
    bool, typer.Option("--offline", help="Its key is kept off any network and may sign longer.")
]
SiteName = Annotated[str, typer.Argument(metavar="SITE", help="The site's name.")]


@app.command()
def authority(
    estate: Estate,
    host: Annotated[
        list[str] | None,
        typer.Option(
            help="A name or address of the broker; say it again for more.  "
            "[default: localhost and 127.0.0.1]"
        ),
    ] = None,
) -> None:
    """Make the authority, and the broker's certificates."""
    _tell(authorities.create_authority(estate, host or []))
    _next(
        f"give each folder in {estate}/authority/holders to another person, and keep "
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
            help="How many seconds a code of this issuer may live at most.  "
            f"[default: {issuer_folders.LONGEST_LIFE_S}]",
        ),
    ] = None,
    days: Days = None,
    offline: Offline = False,
    site: Annotated[
        list[str] | None,
        typer.Option(help="A site that it may sign for; again for more.  [default: every site]"),
    ] = None,
    group: Annotated[
        list[str] | None,
        typer.Option(help="A door group that it may sign for; again.  [default: every door]"),
    ] = None,
    colour: Annotated[
        list[str] | None,
        typer.Option(help="A colour that it may sign; again for more.  [default: all three]"),
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
    _tell([folder])
    _next(
        f"copy {folder.path} to the issuer's machine. Then: menshen-provision site {estate} SITE, "
        f"and when all are there: menshen-provision publish {estate}"
    )


@app.command("issuer-key")
def issuer_key(
    estate: Estate, name: IssuerName, days: Days = None, offline: Offline = False
) -> None:
    """Make an issuer's next key; it begins when the last one ends."""
    folder = issuer_folders.create_next_key(estate, name, days, offline=offline)
    _tell([folder])
    _next(f"menshen-provision publish {estate}, and copy {folder.path} to the issuer's machine")


@app.command()
def recognise(
    estate: Estate,
    name: IssuerName,
    format: Annotated[str, typer.Option(help=f"Its format: {', '.join(FORMATS)}.")],
    terms: Annotated[Path, typer.Option(help="JSON: what of its claims gives which colour.")],
    keys: Annotated[Path, typer.Option(help="JSON: the list of its keys.")],
    site: Annotated[
        list[str] | None, typer.Option(help="A site that recognises it; again.  [default: all]")
    ] = None,
    longest_life_s: Annotated[
        int,
        typer.Option(
            min=1, max=2**32 - 1, help="How many seconds a code of this issuer may live at most."
        ),
    ] = issuer_folders.FOREIGN_LIFE_S,
) -> None:
    """Recognise a foreign issuer; again with newer lists."""
    made = issuer_folders.recognise_issuer(
        estate, name, format, terms, keys, sites=site or [], longest_life_s=longest_life_s
    )
    _tell([made])
    _next(f"menshen-provision publish {estate}")


@app.command()
def withdraw(estate: Estate, name: IssuerName) -> None:
    """Believe an issuer no more, at any door."""
    _tell([issuer_folders.withdraw(estate, name)])
    _next(f"menshen-provision publish {estate}; a door knows it when it has that")


@app.command()
def site(
    estate: Estate,
    name: SiteName,
    demo: Annotated[
        bool, typer.Option("--demo", help="A demonstration: its counts may close within seconds.")
    ] = False,
    like: Annotated[
        str | None,
        typer.Option(
            help=f"Begin with the rules of an example: {', '.join(rule_files.example_names())}."
        ),
    ] = None,
) -> None:
    """Make a site: its key, and rules to begin with."""
    folder = sites.create_site(estate, name, demo, like=like)
    _tell([folder])
    _next(
        f"see {folder.path / sites.RULES}; menshen-provision publish {estate}; then: "
        f"menshen-provision unit {estate} {name} UNIT, or many at once: "
        f"menshen-provision units {estate} {name} units.csv"
    )


@app.command("site-rules")
def site_rules(
    estate: Estate,
    name: SiteName,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The site's new rules, JSON.")],
) -> None:
    """Take a site's new rules, to be signed by the next publication."""
    _tell([sites.change_rules(estate, name, file)])
    _next(f"menshen-provision publish {estate}")


@app.command()
def publish(estate: Estate) -> None:
    """Sign what has changed or runs out; renew repository and cards.

    Whom doors believe is signed by two holders, whose folders must be there. A site's rules need
    its own key, all else the online keys.
    """
    folder, *cards = repository.publish(estate)
    _tell_published(folder, cards)
    _next(
        f"copy {folder.path} to the server, or onto a stick; menshen-server collector {estate} "
        f"brings it to the doors"
    )


@app.command()
def refresh(estate: Estate) -> None:
    """Renew the timestamp alone: nothing newer is withheld."""
    (folder,) = repository.refresh(estate)
    _tell_published(folder, [])
    _next(f"copy {folder.path} onto the stick; doors take it within 30 days")


@app.command()
def root(
    estate: Estate,
    retire: Annotated[
        int | None, typer.Option(help="The number of a holder who hands over to a new one.")
    ] = None,
    online: Annotated[
        bool, typer.Option("--online", help="New keys for the server: the old ones were stolen.")
    ] = False,
) -> None:
    """Sign the next root: other holders, or other online keys."""
    _tell(repository.rotate(estate, retire, online))
    _next(f"menshen-provision publish {estate}")


@app.command()
def unit(
    estate: Estate,
    site: SiteName,
    name: Annotated[str, typer.Argument(metavar="UNIT", help="The unit's name.")],
    group: Annotated[
        list[str] | None,
        typer.Option(
            help="A door group that codes may name; again for more.  [default: SITE and SITE/UNIT]"
        ),
    ] = None,
    camera_kind: Annotated[
        str, typer.Option(help="picamera, webcam, imager, or pictures from a folder.")
    ] = "picamera",
    camera_source: Annotated[
        str,
        typer.Option(
            help="The webcam's device, the imager's port, or the folder seen from the card."
        ),
    ] = "",
    wired: Annotated[
        list[str] | None,
        typer.Option(
            help="What is wired besides lights, buzzer and relay: illuminator, turn, contact, "
            "exit_button, fire, help_button or tamper; again for more."
        ),
    ] = None,
    controller: Annotated[
        str,
        typer.Option(
            metavar="PORT",
            help="The door is driven by a controller on the safe side: the unit's serial port "
            "towards it, as /dev/ttyAMA0.  [default: none, the unit's own pins]",
        ),
    ] = "",
    controller_baud: Annotated[
        int, typer.Option(help="Of that serial port: 9600, 19200, 38400, 57600 or 115200.")
    ] = cards.CONTROLLER_BAUD,
    broker_host: Annotated[
        str,
        typer.Option(help="The broker's name or address.  [default: its certificate's first]"),
    ] = "",
    broker_port: Annotated[
        int, typer.Option(min=1, max=65535, help="The broker's port.")
    ] = cards.BROKER_PORT,
    no_broker: Annotated[
        bool, typer.Option("--no-broker", help="A door without a network; it decides all the same.")
    ] = False,
) -> None:
    """Make one unit's card, the folder that it reads."""
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
    _tell([card])
    copying = (
        f"copy {card.path} to the unit; there, once, add config.txt.add to the boot configuration "
        f"as its first lines say, and: menshen-edge run unit.toml"
    )
    if controller:
        _next(
            f"fit the controller's pairing jumper, plug it into this machine by USB, and: "
            f"menshen-provision pair {card.path} --port /dev/ttyACM0; then {copying}"
        )
    else:
        _next(copying)


@app.command()
def pair(
    card: Annotated[
        Path, typer.Argument(metavar="UNIT_FOLDER", help="The card of the unit: ESTATE/sites/….")
    ],
    port: Annotated[
        str, typer.Option(help="The controller's port on this machine, by USB.")
    ] = "/dev/ttyACM0",
    latch: Annotated[
        str,
        typer.Option(
            help="What makes the controller hold the door shut until somebody inside re-arms it: "
            "none, tamper, link (the unit was cut off) or both."
        ),
    ] = "none",
) -> None:
    """Give a unit's key to its controller, over USB with the pairing jumper fitted."""
    told = pairing.pair(card, port, latch)
    out.print(told.sentence)
    _next(
        "take the jumper off, switch the controller off and on, and wire it to the unit; no other "
        "controller opens this door now, and this one obeys no other unit"
    )


@app.command()
def units(
    estate: Estate,
    site: SiteName,
    table: Annotated[
        Path,
        typer.Argument(
            metavar="UNITS.CSV",
            help=f"One unit a line; the first line names the columns: {', '.join(batch.COLUMNS)}. "
            "Only `name` is needed; groups and wired hold several, with blanks between.",
        ),
    ],
) -> None:
    """Make the cards of all units in a table, or of none."""
    orders = batch.read(table)
    with Progress(console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("Cards", total=len(orders))
        made = cards.create_cards(estate, site, orders, lambda _card: progress.advance(task))
    new = [card for card in made if card.created_names]
    out.print(f"Made {_count(new, 'card')} in {estate}/sites/{site}/units.")
    if len(new) < len(made):
        out.print(f"Already there, kept: {_count(made[len(new) :], 'card')}.")
    pairing_first = ""
    if any(order.controller for order in orders):
        pairing_first = (
            "plug in each controller by USB, its pairing jumper fitted, and: menshen-provision "
            "pair UNIT_FOLDER --port /dev/ttyACM0; then "
        )
    _next(
        f"{pairing_first}copy each unit's folder to its unit; there, once, add config.txt.add to "
        "the boot configuration as its first lines say, and: menshen-edge run unit.toml"
    )


@app.command()
def foreign(
    out: Annotated[Path, typer.Argument(metavar="FILE", help="The key list: keys/ISSUER.json.")],
    certificates: Annotated[
        list[Path], typer.Argument(metavar="CERTIFICATE...", help="DER, PEM or base64, one a file.")
    ],
    illegible: Annotated[
        list[str] | None,
        typer.Option(
            help="What a certificate may sign that does not say it legibly: vaccination, test or "
            "recovery; say it again for more.  [default: such a certificate stops this step]"
        ),
    ] = None,
) -> None:
    """Make the key list of an issuer of EU certificates from published ones."""
    made = foreign_keys.write_key_list(out, certificates, illegible or [])
    print(f"{out} has {made} key{'' if made == 1 else 's'}.")
    _next("make sure that each certificate is its state's own, then sign the list into the estate.")


@app.command()
def show(estate: Estate) -> None:
    """Show the issuers, their keys' windows, sites, units."""
    tables, wrong = inventory.show(estate)
    for shown in tables:
        out.print(shown)
    if wrong:
        raise ProvisioningError("\n".join(wrong))


@app.command()
def rules(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="A site's rules, as edge/wire/rules.md has them.")
    ],
    group: Annotated[
        list[str] | None,
        typer.Option(
            help="Show a door in this group; again for more.  [default: each door told apart]"
        ),
    ] = None,
) -> None:
    """Say what is wrong with a site's rules; show each door's week."""
    site = rule_files.read(file)
    tables, notes = rule_files.show(site, group or [])
    out.print(f"{file} can be used: version {site.version} of {site.site}, hours of {site.zone}.")
    for shown in tables:
        out.print(shown)
    for note in notes:
        out.print(f"Note: {note}.")


def _camera(kind: str, source: str) -> CameraConfig:
    return batch.camera_config({"kind": kind, "source": source})


def _tell(folders: list[TrackedFolder]) -> None:
    for folder in folders:
        if folder.created_names:
            out.print(f"Made in {folder.path}: {', '.join(folder.created_names)}.")
        if folder.renewed_names:
            out.print(f"Renewed in {folder.path}: {', '.join(folder.renewed_names)}.")
        if folder.kept_names:
            out.print(f"Already there, kept, in {folder.path}: {', '.join(folder.kept_names)}.")


def _tell_published(folder: TrackedFolder, cards: list[TrackedFolder]) -> None:
    changed = sorted(
        n for n in (*folder.created_names, *folder.renewed_names) if n.startswith("metadata/")
    )
    if changed:
        out.print(f"Signed in {folder.path}: {', '.join(changed)}.")
    else:
        out.print(f"Nothing has changed and nothing runs out in {folder.path}; all was kept.")
    renewed = [card for card in cards if card.created_names or card.renewed_names]
    if renewed:
        out.print(f"{_count(renewed, 'card')} renewed.")


def _next(sentence: str) -> None:
    out.print(f"Next: {sentence}")


def _count(things: list[TrackedFolder], noun: str) -> str:
    return f"{len(things)} {noun}{'' if len(things) == 1 else 's'}"


def main() -> None:
    """Run the command; what is wrong is said in one sentence, with exit code 2."""
    try:
        app()
    except ProvisioningError as error:
        print(error, file=sys.stderr)
        sys.exit(2)
    except ModuleNotFoundError as error:
        missing = extras.sentence(error, "provisioning")
        if missing is None:
            raise
        print(missing, file=sys.stderr)
        sys.exit(2)
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        print(f"{where}{error.strerror}; put that right and repeat the step", file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()
