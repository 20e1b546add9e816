"""What is hurt: genuine codes, taken apart, with the world of the vectors around them."""

from dataclasses import dataclass, replace

from tests.vectors.parts import (
    DOOR,
    GREEN,
    HERE,
    KID,
    NOW_S,
    RED,
    YELLOW,
    cbor,
    cnf,
    cose,
    joined,
    pairs,
    proof,
    protected,
    text,
    wrapped,
)

Entries = tuple[tuple[bytes, bytes], ...]


@dataclass(frozen=True, slots=True)
class Seed:
    """A genuine code in its parts, each as CBOR."""

    name: str
    claims: Entries
    key: str = "city"
    alg: int = -19
    said: Entries = ()  # what the phone says; empty: a bearer code
    phone: str = "phone"

    @property
    def held(self) -> bool:
        return bool(self.said)

    def inner(self) -> bytes:
        """The issuer's COSE_Sign1."""
        return cose(joined(list(self.claims)), self.key, header=protected(KID[self.key], self.alg))

    def raw(self) -> bytes:
        inner = self.inner()
        return wrapped(inner, joined(list(self.said)), self.phone) if self.held else inner

    def text(self) -> bytes:
        return text(self.raw()).encode()


def seed(name: str, key: str = "city", alg: int = -19, **claims: object) -> Seed:
    return Seed(name, tuple(pairs(**claims)), key, alg)


def held(bearer: Seed, door: str | None = None, phone: str = "phone", age_s: int = 2) -> Seed:
    """The same code for a phone, shown by it."""
    claims = sorted((*bearer.claims, (cbor(8), cbor(cnf(phone)))))
    said = ((cbor(3), cbor(door)),) if door else ()
    said = (*said, (cbor(6), cbor(NOW_S - age_s)))
    name = f"held {bearer.name}" + (" at its door" if door else "")
    return replace(bearer, name=name, claims=tuple(claims), said=said, phone=phone)


FULL = {
    "aud": [HERE, "lab"],
    "scope": "staff:acme slow",
    "nbf": NOW_S - 30,
    "party": 3,
    "turns": [GREEN, NOW_S - 20],
    "colour": YELLOW,
}
BEARERS = (
    seed("plain"),
    seed("yellow", colour=YELLOW),
    seed("red", colour=RED),
    seed("aud", aud=HERE),
    seed("scope", scope="staff:acme"),
    seed("party", party=4),
    seed("turns", colour=YELLOW, turns=[GREEN, NOW_S + 100]),
    seed("nbf", nbf=NOW_S - 30),
    seed("full", **FULL),
    seed("of the office", "office"),
    seed("of a key with a twin", "twin"),
    seed("alg -8", alg=-8),
    seed("status", status=[4, "city/1"]),
)
HELD = (
    held(BEARERS[0]),
    held(BEARERS[0], DOOR),
    held(BEARERS[0], phone="other-phone"),
    held(BEARERS[8], DOOR, age_s=30),
    held(BEARERS[9], DOOR, age_s=-3),
    held(BEARERS[11]),
)
SEEDS = BEARERS + HELD
assert proof() == joined(list(HELD[0].said))
