"""A million revoked codes and 4,000 issuers, against one of each: text to verdict."""

import hashlib
import random
import time
from collections.abc import Callable
from itertools import cycle

from edge.clock.issuer_floors import IssuerFloors
from edge.clock.time_interval import Now, interval
from edge.judge.verdict import Genuine, Place, TrustState, verify
from edge.wire import keys, status, trust
from edge.wire.code import StatusEntry
from tests.bench.check import text
from tests.bench.figure import Figure, median, race, ratio

ISSUERS = 4000
REVOKED = 10**6
ENTRIES = 2**21
CODES = 256  # shown in turn, so that no figure is of one warm cache line


def figures(rounds: int) -> list[Figure]:
    """What grows with a city must not grow at its doors."""
    at_s = int(time.time())
    draw = random.Random(1)
    names = [f"company-{n}" for n in range(ISSUERS)]
    signers = {name: keys.private_key(_seed(name)) for name in names}
    revoked = draw.sample(range(ENTRIES), REVOKED)
    clear = draw.sample(sorted(set(range(ENTRIES)) - set(revoked)), CODES)
    many = _shown(at_s, signers, revoked, dict(zip(clear, draw.sample(names, CODES), strict=True)))
    one = {names[0]: signers[names[0]]}
    few = _shown(at_s, one, revoked[:1], dict.fromkeys(clear, names[0]))
    times = race({"many": many, "few": few}, rounds=rounds, calls=CODES)
    return [
        Figure("many_us", "one of 4,000 issuers, a million revoked", median(times["many"]) * 1e6,
               "us"),
        Figure("few_us", "one issuer, one revoked", median(times["few"]) * 1e6, "us"),
        Figure("many_by_few", "  many / one of each", ratio(times["many"], times["few"]), "x", 1.1),
    ]  # fmt: skip


def _shown(
    at_s: int, signers: dict[str, keys.PrivateKey], revoked: list[int], codes: dict[int, str]
) -> Callable[[], object]:
    """Judge the next of `codes` (the entry and the issuer of each) at a door that knows all."""
    known = [
        trust.IssuerEntry(
            name=name,
            keys=[trust.IssuerKey(keys.public_to_text(key.public), at_s - 86400, at_s + 86400)],
            longest_life_s=86400,
        )
        for name, key in signers.items()
    ]
    signer = next(iter(signers.values()))
    data = status.write(revoked, ENTRIES, "any/1", at_s, signer)
    listed = status.read(data, [signer.public], "any/1")
    believed = TrustState(
        trust.Trust(trust.Issuers(version=1, signed_s=at_s, issuers=known)),
        lists={(name, f"{name}/1"): listed for name in signers},
        signed_s=at_s,
    )
    place, now, floors = Place(frozenset({"campus"})), Now(interval(at_s + 10), 0), IssuerFloors()
    texts = [
        text(at_s, signers[name], status=StatusEntry(bit, f"{name}/1")).encode()
        for bit, name in codes.items()
    ]
    assert all(isinstance(verify(t, believed, place, now, floors), Genuine) for t in texts)
    shown = cycle(texts)
    return lambda: verify(next(shown), believed, place, now, floors)


def _seed(name: str) -> bytes:
    return hashlib.sha256(name.encode()).digest()
