"""Our own verifier at the doors of world.json: what it says of a file, or of any text there."""

import base64
import json
from pathlib import Path
from typing import Any

import msgspec

from edge.clock.issuer_floors import IssuerFloors
from edge.clock.time_interval import NEVER_S, Interval, Now
from edge.judge import trust_documents
from edge.judge.trust_documents import Bundle
from edge.judge.verdict import Genuine, Place, Refused, TrustState, Unsure, Verdict, verify
from edge.wire import code

FOLDER = Path(__file__).parent
WORLD = json.loads((FOLDER / "world.json").read_text(encoding="utf-8"))
NAMES = sorted(path.stem for path in (FOLDER / "codes").glob("*.json"))
FIRST = "north-1"


class DoorVector(msgspec.Struct, forbid_unknown_fields=True):
    """A file. `text` (or `base64`) is followed by `repeat`; the clock's error is the world's."""

    why: str
    expect: str
    now_s: int
    text: str = ""
    base64: str = ""
    repeat: dict[str, Any] = {}
    clock: str = "set"
    door: str = FIRST
    claims: dict[str, Any] = {}
    key: str = ""
    holder: dict[str, Any] = {}

    def data(self) -> bytes:
        begin = self.text.encode() + base64.b64decode(self.base64, validate=True)
        return begin + self.repeat.get("text", "").encode() * self.repeat.get("times", 0)

    def now(self) -> Interval:
        if self.clock == "unset":
            return Interval(self.now_s, NEVER_S, "floor")
        error_s = WORLD["clock_error_s"]
        return Interval(self.now_s - error_s, self.now_s + error_s, "system")

    def code(self) -> code.Code:
        return code_of(self.claims)

    def judged(self) -> Verdict | None:
        return judge(self.data(), self.now(), self.door)


def case(name: str) -> DoorVector:
    """One of the files."""
    return msgspec.json.decode((FOLDER / "codes" / f"{name}.json").read_bytes(), type=DoorVector)


def code_of(claims: dict[str, Any]) -> code.Code:
    """A file's `claims`."""
    get = claims.get
    aud, listed, turns, cnf = (get(name) for name in ("aud", "status", "turns", "cnf"))
    return code.Code(
        colour=code.Colour(claims["colour"]),
        sub=claims["sub"],
        iat_s=claims["iat"],
        exp_s=claims["exp"],
        nbf_s=get("nbf"),
        aud=(aud,) if isinstance(aud, str) else tuple(aud or ()),
        scope=get("scope"),
        party=get("party", 1),
        turns=code.ColourChange(code.Colour(turns[0]), turns[1]) if turns else None,
        status=code.StatusEntry(*listed) if listed else None,
        cnf=bytes.fromhex(cnf) if cnf else None,
    )


def place(door: dict[str, Any]) -> Place:
    return Place(frozenset(door["groups"]), door["site"], door["unit"])


def believed(
    door: dict[str, Any], documents: dict[str, Any], signers: dict[str, list[str]]
) -> TrustState:
    """What a door of these documents believes; `signers` are the keys in base64, by path."""
    bundle = Bundle(
        {path: _bytes(document) for path, document in documents.items()},
        {path: tuple(map(base64.b64decode, publics)) for path, publics in signers.items()},
        version=1,
        signed_s=door["heard_s"],
        until_s=NEVER_S,
        accepted_s=0.0,
    )
    return trust_documents.read(bundle, door["site"], frozenset(door["groups"]))


def _bytes(document: dict[str, Any]) -> bytes:
    if document.keys() == {"base64"}:
        return base64.b64decode(document["base64"])
    return json.dumps(document).encode()


PLACES = {name: place(door) for name, door in WORLD["doors"].items()}
BELIEVED = {
    name: believed(door, WORLD["documents"], WORLD["keys"]) for name, door in WORLD["doors"].items()
}


TRUST = BELIEVED[FIRST].trust


def judge(text: bytes, now: Interval, door: str = FIRST) -> Verdict | None:
    """What our verifier says of `text` at a door of world.json that has seen nothing before."""
    return verify(text, BELIEVED[door], PLACES[door], Now(now, 0.0), IssuerFloors())


def told(said: Verdict | None) -> str:
    """As the files' `expect` has it."""
    match said:
        case None:
            return "not-a-door-code"
        case Genuine():
            return f"genuine:{said.colour.name.lower()}"
        case Refused() | Unsure():
            kind = type(said).__name__.lower()
            return f"{kind}:{said.reason.name.lower().replace('_', '-')}"
