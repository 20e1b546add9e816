"""Units: the card of each, a folder to copy to where the unit reads its configuration."""

import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
from cryptography.x509.oid import ExtendedKeyUsageOID

from edge.wire import keys, pair_key
from edge.wire import unit as wire
from edge.wire.decode import DecodeError, decode_toml, read_toml
from edge.wire.door_inputs import INPUTS
from edge.wire.trust import Group
from edge.wire.unit import BrokerConfig, CameraConfig, ControllerDoor, DirectDoor, UnitConfig
from provisioning import authority, boot, files, pins, repository, sites
from provisioning import estate as places
from provisioning.files import ProvisioningError, TrackedFolder, toml

BROKER_PORT = 8883  # MQTT over TLS, as IANA registers it
UNIT = "unit.toml"
STICK = "/media/menshen"  # where the unit's system mounts a stick that is brought to the door
PI_CAMERA = CameraConfig()
CONTROLLER_BAUD = 115200
CONTROLLER_KEY = "controller.key"
GROUP_LEN_MAX = 63  # edge.wire.trust.Group


@dataclass(frozen=True, slots=True, kw_only=True)
class UnitOrder:
    """What is asked for one unit; what is left out takes its usual value."""

    name: str
    groups: Sequence[str] = ()  # none: the site, and site/unit
    camera: CameraConfig = PI_CAMERA
    wired: Sequence[str] = ()  # beside the lights, the buzzer and the relay
    controller: str = ""  # the serial port of a controller on the safe side; none: a direct door
    controller_baud: int = CONTROLLER_BAUD
    broker: bool = True
    broker_host: str = ""  # none: the first name of the broker's certificate
    broker_port: int = BROKER_PORT
    asked_at: str = ""  # the file and line it came from, named where it cannot be made


def create_card(estate: Path, site: str, order: UnitOrder) -> TrackedFolder:
    """Make one unit's card. Raises ProvisioningError if it is there and would differ."""
    return create_cards(estate, site, [order])[0]


def create_cards(
    estate: Path,
    site: str,
    orders: Sequence[UnitOrder],
    told: Callable[[TrackedFolder], None] = lambda card: None,
) -> list[TrackedFolder]:
    """Make the cards of `orders`, calling `told` after each; none is made unless all can be.

    Raises ProvisioningError.
    """
    with places.changing(estate):
        settings = sites.read(estate, site)
        believed = repository.card_files(estate, site)
        vouch = authority.Authority(estate) if any(o.broker for o in orders) else None
        planned = [_planned(estate, settings, order) for order in orders]
        cards = []
        for configuration in planned:
            cards.append(_write(estate, configuration, believed, vouch))
            told(cards[-1])
    return cards


def plan(estate: Path, site: sites.SiteConfig, order: UnitOrder) -> UnitConfig:
    """The configuration that `order` comes to. Raises ProvisioningError if it cannot be made."""
    name = places.checked(order.name, "unit")
    configuration = UnitConfig(
        name=name,
        site=site.name,
        groups=_groups(order) or [site.name, f"{site.name}/{name}"],
        trust_stick=STICK,
        door=_door(order),
        camera=order.camera,
        counts=site.counts(),
        broker=_broker(estate, order) if order.broker else None,
    )
    _readable(configuration)
    card = places.card(estate, site.name, name)
    _agree(card, configuration)
    if isinstance(configuration.door, ControllerDoor):
        _kept(card)
    return configuration


def _planned(estate: Path, site: sites.SiteConfig, order: UnitOrder) -> UnitConfig:
    try:
        return plan(estate, site, order)
    except ProvisioningError as error:
        if order.asked_at:
            raise ProvisioningError(f"{order.asked_at}: {error}; nothing was made") from None
        raise


def _door(order: UnitOrder) -> wire.DoorConfig:
    wired = pins.door_pins(order.wired)
    if not order.controller:
        return DirectDoor(pins=wired)
    try:
        return msgspec.convert(
            {
                "kind": "osdp",
                "port": order.controller,
                "key": CONTROLLER_KEY,
                "baud": order.controller_baud,
                "inputs": [name for name in INPUTS if name in order.wired],
                "illuminator": wired.illuminator,
            },
            ControllerDoor,
        )
    except msgspec.ValidationError as error:
        raise ProvisioningError(
            f"unit {order.name!r} cannot have this controller: {error}"
        ) from None


