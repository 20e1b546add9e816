"""A code on a sheet of paper for a person without a phone. It is valid for hours and revocable.

Anybody who holds the sheet can use it. The sheet is an SVG that a browser prints.
"""

import datetime
import io
import os
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import segno
import sqlalchemy as sa

from edge import words
from edge.wire import code, keys
from edge.wire.code import Code, Colour
from server_stub import store, templates
from server_stub.estate import IssuerFile
from server_stub.issuing import colour_changes, records, revocation
from server_stub.issuing.revocation import ListPosition

LIFE_S = 24 * 3600

_WORDS = words.section("paper")
_TEMPLATES = templates.environment(Path(__file__).with_name("templates"))


class PaperError(ValueError):
    """The sheet cannot be made; one sentence says why and what to do."""


@dataclass(frozen=True, slots=True)
class PaperSheet:
    """A signed code for one sheet."""

    issuer: str
    text: str
    exp_s: int  # Unix seconds UTC, exclusive
    entry: ListPosition  # the number that revokes this sheet alone


class _SheetLine(NamedTuple):
    y: str
    size: int
    text: str


def make(
    issuer: IssuerFile,
    key: keys.PrivateKey,
    url: str,
    record: str,
    life_s: int,
    now_s: int,
    path: Path,
) -> PaperSheet:
    """Sign a code for `record` and write its sheet to `path`, which must not exist.

    If the file cannot be written, the status list entry is not used up either.
    Raises PaperError, RecordError, RevocationError, StoreError.
    """
    if not 1 <= life_s <= issuer.longest_life_s:
        raise PaperError(
            f"codes of issuer {issuer.name} may live 1 to {issuer.longest_life_s} seconds, not "
            f"{life_s}; choose fewer hours"
        )
    if not issuer.from_s <= now_s < issuer.until_s:
        raise PaperError(
            f"the key of issuer {issuer.name} signs from {issuer.from_s} to {issuer.until_s} and "
            f"it is {now_s} now; make a new key with: menshen-provision issuer-key"
        )
    with store.changing(url) as connection:
        sheet = _sheet(connection, issuer.name, key, record, life_s, now_s)
        _write_new(path, svg(sheet))
    return sheet


def svg(sheet: PaperSheet) -> str:
    """The sheet, 90 mm wide: the QR symbol (about 1 mm per module) above the lines of text."""
    symbol = segno.make_qr(sheet.text, error="m", mode="alphanumeric", boost_error=False)
    picture = io.BytesIO()
    symbol.save(picture, kind="svg", border=4, light="#fff", xmldecl=False, svgns=False,
                nl=False, omitsize=True)  # fmt: skip
    until = datetime.datetime.fromtimestamp(sheet.exp_s, datetime.UTC)
    note = "\n".join(_WORDS.in_each("note"))
    rows = [
        (6, f"{sheet.issuer} · {sheet.entry}"),
        (5, f"until {until:%Y-%m-%d %H:%M} UTC"),
        *((4, row) for row in note.splitlines()),
    ]
    y, lines = 84.0, []
    for size, text in rows:
        y += size * 1.6
        lines.append(_SheetLine(f"{y:g}", size, text))
    embedded_symbol = (
        picture.getvalue().decode().replace("<svg", '<svg x="5" y="2" width="80" height="80"', 1)
    )
    template = _TEMPLATES.get_template("sheet.svg")
    return template.render(height=f"{y + 6:g}", symbol=embedded_symbol, lines=lines) + "\n"


def _sheet(
    connection: sa.engine.Connection,
    issuer: str,
    key: keys.PrivateKey,
    record: str,
    life_s: int,
    now_s: int,
) -> PaperSheet:
    entry = revocation.draw_paper_entry(connection, record, life_s, now_s)  # locks the record
    holder = records.prepare_paper(connection, record, issuer, now_s)
    course = colour_changes.worst(holder.courses, now_s, now_s + life_s)
    if course.colour is not Colour.GREEN:
        raise PaperError(
            f"record {record} is {course.colour.name.lower()}, and a sheet would keep that colour "
            f"until it expires; make the sheet when the record is green"
        )
    signed = Code(
        colour=course.colour,
        turns=course.turn,
        sub=holder.sub,
        iat_s=now_s,
        exp_s=now_s + life_s,
        aud=holder.aud,
        scope=holder.scope,
        status=entry.status(issuer),
    )
    return PaperSheet(issuer, code.encode(signed, key), signed.exp_s, entry)


def _write_new(path: Path, text: str) -> None:
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        raise PaperError(f"{path} exists and was kept; choose another file") from None
    except OSError as error:
        raise PaperError(
            f"cannot write {path} ({error.strerror or error}); choose another file"
        ) from None
