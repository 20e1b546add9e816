"""What atheris drives: bytes -> a text -> a verdict. `python -m tests.fuzz.target CORPUS ...`.

The first byte says how deep the rest goes, so that no signature stands before what is searched:
a text; a COSE_Sign1; claims that the issuer signs; claims that it signs for a phone; what a phone
signs; the phone's protected header; and of the EU certificate, a COSE_Sign1 and claims.
"""

import sys
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["edge"]):
    from edge.judge.verdict import Genuine, judge_foreign
    from tests import eudcc
    from tests.vectors.door import NAMES, case, judge

import cbor2

from tests.fuzz.mutants import NOW, ORIGINALS
from tests.fuzz.seeds import HELD, SEEDS
from tests.vectors.parts import base45, cose, joined, proof, wrapped

INNER = HELD[0].inner()
VECTORS = {name: case(name) for name in NAMES}
SIGNED = ORIGINALS | {
    v.data() for v in VECTORS.values() if v.claims or v.expect.startswith("genuine")
}
DEPTHS = ("text", "cose", "claims", "held claims", "proof", "wrapper", "hc1", "hc1 claims")
EU = eudcc.recogniser(eudcc.EuKeyList((eudcc.key(),)))
EU_NOW = eudcc.at(eudcc.ISSUED_S + 86400)
EU_CLAIMS = {
    kind: eudcc.payload(kind, entry)
    for kind, entry in (("v", eudcc.VACCINATION), ("t", eudcc.TEST), ("r", eudcc.RECOVERY))
}


def text_of(depth: str, data: bytes) -> bytes:
    """The symbol that `data` makes."""
    if depth == "text":
        return data
    if depth == "hc1":
        return eudcc.pack(data, 1)
    if depth == "hc1 claims":
        return eudcc.wrap(eudcc.cose(data), 1)
    raw = {
        "cose": lambda: data,
        "claims": lambda: cose(data),
        "held claims": lambda: wrapped(cose(data)),
        "proof": lambda: wrapped(INNER, data),
        "wrapper": lambda: wrapped(INNER, header=data),
    }[depth]()
    return b"DC1:" + base45(raw).encode()


EU_RAW = {kind: cbor2.dumps(eudcc.cose(claims)) for kind, claims in EU_CLAIMS.items()}
EU_SUBJECTS = {
    judge_foreign(EU.read(eudcc.pack(raw)), eudcc.PLACE, EU_NOW).subject for raw in EU_RAW.values()
}


def one(data: bytes) -> None:
    """Raises whatever the verifier raises, and AssertionError for what it must not believe."""
    depth, data = DEPTHS[(data[0] if data else 0) % len(DEPTHS)], data[1:1600]
    text = text_of(depth, data)
    if depth.startswith("hc1"):
        said = judge_foreign(EU.read(text), eudcc.PLACE, EU_NOW)
        known = (
            depth == "hc1 claims" or not isinstance(said, Genuine) or said.subject in EU_SUBJECTS
        )
        assert known, f"{depth}: a forged certificate is believed"
        return
    if not isinstance(judge(text, NOW), Genuine) or text in SIGNED:
        return
    assert depth in ("claims", "held claims", "proof"), f"{depth}: a forged code is believed"
    assert cbor2.dumps(cbor2.loads(data), canonical=True) == data, f"{depth}: not in its one form"


def corpus() -> dict[str, bytes]:
    """Where the search begins: every vector, and each seed at each depth."""
    found = {f"vector {k}": b"\0" + v.data() for k, v in VECTORS.items() if not v.repeat}
    for seed in SEEDS:
        claims, raw = joined(list(seed.claims)), seed.raw()
        inner_claims = "held claims" if seed.held else "claims"
        for depth, data in (("text", seed.text()), ("cose", raw), (inner_claims, claims)):
            found[f"{depth} {seed.name}"] = bytes((DEPTHS.index(depth),)) + data
        if seed.held:
            proof_of = bytes((DEPTHS.index("proof"),)) + joined(list(seed.said))
            found[f"proof {seed.name}"] = proof_of
    for kind, claims in EU_CLAIMS.items():
        found[f"hc1 {kind}"] = bytes((DEPTHS.index("hc1"),)) + EU_RAW[kind]
        found[f"hc1 claims {kind}"] = bytes((DEPTHS.index("hc1 claims"),)) + claims
    found["wrapper"] = bytes((DEPTHS.index("wrapper"),)) + b"\xa2\x01\x32\x0d" + INNER
    found["proof"] = bytes((DEPTHS.index("proof"),)) + proof()
    return found


if __name__ == "__main__":
    for name, data in corpus().items():
        (Path(sys.argv[1]) / name.replace(" ", "-")).write_bytes(data)
    atheris.Setup(sys.argv, one)
    atheris.Fuzz()
