"""Many units at once, from a table with one unit per line, as a spreadsheet saves it (CSV)."""

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from edge.wire.decode import DecodeError, read_bytes
from edge.wire.unit import CameraConfig
from provisioning import estate as places
from provisioning.files import ProvisioningError
from provisioning.units import BROKER_PORT, CONTROLLER_BAUD, UnitOrder

COLUMNS = (
    "name",
    "groups",
    "camera_kind",
    "camera_source",
    "wired",
    "controller",
    "controller_baud",
    "broker",
    "broker_host",
    "broker_port",
)
UNITS_MAX = 10_000
_YES = {"": True, "yes": True, "no": False}


def read(path: Path) -> list[UnitOrder]:
    """Read every line of the table as an order. Raises ProvisioningError that names the line."""
    try:
        text = read_bytes(path).decode("utf-8")
    except OSError as error:
        raise ProvisioningError(f"{path} cannot be read ({error.strerror})") from None
    except UnicodeDecodeError:
        raise ProvisioningError(f"{path} is not text in UTF-8; save it as CSV UTF-8") from None
    except DecodeError as error:
        raise ProvisioningError(f"{path}: {error}") from None
    table = csv.DictReader(io.StringIO(text, newline=""), strict=True)
    try:
        columns = table.fieldnames or ()
        _check(path, columns)
        return _orders(path, table)
    except csv.Error as error:
        raise ProvisioningError(f"{path}, line {table.reader.line_num}: {error}") from None


def camera_config(settings: Mapping[str, str]) -> CameraConfig:
    """A unit's camera from its `kind` and `source`. Raises ProvisioningError."""
    try:
        return msgspec.convert(settings, CameraConfig)
    except msgspec.ValidationError:
        raise ProvisioningError(
            f"{settings['kind'][:60]!r} is not a kind of camera; "
            "choose picamera, webcam, imager or pictures"
        ) from None


def _check(path: Path, columns: Sequence[str]) -> None:
    unknown = [c for c in columns if c not in COLUMNS]
    if "name" not in columns or unknown or len(set(columns)) != len(columns):
        what = f"{unknown[0][:60]!r} is not a column" if unknown else "it needs one column `name`"
        raise ProvisioningError(
            f"{path}, line 1: {what}; the first line must name columns from {','.join(COLUMNS)}"
        )


def _orders(path: Path, table: "csv.DictReader[str]") -> list[UnitOrder]:
    orders: list[UnitOrder] = []
    line_of: dict[str, int] = {}
    for row in table:
        line = table.line_num
        try:
            order = _order(row, f"{path}, line {line}")
        except ProvisioningError as error:
            raise ProvisioningError(f"{path}, line {line}: {error}; nothing was made") from None
        if order.name in line_of:
            raise ProvisioningError(
                f"{path}, line {line}: unit {order.name!r} is already on line "
                f"{line_of[order.name]}; nothing was made"
            )
        line_of[order.name] = line
        orders.append(order)
    if not 1 <= len(orders) <= UNITS_MAX:
        raise ProvisioningError(
            f"{path} has {len(orders)} units; a table needs 1 to {UNITS_MAX} below its first line"
        )
    return orders


def _order(row: dict[str, str], source_line: str) -> UnitOrder:
    if None in row or None in row.values():
        raise ProvisioningError("it does not have as many fields as the first line")
    field = {name: row.get(name, "").strip() for name in COLUMNS}
    port = field["broker_port"] or str(BROKER_PORT)
    if not (port.isascii() and port.isdigit() and 1 <= int(port[:9]) <= 65535):
        raise ProvisioningError(f"broker_port {port[:60]!r} is not a number from 1 to 65535")
    if field["broker"] not in _YES:
        raise ProvisioningError(f"broker is {field['broker'][:60]!r}; write yes or no")
    baud = field["controller_baud"] or str(CONTROLLER_BAUD)
    if not (baud.isascii() and baud.isdigit()):
        raise ProvisioningError(f"controller_baud {baud[:60]!r} is not a number")
    return UnitOrder(
        name=places.checked(field["name"], "unit"),
        groups=field["groups"].split(),
        camera=camera_config(
            {"kind": field["camera_kind"] or "picamera", "source": field["camera_source"]}
        ),
        wired=field["wired"].split(),
        controller=field["controller"],
        controller_baud=int(baud[:9]),
        broker=_YES[field["broker"]],
        broker_host=field["broker_host"],
        broker_port=int(port),
        source_line=source_line,
    )
