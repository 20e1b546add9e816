"""Some thousand of `make fuzz`'s million; and verifiers broken on purpose, which it must find."""

import random
import subprocess
import sys
from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.clock.issuer_floors import IssuerFloors
from edge.clock.time_interval import Now
from edge.judge.verdict import Genuine, TrustState, Verdict, verify
from edge.wire import code, holder, keys
from edge.wire.rules import PLAIN, HolderTerms
from tests.fuzz import mutants, wounds
from tests.fuzz.seeds import SEEDS, Seed
from tests.vectors.door import BELIEVED, PLACES, TRUST

BLOCKS = 5


@pytest.mark.parametrize("seed", SEEDS, ids=lambda seed: seed.name)
def test_what_is_hurt_was_genuine(seed: Seed) -> None:
    assert isinstance(mutants.ours(seed.text()), Genuine)


def test_thousands_of_mutants() -> None:
    tally = mutants.MutantTally()
    for number in range(BLOCKS):
        tally.add(mutants.block(number))
    assert not tally.found, "\n".join(map(str, tally.found))
    assert tally.mutants == sum(tally.verdicts.values()) == BLOCKS * mutants.BLOCK
    assert tally.unhurt < tally.mutants / 20
    # Each layer has had its share to refuse, and nothing is left to the first look alone.
    refused = ("malformed", "bad-signature", "bad-proof", "proof-missing", "other-door")
    assert all(tally.verdicts[f"refused:{reason}"] >= 5 for reason in refused), tally.verdicts
    all_wounds = {wound.__name__ for wound in wounds.SIGNED + wounds.SIGNED_HELD}
    all_wounds |= {wound.__name__ for wound in wounds.RAW + wounds.TEXT}
    assert set(tally.wounds) == all_wounds


@pytest.mark.slow
@given(st.randoms(use_true_random=False))
@settings(max_examples=1500)
def test_a_mutant_is_never_believed(rng: random.Random) -> None:
    """The same wounds with every choice Hypothesis's own, so that a finding shrinks."""
    mutant = wounds.mutant(rng)
    assert mutants.wrong(mutant, mutants.MutantTally()) is None, mutant


def test_the_same_block_again_is_the_same() -> None:
    assert mutants.block(3).wounds == mutants.block(3).wounds


# -- what is broken on purpose is found ------------------------------------------------------------

OURS = mutants.ours


def kind(text: bytes) -> Verdict | None:
    """Cuts white space off, as a hand scanner's software likes to."""
    return OURS(text.strip())


def loud(text: bytes) -> Verdict | None:
    """Takes lower case."""
    return OURS(text.upper())


def bare(text: bytes) -> Verdict | None:
    """Takes the phone's signature off and is content with the issuer's."""
    raw = code.unwrap(text)
    held = holder.read(raw) if isinstance(raw, bytes) else None
    if isinstance(held, holder.HolderCode):
        said = held.inner
    elif isinstance(raw, bytes) and isinstance(signed := code.read(raw), code.SignedCode):
        said = signed
    else:
        return OURS(text)
    good = any(keys.verify(k.public, said.message, said.signature) for k in TRUST.keys(said.kid))
    return Genuine(said.code, said.code.colour, b"") if good else OURS(text)


def anywhere(text: bytes) -> Verdict | None:
    """Takes a proof for any door, of any time."""
    rules = replace(PLAIN, holder=HolderTerms(back_s=10**6, ahead_s=10**6))
    raw = code.unwrap(text)
    held = holder.read(raw) if isinstance(raw, bytes) else None
    place = PLACES["north-1"]
    if isinstance(held, holder.HolderCode) and held.door:
        place = type(place)(place.groups, *held.door.split("/"))
    believed = TrustState(TRUST, rules=rules, signed_s=BELIEVED["north-1"].signed_s)
    return verify(text, believed, place, Now(mutants.NOW, 0.0), IssuerFloors())


def fragile(text: bytes) -> Verdict | None:
    """Falls over a byte that is no ASCII."""
    text.decode("ascii")
    return OURS(text)


def loose(text: bytes) -> Verdict | None:
    """Reads a COSE_Sign1 as far as it goes and forgets what follows."""
    raw = code.base45_decode(text[4:]) or b""
    whole = (original for original in wounds.RAWS if raw.startswith(original))
    found = next(whole, None)
    return OURS(text) if found is None else OURS(code.wrap(found).encode())


@pytest.mark.parametrize(
    ("broken", "says"),
    [
        (kind, "is believed"),
        (loud, "is believed"),
        (bare, "is believed"),
        (anywhere, "is believed"),
        (loose, "is believed"),
        (fragile, "raises"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_a_broken_verifier_is_found(broken: mutants.Verify, says: str) -> None:
    found = [f for number in range(BLOCKS) for f in mutants.block(number, broken).found]
    assert found, f"nobody notices a verifier that: {broken.__doc__}"
    assert Counter(says in finding.says for finding in found)[True] >= 1
    assert "base64" in str(found[0])


# -- the command -----------------------------------------------------------------------------------


def fuzz(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tests.fuzz", *arguments]
    return subprocess.run(command, capture_output=True, text=True)


@pytest.mark.system
def test_the_command_says_what_it_did() -> None:
    ran = fuzz("--mutants", "2000", "--minutes", "0", "--jobs", "1")
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "2000 mutants" in ran.stdout
    assert "0 found" in ran.stdout


@pytest.mark.system
def test_atheris_runs() -> None:
    pytest.importorskip("atheris", reason="atheris has no wheel for this processor")
    ran = fuzz("--mutants", "0", "--minutes", "0.05")
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "atheris, target: " in ran.stdout
    assert "atheris, documents: " in ran.stdout
    assert ran.stdout.count("nothing found") == 2
