"""The conformance kit: our own programs pass it, and deliberately wrong ones fail by name."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests import ROOT
from tests.conformance import kit, law
from tests.conformance.kit import CASES, WORLD
from tests.vectors.parts import KID, PUBLIC

pytestmark = pytest.mark.system  # real processes

OURS = [sys.executable, "-m", "tests.conformance.ours"]
PYTHON = sys.executable


def conform(
    what: str, command: list[str], *options: str
) -> tuple[subprocess.CompletedProcess[str], str]:
    ran = subprocess.run(
        [PYTHON, "-m", "tests.conformance", what, *options, "--", *command],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)},  # a program to be tested may lie anywhere
    )
    return ran, " ".join(ran.stdout.split())


@pytest.mark.parametrize("what", ["reader", "issuer", "wallet"])
def test_our_own_conforms(what: str) -> None:
    ran, said = conform(what, [*OURS, what])
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "It conforms." in said
    asked = {"reader": len(CASES), "issuer": 90, "wallet": 30}[what]
    assert int(said.split(" passed. It")[0].split(" of ")[-1]) >= asked


WRONG = """
import sys
from tests.conformance import ours
from edge.wire import code, holder, keys, cbor
{}
"""

WRONG_READERS = {
    "trims what was scanned": (
        "def answer(asked):\n"
        "    if 'text' in asked: asked['text'] = asked['text'].strip()\n"
        "    return ours.reader(asked)\n",
        ["text-trailing-line-feed", "prefix-after-blank"],
        ["text-lower-case", "green", "exp-at-earliest"],
    ),
    "reads exp as inclusive": (
        "def answer(asked):\n"
        "    asked['time']['earliest_s'] -= 1\n"
        "    return ours.reader(asked)\n",
        ["exp-at-earliest"],
        ["exp-long-past", "text-lower-case"],
    ),
    "calls every wrong code malformed": (
        "def answer(asked):\n"
        "    said = ours.reader(asked)\n"
        "    return said | {'reason': 'malformed'} if said['verdict'] == 'refused' else said\n",
        ["exp-long-past", "holder-stripped", "signature-zeros"],
        ["text-lower-case", "cose-tagged"],
    ),
    "has no word for what it does not know": (
        "def answer(asked):\n"
        "    said = ours.reader(asked)\n"
        "    return said | {'verdict': 'refused'} if said['verdict'] == 'unsure' else said\n",
        ["issuer-unknown", "clock-unset"],
        ["green", "text-lower-case"],
    ),
    "falls over a strange byte": (
        "def answer(asked):\n    asked['text'].encode('ascii')\n    return ours.reader(asked)\n",
        ["base45-not-ascii", "random-bare-0"],
        ["green", "text-lower-case"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("how", WRONG_READERS)
def test_a_wrong_reader_fails_by_name(how: str, tmp_path: Path) -> None:
    source, failing, passing = WRONG_READERS[how]
    program = tmp_path / "reader.py"
    program.write_text(WRONG.format(source + "ours.main(answer)\n"))
    ran, _ = conform("reader", [PYTHON, str(program)])
    assert ran.returncode == 1, ran.stdout + ran.stderr
    named = {line.partition(":")[0] for line in ran.stdout.splitlines()}
    assert named >= set(failing)
    assert named.isdisjoint(passing)
    assert "It does NOT conform" in ran.stdout


SIGN = (  # writes any bytes as claims, under any header
    "def written(asked, payload, header=None, end=b''):\n"
    "    signer = keys.private_key(bytes.fromhex(asked['seed']))\n"
    "    head = b'\\xa2\\x01\\x32\\x04\\x46' + signer.kid if header is None else header(signer)\n"
    "    def string(b): return code.byte_string_head(len(b)) + b\n"
    "    signed = b'\\x84\\x6aSignature1' + string(head) + b'\\x40' + string(payload)\n"
    "    raw = b'\\x84' + string(head) + b'\\xa0' + string(payload)\n"
    "    return {'text': code.wrap(raw + string(signer.sign(signed)) + end)}\n"
    "def payload_of(asked):\n"
    "    return code.claims_encode(ours.code_of(asked['claims']))\n"
)

WRONG_ISSUERS = {
    "writes alg -8": (
        "return written(asked, payload_of(asked), lambda s: b'\\xa2\\x01\\x27\\x04\\x46' + s.kid)",
        "section 3: a writer does not write alg -8",
    ),
    "names its key by eight bytes": (
        "return written(asked, payload_of(asked),"
        " lambda s: b'\\xa2\\x01\\x32\\x04\\x48' + s.kid + b'AB')",
        "section 3: kid (4) is the first 6 bytes",
    ),
    "writes a party of one": (
        "p = payload_of(asked)\n"
        "    if 'party' not in asked['claims'] and 'turns' not in asked['claims']:\n"
        "        p = bytes((p[0] + 1,)) + p[1:] + b'\\x3a\\x00\\x01\\x00\\x01\\x01'\n"
        "    return written(asked, p)",
        "section 4: a party is 2 to 9",
    ),
    "writes 64-bit times": (
        "import struct; c = asked['claims']['exp']; p = payload_of(asked)\n"
        "    short, long = struct.pack('>I', c), struct.pack('>Q', c)\n"
        "    p = p.replace(b'\\x04\\x1a' + short, b'\\x04\\x1b' + long)\n"
        "    return written(asked, p)",
        "section 5: integers and lengths are in their shortest form",
    ),
    "writes iat before exp": (
        "p = payload_of(asked); a = p.index(b'\\x04\\x1a'); b = p.index(b'\\x06\\x1a')\n"
        "    p = p[:a] + p[b:b + 6] + p[a + 6:b] + p[a:a + 6] + p[b + 6:]\n"
        "    return written(asked, p)",
        "section 5: keys are in the order of their bytes",
    ),
    "writes tag 18": (
        "said = ours.issuer(asked)\n"
        "    if 'text' in said: said['text'] = code.wrap(b'\\xd2' + code.base45_decode("
        "said['text'][4:].encode()))\n"
        "    return said",
        "section 3: the COSE_Sign1 is untagged",
    ),
    "writes lower case": (
        "said = ours.issuer(asked)\n"
        "    return {k: 'DC1:' + v[4:].lower() for k, v in said.items()}",
        "section 2: ",
    ),
    "puts a byte behind it": (
        "return written(asked, payload_of(asked), None, b'\\0')",
        "section 5: nothing follows the signature",
    ),
    "signs with another key": (
        "return written(asked | {'seed': '11' * 32}, payload_of(asked), lambda s:"
        " b'\\xa2\\x01\\x32\\x04\\x46' + keys.private_key(bytes.fromhex(asked['seed'])).kid)",
        "section 3: the signature is that of",
    ),
    "forgets the scope": (
        "asked['claims'].pop('scope', None)\n    return ours.issuer(asked)",
        "section 4: it says",
    ),
    "signs whatever it is asked for": (
        "c = asked['claims']; said = ours.issuer(asked)\n"
        "    return said if 'text' in said else {'text': 'DC1:'}",
        "section 4: it was not refused",
    ),
    "answers in words": ("return {'error': 'busy'}", "no text in the answer"),
}  # fmt: skip


@pytest.mark.parametrize("how", WRONG_ISSUERS)
def test_a_wrong_issuer_is_told_the_rule(how: str, tmp_path: Path) -> None:
    source, says = WRONG_ISSUERS[how]
    program = tmp_path / "issuer.py"
    whole = f"{SIGN}def answer(asked):\n    {source}\nours.main(answer)\n"
    program.write_text(WRONG.format(whole))
    ran, said = conform("issuer", [PYTHON, str(program)])
    assert ran.returncode == 1, ran.stdout + ran.stderr
    assert says in said, ran.stdout


WRONG_WALLETS = {
    "forgets the external data": (
        "_aad = holder._EXTERNAL_AAD; holder._EXTERNAL_AAD = b'\\x40'; return ours.wallet(asked)",
        "section 9: the signature is that of",
    ),
    "names no door": (
        "asked.pop('door', None); return ours.wallet(asked)",
        "section 9: it says",
    ),
    "shows the code bare": ("return {'text': asked['code']}", "section 9: "),
}


@pytest.mark.parametrize("how", WRONG_WALLETS)
def test_a_wrong_wallet_is_told_the_rule(how: str, tmp_path: Path) -> None:
    source, says = WRONG_WALLETS[how]
    program = tmp_path / "wallet.py"
    program.write_text(WRONG.format(f"def answer(asked):\n    {source}\nours.main(answer)\n"))
    ran, said = conform("wallet", [PYTHON, str(program)])
    assert ran.returncode == 1, ran.stdout + ran.stderr
    assert says in said, ran.stdout


@pytest.mark.parametrize(
    ("command", "says"),
    [
        (["./no-such-program"], "cannot be started"),
        ([PYTHON, "-c", "raise SystemExit('out of paper')"], "out of paper"),
        ([PYTHON, "-c", "import time; time.sleep(60)"], "no answer within"),
    ],
    ids=["none", "stops", "hangs"],
)
def test_a_program_that_does_not_answer(command: list[str], says: str) -> None:
    ran, said = conform("reader", command, "--late-s", "0.3")
    assert ran.returncode == 2, ran.stdout + ran.stderr
    assert says in said
    assert "Traceback" not in ran.stdout + ran.stderr


# -- the law itself --------------------------------------------------------------------------------

BEARERS = {n: c for n, c in CASES.items() if "text" in c and not n.startswith("holder-")}
SECTION = {
    "text-lower-case": 2, "prefix-lower-case": 2, "base45-above-65535": 2, "text-trailing-blank": 2,
    "cose-tagged": 3, "alg-eddsa": 3, "alg-es256": 3, "kid-8-bytes": 3, "unprotected-kid": 3,
    "protected-crit": 3, "cose-signature-63-bytes": 3, "signature-zeros": 3,
    "cose-five-parts": 3, "signature-malleated": 3,
    "sub-short": 4, "exp-at-iat": 4, "colour-four": 4, "aud-list-of-one": 4, "claim-unknown-iss": 4,
    "cnf-short-key": 4, "status-map": 4, "party-one-written": 4, "turns-at-exp": 4,
    "cose-trailing-byte": 5, "order-colour-first": 5, "exp-float": 5, "map-indefinite": 5,
    "duplicate-key-green-then-red": 5, "payload-trailing-byte": 5, "exp-longer-than-needed": 5,
    "exp-tag-date": 5,
}  # fmt: skip


@pytest.mark.parametrize("name", SECTION)
def test_the_law_names_the_section(name: str) -> None:
    with pytest.raises(law.BrokenRule) as broken:
        law.issued(CASES[name]["text"], PUBLIC["city"])
    assert broken.value.section == SECTION[name], broken.value


def test_the_law_and_the_vectors_agree() -> None:
    """Whoever wrote the vectors' claims signed well; what is malformed or forged breaks a rule."""
    by_kid = {KID[name]: public for name, public in PUBLIC.items()}
    read = 0
    for name, case in BEARERS.items():
        expect = case["expect"]
        if "claims" in case:
            public = PUBLIC[case["key"]]
            found = law.issued(case["text"], public).claims
            plain = {k: v.hex() if type(v) is bytes else v for k, v in found.items()}
            assert plain == case["claims"], name
            read += 1
        elif expect in ("refused:malformed", "refused:bad-signature", "not-a-door-code"):
            for public in by_kid.values():
                with pytest.raises(law.BrokenRule):
                    law.issued(case["text"], public)
    assert read >= 70


@pytest.mark.parametrize(
    "name", [n for n in CASES if n.startswith("holder-") and "text" in CASES[n]]
)
def test_the_law_and_the_vectors_agree_about_holders(name: str) -> None:
    case = CASES[name]
    if "holder" in case:
        found = law.held(case["text"], PUBLIC[case["key"]])
        assert (found.iat, found.door) == (case["holder"]["iat"], case["holder"].get("door"))
    elif case["expect"] in ("refused:malformed", "refused:bad-proof", "refused:bad-signature"):
        with pytest.raises(law.BrokenRule):
            law.held(case["text"], PUBLIC["city"])


def test_a_reader_is_not_told_the_name() -> None:
    shown = json.dumps([kit._shown(CASES["green"]), kit._shown(CASES["holder-stripped"])])
    assert "expect" not in shown
    assert "stripped" not in shown
    assert (
        WORLD["documents"]["issuers.json"]
        == kit._shown(CASES["green"])["documents"]["issuers.json"]
    )
