"""Who comes by, and what is on their phones: records at the real issuer, unlocked over HTTP."""

import base64
import json
import time
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from edge.wire import holder, keys
from edge.wire.code import Code, Colour, encode
from edge.wire.eu_documents import EuKeyList
from provisioning import foreign
from server_stub import store as stores
from server_stub.issuing import records
from tests import eudcc
from tests.centre import ISSUER
from tests.world import Pretender

Rng = np.random.Generator

COMPANY = "acme"
"""Whose people the site stops in the middle of the demo."""

KINDS = {  # what a visit shows, of a hundred; what an attentive door says; and after the news
    "green": (34, "green", ""),  # on a phone that signs itself
    "green, no key": (10, "green", ""),  # a bearer code of minutes
    "yellow": (5, "yellow", ""),
    "red": (6, "red", ""),
    "expired": (4, "expired", ""),
    "forged": (4, "not-genuine", ""),
    "cut off": (3, "not-genuine", ""),
    "of another site": (4, "not-here", ""),
    "screenshot": (5, "proof-old", ""),
    "stripped": (3, "not-genuine", ""),  # a holder's code without the holder's proof
    "wrong clock": (4, "phone-clock", ""),
    "EU certificate": (4, "green", ""),
    "party of three": (3, "green", ""),
    "taken back": (6, "green", "revoked"),  # after the news; before it they pass
    "of acme": (5, "green", "not-now"),
}
AGAIN = "shown twice"  # a code that was shown some visits ago
AGAIN_SHARE = {"green": 0.15, "green, no key": 0.5}  # of these visits
AGAIN_LATER = 3  # visits: the code was out of sight meanwhile

_RECORDS: dict[str, tuple[int, Colour, tuple[str, ...], str | None]] = {
    # Nobody twice within passback time: a visit takes a second.
    "green": (150, Colour.GREEN, (), None),
    "green, no key": (60, Colour.GREEN, (), None),
    "yellow": (6, Colour.YELLOW, (), None),
    "red": (8, Colour.RED, (), None),
    "of another site": (6, Colour.GREEN, ("harbour",), None),
    "taken back": (8, Colour.GREEN, (), None),
    "of acme": (24, Colour.GREEN, (), f"staff:{COMPANY}"),
    "wrong clock": (12, Colour.GREEN, (), None),
}
_WITH_KEY = {"green", "taken back", "of acme", "wrong clock"}


@dataclass(frozen=True)
class Enrolled:
    """The records of one door's visitors by kind, and their activation secrets."""

    records: dict[str, list[str]]
    secrets: dict[str, list[str]]


def enrol(store_url: str) -> Enrolled:
    """Make records for one door's visitors."""
    made = Enrolled({}, {})
    with stores.writing(stores.open_store(store_url)) as connection:
        for kind, (number, colour, aud, scope) in _RECORDS.items():
            new = [records.enrol(connection, ISSUER, colour, aud, scope) for _ in range(number)]
            made.records[kind] = [each.record for each in new]
            made.secrets[kind] = [each.secret for each in new]
    return made


def eu_keys() -> bytes:
    """The key list that our EU certificates need."""
    now_s = int(time.time())
    signer = eudcc.key(from_s=now_s - 90 * 86400, until_s=now_s + 400 * 86400)
    return foreign.encode_key_list(EuKeyList((signer,)))


@dataclass
class DemoPhone:
    """One unlocked wallet; with a `key` of its own it makes proofs."""

    issuer: str  # its URL
    token: str
    key: keys.PrivateKey | None
    bare: str = field(default="", repr=False)

    def code(self, off_s: int = 0) -> str:
        """What its display shows now, by a clock that is off by `off_s`."""
        body = {"key": keys.public_to_text(self.key.public)} if self.key else {}
        if not self.bare or not self.key:
            self.bare = str(_post(f"{self.issuer}v1/code", body, self.token)["text"])
        if self.key is None:
            return self.bare
        return holder.encode(self.bare, int(time.time()) + off_s, None, self.key)


def unlock(issuer: str, secrets: Sequence[str], with_key: bool = False) -> list[DemoPhone]:
    """Exchange activation secrets, each once, for phones."""
    phones = []
    for secret in secrets:
        key = keys.private_key() if with_key else None
        public = {"key": keys.public_to_text(key.public)} if key else {}
        answer = _post(f"{issuer}v1/activate", {"secret": secret, **public})
        phones.append(DemoPhone(issuer, str(answer["token"]), key))
    return phones


