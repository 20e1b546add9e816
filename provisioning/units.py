"""Units: makes each unit's card, the folder from which the unit reads its configuration."""

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
STICK = "/media/menshen"  # where the unit's system mounts a USB stick at the door
PI_CAMERA = CameraConfig()
CONTROLLER_BAUD = 115200
CONTROLLER_KEY = "controller.key"
GROUP_LEN_MAX = 63  # edge.wire.trust.Group


@dataclass(frozen=True, slots=True, kw_only=True)
class UnitOrder:
    """The settings for one unit. Omitted settings take their defaults."""

    name: str
    groups: Sequence[str] = ()  # empty: the site, and site/unit
    camera: CameraConfig = PI_CAMERA
    wired: Sequence[str] = ()  # in addition to lights, buzzer and relay
    controller: str = ""  # serial port of a controller on the secure side; empty: a direct door
    controller_baud: int = CONTROLLER_BAUD
    broker: bool = True
    broker_host: str = ""  # empty: the first host in the broker's certificate
    broker_port: int = BROKER_PORT
    source_line: str = ""  # its file and line, for error messages


def create_card(estate: Path, site: str, order: UnitOrder) -> TrackedFolder:
    """Make one unit's card. Raises ProvisioningError if it exists with other settings."""
    return create_cards(estate, site, [order])[0]


def create_cards(
    estate: Path,
    site: str,
    orders: Sequence[UnitOrder],
    on_card: Callable[[TrackedFolder], None] = lambda card: None,
) -> list[TrackedFolder]:
    """Make the cards of `orders`; if one order is invalid, make none. Calls `on_card` for each.

    Raises ProvisioningError.
    """
    with places.changing(estate):
        site_config = sites.read(estate, site)
        trust_files = repository.card_files(estate, site)
        ca = authority.Authority(estate) if any(o.broker for o in orders) else None
        unit_configs = [_plan_order(estate, site_config, order) for order in orders]
        cards = []
        for unit_config in unit_configs:
            cards.append(_write(estate, unit_config, trust_files, ca))
            on_card(cards[-1])
    return cards


def plan(estate: Path, site: sites.SiteConfig, order: UnitOrder) -> UnitConfig:
    """The unit configuration of `order`. Raises ProvisioningError if it is invalid."""
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
    _check_readable(configuration)
    card = places.card(estate, site.name, name)
    _check_unchanged(card, configuration)
    if isinstance(configuration.door, ControllerDoor):
        _check_controller_key(card)
    return configuration


def _plan_order(estate: Path, site: sites.SiteConfig, order: UnitOrder) -> UnitConfig:
    try:
        return plan(estate, site, order)
    except ProvisioningError as error:
        if order.source_line:
            raise ProvisioningError(f"{order.source_line}: {error}; nothing was made") from None
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
            f"unit {order.name!r} has invalid controller settings: {error}"
        ) from None


def _groups(order: UnitOrder) -> list[str]:
    for group in order.groups:
        try:
            msgspec.convert(group, Group)
        except msgspec.ValidationError:
            raise ProvisioningError(
                f"{group[:60]!r} is not a valid door group: use 1 to {GROUP_LEN_MAX} small "
                f"letters, digits and / . _ -, beginning and ending with a letter or digit"
            ) from None
    return list(order.groups)


def _broker(estate: Path, order: UnitOrder) -> BrokerConfig:
    hosts = authority.broker_hosts(estate)
    host = order.broker_host or hosts[0]
    if host not in hosts:
        raise ProvisioningError(
            f"the broker's certificate is for {', '.join(hosts)} and not for {host[:60]!r}, so "
            f"unit {order.name!r} would refuse it; choose one of those with --broker-host"
        )
    collector = files.public_key(places.server(estate) / "collector-sign.pub")
    time = places.server(estate) / "time.pub"
    if not time.exists():  # an estate of a version without time requests
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
    estate: Path,
    unit: UnitConfig,
    trust_files: Mapping[str, bytes],
    ca: authority.Authority | None,
) -> TrackedFolder:
    card = TrackedFolder(places.card(estate, unit.site, unit.name))
    if unit.broker and ca:
        usage = ExtendedKeyUsageOID.CLIENT_AUTH
        ca.certificate(card, "unit", _certificate_name(unit), usage)
        card.require_same("ca.pem", ca.pem)
    repository.update_card(card, trust_files)
    card.create_once(boot.NAME, lambda: boot.addition(unit))
    if isinstance(unit.door, ControllerDoor):
        text = f"{pair_key.to_text(pair_key.new_key())}\n".encode()
        card.create_once(CONTROLLER_KEY, lambda: text, private=True)
    card.create_once(UNIT, lambda: _toml(unit))  # last: a card with this file is complete
    return card


def _certificate_name(unit: UnitConfig) -> str:
    return f"{unit.site}/{unit.name}"


def _toml(unit: UnitConfig) -> bytes:
    return toml(_without_none(msgspec.to_builtins(unit)))


def _without_none(table: dict[str, Any]) -> dict[str, Any]:
    """`table` without its None values, because TOML has no null."""
    return {
        name: _without_none(value) if isinstance(value, dict) else value
        for name, value in table.items()
        if value is not None
    }


def _check_readable(unit: UnitConfig) -> None:
    """Check the configuration with the unit's own reader. Raises ProvisioningError."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / UNIT
        path.write_bytes(_toml(unit))
        try:
            wire.read(path)
        except wire.ConfigError as error:
            why = str(error).replace(str(path), "its unit.toml")
            raise ProvisioningError(f"unit {unit.name!r} has invalid settings: {why}") from None


def _check_unchanged(card: Path, unit: UnitConfig) -> None:
    """Raises ProvisioningError if the card exists with other settings than `unit`."""
    path = card / UNIT
    if not path.exists():
        return
    try:
        old = read_toml(path, dict[str, Any])
    except DecodeError as error:
        raise ProvisioningError(f"{path} is not a valid unit configuration: {error}") from None
    new = decode_toml(_toml(unit), dict[str, Any])
    different = sorted(k for k in old.keys() | new.keys() if old.get(k) != new.get(k))
    if different:
        raise ProvisioningError(
            f"unit {unit.name!r} exists with another {' and '.join(different)}; its card was "
            f"kept; move {card} away to make a new one"
        )


def _check_controller_key(card: Path) -> None:
    """Raises ProvisioningError if a complete card's controller key is invalid or missing."""
    key = card / CONTROLLER_KEY
    try:
        if key.exists():
            pair_key.from_text(key.read_text("ascii", "replace").strip())
        elif (card / UNIT).exists():
            raise ProvisioningError(
                f"{card} has {UNIT} but its {CONTROLLER_KEY} is missing: restore it from your "
                "backup or from the unit, or move the card away, make a new one and pair again"
            )
    except pair_key.PairKeyError as error:
        raise ProvisioningError(
            f"{key} is not a controller's key: {error}; restore it from your backup, or move it "
            "away, make a new one and pair the controller again"
        ) from None