def _groups(order: UnitOrder) -> list[str]:
    for group in order.groups:
        try:
            msgspec.convert(group, Group)
        except msgspec.ValidationError:
            raise ProvisioningError(
                f"{group[:60]!r} cannot be a door group: use 1 to {GROUP_LEN_MAX} small letters, "
                f"digits and / . _ -, beginning and ending with a letter or digit"
            ) from None
    return list(order.groups)


def _broker(estate: Path, order: UnitOrder) -> BrokerConfig:
    hosts = authority.broker_hosts(estate)
    host = order.broker_host or hosts[0]
    if host not in hosts:
        raise ProvisioningError(
            f"the broker's certificate is good for {', '.join(hosts)} and not for {host[:60]!r}: "
            f"unit {order.name!r} would refuse it; name one of those with --broker-host"
        )
    collector = files.public_key(places.server(estate) / "collector-sign.pub")
    time = places.server(estate) / "time.pub"
    if not time.exists():  # an estate from before units asked for the time
        raise ProvisioningError(
            f"{time} is missing; make it with: menshen-provision authority {estate}"
        )
    return BrokerConfig(
        host=host,
        port=order.broker_port,
        ca="ca.pem",
        certificate="unit.pem",
        key="unit.key",
        collector_key=keys.public_to_text(collector),
        time_key=keys.public_to_text(files.public_key(time)),
    )


def _write(
    estate: Path, unit: UnitConfig, believed: Mapping[str, bytes], vouch: authority.Authority | None
) -> TrackedFolder:
    card = TrackedFolder(places.card(estate, unit.site, unit.name))
    if unit.broker and vouch:
        usage = ExtendedKeyUsageOID.CLIENT_AUTH
        vouch.certificate(card, "unit", _certificate_name(unit), usage)
        card.require_same("ca.pem", vouch.pem)
    repository.update_card(card, believed)
    card.create_once(boot.NAME, lambda: boot.addition(unit))
    if isinstance(unit.door, ControllerDoor):
        text = f"{pair_key.to_text(pair_key.new_key())}\n".encode()
        card.create_once(CONTROLLER_KEY, lambda: text, private=True)
    card.create_once(UNIT, lambda: _toml(unit))  # the last: a card that has it is whole
    return card


def _certificate_name(unit: UnitConfig) -> str:
    return f"{unit.site}/{unit.name}"


def _toml(unit: UnitConfig) -> bytes:
    return toml(_without_none(msgspec.to_builtins(unit)))


def _without_none(table: dict[str, Any]) -> dict[str, Any]:
    """TOML has no null: what is not there is not written."""
    return {
        name: _without_none(value) if isinstance(value, dict) else value
        for name, value in table.items()
        if value is not None
    }


def _readable(unit: UnitConfig) -> None:
    """Let the unit's own reader judge. Raises ProvisioningError."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / UNIT
        path.write_bytes(_toml(unit))
        try:
            wire.read(path)
        except wire.ConfigError as error:
            why = str(error).replace(str(path), "its unit.toml")
            raise ProvisioningError(f"unit {unit.name!r} cannot be made so: {why}") from None


def _agree(card: Path, wanted: UnitConfig) -> None:
    """Raises ProvisioningError if the card is there and says something else than `wanted`."""
    path = card / UNIT
    if not path.exists():
        return
    try:
        there = read_toml(path, dict[str, Any])
    except DecodeError as error:
        raise ProvisioningError(f"{path} is not a unit's configuration: {error}") from None
    new = decode_toml(_toml(wanted), dict[str, Any])
    differing = sorted(k for k in there.keys() | new.keys() if there.get(k) != new.get(k))
    if differing:
        raise ProvisioningError(
            f"unit {wanted.name!r} is there with another {' and '.join(differing)}; its card was "
            f"kept as it is; move {card} away if you mean to make a new one"
        )


def _kept(card: Path) -> None:
    """Raises ProvisioningError if the key of the card's controller is there and is none, or is gone
    from a card that had one.
    """
    key = card / CONTROLLER_KEY
    try:
        if key.exists():
            pair_key.from_text(key.read_text("ascii", "replace").strip())
        elif (card / UNIT).exists():
            raise ProvisioningError(
                f"{card} has {UNIT} but its {CONTROLLER_KEY} is missing: bring it back from your "
                "backup or from the unit, or move the card away for a new one and a new pair"
            )
    except pair_key.PairKeyError as error:
        raise ProvisioningError(
            f"{key} is no controller's key: {error}; bring it back from your backup, or move it "
            "away for a new one and pair the controller again"
        ) from None
