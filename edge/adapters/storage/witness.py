"""The witness of the counts: a few numbers outside counts.db, by which a loss in it is noticed.

A file that lost its newest rows is a good file of a while ago, and no check of the file alone finds
that. The witness is written with each closed cell, each acknowledgement and every quarter-hour,
never with a passage.
"""

import hashlib
from pathlib import Path
from typing import Annotated

import msgspec

from edge import files
from edge.wire.decode import DecodeError, decode_json

FILE = "counts.witness"
RENEWALS_MAX = 4
"""New installations within a day; one more, and the store counts as lost."""
DAY_S = 86_400
_LEN_MAX = 4096

_Count = Annotated[int, msgspec.Meta(ge=0, le=2**53)]


class Witness(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What counts.db held when this was written."""

    installation: Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{16}(?!\n)$")]
    next_number: _Count
    decided: _Count
    acknowledged: _Count
    acknowledged_number: _Count  # the last cell that the collector has acknowledged; 0: none
    renewed_s: list[_Count] = []
    """When new installations began for damage, powered-on seconds; at most RENEWALS_MAX."""

    def renewals(self, powered_s: float) -> list[int]:
        """Those of a day before `powered_s`. Powered-on time that went back was lost with the
        disk, and does not end the day.
        """
        return [at_s for at_s in self.renewed_s if abs(powered_s - at_s) < DAY_S]


class _WitnessFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    witness: Witness
    checksum: str


def read(folder: Path) -> Witness | None:
    """The witness in `folder`; None: there is none, or it is damaged. Raises OSError."""
    try:
        with (folder / FILE).open("rb") as file:
            data = file.read(_LEN_MAX + 1)
    except FileNotFoundError:
        return None
    try:
        content = decode_json(data, _WitnessFile, _LEN_MAX)
    except DecodeError:
        return None
    return content.witness if content.checksum == _checksum(content.witness) else None


def write(folder: Path, witness: Witness) -> None:
    """Put `witness` in the place of the one before, durably. Raises OSError."""
    content = _WitnessFile(witness, _checksum(witness))
    files.replace(folder / FILE, msgspec.json.encode(content), 0o600)


def _checksum(witness: Witness) -> str:
    return hashlib.sha256(msgspec.json.encode(witness)).hexdigest()
