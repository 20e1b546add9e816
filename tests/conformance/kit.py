"""What is asked, and what must be answered. Everything comes from tests/vectors."""

import base64
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tests.conformance import law
from tests.conformance.program import NoAnswer, ReaderProgram
from tests.vectors.parts import base45

VECTORS = Path(__file__).parents[1] / "vectors"
WORLD = json.loads((VECTORS / "world.json").read_text(encoding="utf-8"))
CASES = {
    path.stem: json.loads(path.read_text(encoding="utf-8"))
    for path in sorted((VECTORS / "codes").glob("*.json"))
}


@dataclass(frozen=True, slots=True)
class Result:
    """One question and what came of it; `wrong` is empty when all is well."""

    name: str
    group: str
    why: str
    wrong: str = ""


def reader(program: ReaderProgram) -> Iterator[Result]:
    """Every vector, in turn."""
    for name, case in CASES.items():
        try:
            said = _verdict(program.ask(_shown(case)))
        except NoAnswer as error:
            said = str(error)
        wrong = "" if said == case["expect"] else f"expected {case['expect']}, said {said}"
        yield Result(name, case["expect"], case["why"], wrong)


def _shown(case: dict[str, Any]) -> dict[str, Any]:
    """A question for a reader. The case's name is not in it."""
    door = WORLD["doors"][case.get("door", "north-1")]
    error_s, now_s = WORLD["clock_error_s"], case["now_s"]
    unset = case.get("clock") == "unset"
    time = {"earliest_s": now_s, "latest_s": None} if unset else {
        "earliest_s": now_s - error_s, "latest_s": now_s + error_s
    }  # fmt: skip
    repeat = case.get("repeat", {"text": "", "times": 0})
    begin = case["text"].encode() if "text" in case else base64.b64decode(case["base64"])
    data = begin + repeat["text"].encode() * repeat["times"]
    what = (
        {"text": data.decode()} if data.isascii() else {"base64": base64.b64encode(data).decode()}
    )
    return {
        **what,
        "time": time,
        "door": door,
        "documents": WORLD["documents"],
        "keys": WORLD["keys"],
    }


def _verdict(answer: dict[str, Any]) -> str:
    verdict = answer.get("verdict")
    more = answer.get("colour" if verdict == "genuine" else "reason")
    return str(verdict) if more is None else f"{verdict}:{more}"


SECTIONS = {
    0: "an answer at all",
    1: "a code that keeps sections 2 to 5 and says what was asked",
    2: "section 2, the text",
    3: "section 3, the COSE_Sign1",
    4: "section 4, the claims",
    5: "section 5, one code has one text",
    9: "section 9, the holder code",
}
TIMES = {"sub": "AAECAwQFBgc", "iat": 1_800_000_000, "exp": 1_800_000_300, "colour": 1}
OUT_OF_BOUNDS: dict[str, dict[str, Any]] = {
    "without a day handle": {"sub": None},
    "a short day handle": {"sub": "AAECAwQFBg"},
    "a day handle with loose bits": {"sub": "AAECAwQFBgd"},
    "without exp": {"exp": None},
    "exp at iat": {"exp": 1_800_000_000},
    "exp above 32 bits": {"exp": 2**32},
    "iat negative": {"iat": -1},
    "colour four": {"colour": 4},
    "colour as text": {"colour": "green"},
    "nbf at iat": {"nbf": 1_800_000_000},
    "nbf at exp": {"nbf": 1_800_000_300},
    "five door groups": {"aud": ["a", "b", "c", "d", "e"]},
    "a door group in upper case": {"aud": "Campus"},
    "five grants": {"scope": "a b c d e"},
    "two blanks in scope": {"scope": "a  b"},
    "a party of ten": {"party": 10},
    "a party of none": {"party": 0},
    "a turn at exp": {"turns": [2, 1_800_000_300]},
    "a turn to colour four": {"turns": [4, 1_800_000_100]},
    "a status bit below zero": {"status": [-1, "city"]},
    "a holder's key of 31 bytes": {"cnf": "00" * 31},
}


def issuer(program: ReaderProgram) -> Iterator[Result]:
    """Codes with given claims, read strictly; then claims that no issuer may write."""
    for name, case in CASES.items():
        if "claims" not in case or "holder" in case:
            continue
        seed = WORLD["seeds"][case["key"]]
        group, wrong = _written(program, seed, case["claims"])
        yield Result(name, SECTIONS[group], case["why"], wrong)
    for name, claims in OUT_OF_BOUNDS.items():
        said = {key: value for key, value in (TIMES | claims).items() if value is not None}
        try:
            answer = program.ask({"seed": WORLD["seeds"]["city"], "claims": said})
            wrong = "" if type(answer.get("refused")) is str else "section 4: it was not refused"
        except NoAnswer as error:
            wrong = str(error)
        yield Result(name, "section 4, claims out of bounds are refused", name, wrong)


def _written(program: ReaderProgram, seed: str, claims: dict[str, Any]) -> tuple[int, str]:
    try:
        answer = program.ask({"seed": seed, "claims": claims})
        text = answer.get("text")
        if type(text) is not str:
            return 0, f"no text in the answer: {json.dumps(answer)[:100]}"
        found = law.issued(text, _public(seed)).claims
    except NoAnswer as error:
        return 0, str(error)
    except law.BrokenRule as broken:
        return broken.section, str(broken)
    plain = {key: v.hex() if type(v) is bytes else v for key, v in found.items()}
    return 1, "" if plain == claims else f"section 4: it says {plain}, asked was {claims}"


def wallet(program: ReaderProgram) -> Iterator[Result]:
    """Holder codes around given codes, read strictly."""
    for name, case in CASES.items():
        if "holder" not in case:
            continue
        shown, seed = case["holder"], WORLD["seeds"][case["key"]]
        inner = law.held(case["text"], _public(seed)).inner
        asked = {"seed": WORLD["seeds"][shown["key"]], "code": "DC1:" + base45(inner.raw)}
        asked |= {key: shown[key] for key in ("iat", "door") if key in shown}
        group, wrong = 0, ""
        try:
            answer = program.ask(asked)
            if type(answer.get("text")) is not str:
                wrong = f"no text in the answer: {json.dumps(answer)[:100]}"
            else:
                group, held = 9, law.held(answer["text"], _public(seed))
                if held.inner.raw != inner.raw:
                    wrong = "section 9: the code inside is not the issuer's, byte for byte"
                elif (held.iat, held.door) != (shown["iat"], shown.get("door")):
                    wrong = f"section 9: it says {held.iat}, {held.door}: not what was asked"
        except NoAnswer as error:
            wrong = str(error)
        except law.BrokenRule as broken:
            group, wrong = broken.section, str(broken)
        yield Result(name, SECTIONS[group], case["why"], wrong)


def _public(seed: str) -> bytes:
    key = Ed25519PrivateKey.from_private_bytes(bytes.fromhex(seed))
    return key.public_key().public_bytes_raw()