@dataclass(frozen=True)
class DemoVisit:
    """Who comes: what they are, what they show, and when that was made."""

    kind: str
    text: str
    made_s: float  # Unix seconds UTC


class Crowd:
    """Picks who comes next and what they hold up."""

    def __init__(
        self, issuer: str, secrets: dict[str, list[str]], city: keys.PrivateKey, rng: Rng
    ) -> None:
        self._issuer, self._secrets = issuer, secrets
        self._phones: dict[str, list[DemoPhone]] = {kind: [] for kind in secrets}
        self._phones["taken back"] = unlock(issuer, secrets["taken back"], with_key=True)
        for phone in self._phones["taken back"]:  # they have their codes before the news
            phone.code()
        secrets["taken back"].clear()
        self._city = city
        self._rng = rng
        self._number = 0
        self._again: list[tuple[int, DemoVisit]] = []  # from which visit on to show what once more

    def next(self, wanted: str | None = None) -> DemoVisit:
        """The next visit, of the `wanted` kind if there is one.

        A phone is unlocked when its owner comes for the first time.
        """
        self._number += 1
        if wanted is None and self._again and self._again[0][0] <= self._number:
            first = self._again.pop(0)[1]
            return DemoVisit(AGAIN, first.text, first.made_s)
        shares = np.array([share for share, _, _ in KINDS.values()], float)
        kind = wanted or list(KINDS)[self._rng.choice(len(KINDS), p=shares / shares.sum())]
        made_s = time.time()
        visit = DemoVisit(kind, self._text(kind), made_s)
        if self._rng.random() < AGAIN_SHARE.get(kind, 0):
            self._again.append((self._number + AGAIN_LATER, visit))
        return visit

    def _text(self, kind: str) -> str:
        if kind in self._phones:
            return self._phone(kind).code(600 if kind == "wrong clock" else 0)
        if kind == "cut off":
            return self._phone("green, no key").code()[: -int(self._rng.integers(3, 60))]
        if kind == "stripped":
            phone = self._phone("green")
            phone.code()
            return phone.bare
        return self._signed(kind, int(time.time()))

    def _phone(self, kind: str) -> DemoPhone:
        phones, secrets = self._phones[kind], self._secrets[kind]
        if secrets:
            phones += unlock(self._issuer, [secrets.pop()], kind in _WITH_KEY)
        else:
            phones.append(phones.pop(0))  # one after the other
        return phones[-1]

    def _signed(self, kind: str, now_s: int) -> str:
        """What the issuer signed some time ago, or would sign, or what others have."""
        sub = base64.urlsafe_b64encode(self._rng.bytes(8))[:11].decode()
        code = Code(colour=Colour.GREEN, sub=sub, iat_s=now_s - 5, exp_s=now_s + 600)
        if kind == "EU certificate":
            day = time.strftime("%Y-%m-%d", time.gmtime(now_s - 30 * 86400))
            entry = eudcc.VACCINATION | {
                "dt": day,
                "ci": f"URN:UVCI:01:AT:{self._rng.bytes(12).hex()}",
            }
            return eudcc.text("v", entry, iat=now_s - 86400, exp=now_s + 300 * 86400).decode()
        if kind == "screenshot":  # of a phone that showed it some minutes ago
            phone = keys.private_key()
            code = Code(
                colour=Colour.GREEN,
                sub=sub,
                iat_s=now_s - 1800,
                exp_s=now_s + 7200,
                cnf=phone.public,
            )
            return holder.encode(encode(code, self._city), now_s - 300, None, phone)
        if kind == "expired":
            code = Code(colour=Colour.GREEN, sub=sub, iat_s=now_s - 120, exp_s=now_s - 60)
        if kind == "party of three":
            code = Code(colour=Colour.GREEN, sub=sub, iat_s=now_s - 5, exp_s=now_s + 600, party=3)
        forger = Pretender(keys.private_key(), self._city.kid)
        return encode(code, forger if kind == "forged" else self._city)


def _post(url: str, body: dict[str, str], token: str = "") -> dict[str, object]:
    headers = {"Content-Type": "application/json"}
    if token:
        headers["Authorization"] = f"Bearer {token}"
    asked = urllib.request.Request(url, json.dumps(body).encode(), headers)  # noqa: S310
    with urllib.request.urlopen(asked, timeout=120) as answer:  # noqa: S310
        return dict(json.load(answer))
