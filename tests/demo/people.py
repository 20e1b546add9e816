"""Who comes by, and what is on their phones: records at the real issuer, unlocked over HTTP."""

import base64
import json
import time
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from edge.wire import keys
from edge.wire.code import Code, Colour, encode
from server_stub import records
from server_stub import store as stores
from tests.centre import ISSUER
from tests.world import Pretender

Rng = np.random.Generator

KINDS = {  # what a visit shows, of a hundred; and what an attentive door says to it
    "green": (60, "green"),
    "yellow": (8, "yellow"),
    "red": (9, "red"),
    "expired": (8, "expired"),
    "forged": (5, "not-genuine"),
    "cut off": (4, "not-genuine"),
    "of another site": (6, "not-here"),
}
_RECORDS: dict[str, tuple[int, Colour, tuple[str, ...]]] = {
    "green": (200, Colour.GREEN, ()),  # nobody twice within passback time: a visit takes a second
    "yellow": (6, Colour.YELLOW, ()),
    "red": (8, Colour.RED, ()),
    "of another site": (6, Colour.GREEN, ("harbour",)),
}


def enrol(store_url: str) -> dict[str, list[str]]:
    """Make records for one door's visitors; their activation secrets by kind."""
    with stores.writing(stores.open_store(store_url)) as connection:
        return {
            kind: [
                records.enrol(connection, ISSUER, colour, aud, None).secret for _ in range(number)
            ]
            for kind, (number, colour, aud) in _RECORDS.items()
        }


@dataclass(frozen=True)
class Phone:
    """One unlocked wallet."""

    issuer: str  # its URL
    token: str

    def code(self) -> str:
        """A fresh code, as the wallet page asks for it."""
        return str(_post(f"{self.issuer}v1/code", {}, self.token)["text"])


def unlock(issuer: str, secrets: Sequence[str]) -> list[Phone]:
    """Exchange activation secrets, each once, for phones."""
    answers = [_post(f"{issuer}v1/activate", {"secret": secret}) for secret in secrets]
    return [Phone(issuer, str(answer["token"])) for answer in answers]


class Crowd:
    """Picks who comes next and what they hold up."""

    def __init__(
        self, issuer: str, secrets: dict[str, list[str]], city: keys.PrivateKey, rng: Rng
    ) -> None:
        self._phones = {kind: unlock(issuer, some) for kind, some in secrets.items()}
        self._city = city
        self._rng = rng

    def next(self) -> tuple[str, str]:
        """The kind of the next visit, and the text of its code."""
        shares = np.array([share for share, _ in KINDS.values()], float)
        kind = list(KINDS)[self._rng.choice(len(KINDS), p=shares / shares.sum())]
        return kind, self._text(kind)

    def _text(self, kind: str) -> str:
        if kind in self._phones:
            phones = self._phones[kind]
            phones.append(phones.pop(0))  # one after the other
            return phones[-1].code()
        genuine = self._phones["green"][0].code()
        if kind == "cut off":
            return genuine[: -int(self._rng.integers(3, 60))]
        now_s = int(time.time())
        sub = base64.urlsafe_b64encode(self._rng.bytes(8))[:11].decode()
        if kind == "expired":  # a screenshot of a code that the issuer signed some time ago
            code = Code(colour=Colour.GREEN, sub=sub, iat_s=now_s - 120, exp_s=now_s - 60)
            return encode(code, self._city)
        code = Code(colour=Colour.GREEN, sub=sub, iat_s=now_s, exp_s=now_s + 600)
        return encode(code, Pretender(keys.private_key(), self._city.kid))


def _post(url: str, body: dict[str, str], token: str = "") -> dict[str, object]:
    headers = {"Content-Type": "application/json"}
    if token:
        headers["Authorization"] = f"Bearer {token}"
    asked = urllib.request.Request(url, json.dumps(body).encode(), headers)  # noqa: S310
    with urllib.request.urlopen(asked, timeout=10) as answer:  # noqa: S310
        return dict(json.load(answer))
