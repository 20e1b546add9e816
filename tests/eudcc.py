"""The EU's published test certificates, and a small issuer of our own of the same kind."""

import base64
import functools
import hashlib
import json
import zlib
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import cbor2
import msgspec
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from edge.clock.time_interval import Interval
from edge.judge.foreign import ForeignIssuer, eu_certificate
from edge.judge.verdict import Place, Recogniser, Verdict, judge_foreign
from edge.wire.code import base45_encode
from edge.wire.eu_documents import EVIDENCE, EuKey, EuKeyList, EuRow, EuTerms, Evidence
from edge.wire.trust import IssuerEntry
from provisioning import foreign

FOLDER = Path(__file__).parent / "vectors" / "eu-dcc"
COVID = "840539006"
PLACE = Place(site="campus", unit="north-1", groups=frozenset({"campus/north"}))
ANYTHING = (
    EuRow("vaccination", "green", (COVID,), doses="any"),
    EuRow("test", "green", (COVID,), results=("260415000", "260373001")),
    EuRow("recovery", "green", (COVID,)),
)
"""The widest mapping there is: all that is signed and current is green."""


@dataclass(frozen=True)
class Published:
    """One file of the EU's test data."""

    name: str  # as common_CO5
    text: bytes
    at_s: int  # its validation clock
    expected: dict[str, bool]  # without the word EXPECTED
    certificate: bytes
    json: Any

    @classmethod
    def read(cls, path: Path) -> "Published":
        said = json.loads(path.read_text(encoding="utf-8"))
        context = said["TESTCTX"]
        return cls(
            path.stem.replace("2DCode_raw_", ""),
            said["PREFIX"].encode(),
            int(datetime.fromisoformat(context["VALIDATIONCLOCK"]).timestamp()),
            {k.removeprefix("EXPECTED"): v for k, v in said["EXPECTEDRESULTS"].items()},
            base64.b64decode(context["CERTIFICATE"]),
            said.get("JSON"),
        )


@functools.cache
def published() -> tuple[Published, ...]:
    return tuple(Published.read(path) for path in sorted(FOLDER.glob("*.json")))


def issuer(rows: tuple[EuRow, ...] = ANYTHING, **more: Any) -> IssuerEntry:
    terms = msgspec.Raw(msgspec.json.encode(EuTerms(rows)))
    said = {"name": "eu", "keys": [], "longest_life_s": 2**32 - 1, "format": "hc1", "terms": terms}
    return IssuerEntry(**said | more)


def recogniser(keys: EuKeyList, rows: tuple[EuRow, ...] = ANYTHING, **more: Any) -> Recogniser:
    return eu_certificate.recogniser(
        [ForeignIssuer(issuer(rows, **more), foreign.encode_key_list(keys))]
    )


def at(at_s: int, error_s: int = 0) -> Interval:
    return Interval(at_s - error_s, at_s + error_s, "system")


# -- certificates of our own ----------------------------------------------------------------------

SIGNER = ec.derive_private_key(20210701, ec.SECP256R1())
KID = bytes(range(8))
ISSUED_S = 1_640_995_200  # 2022-01-01
ENDS_S = ISSUED_S + 365 * 86400
VACCINATION = {
    "tg": COVID,
    "vp": "1119349007",
    "mp": "EU/1/20/1528",
    "ma": "ORG-100030215",
    "dn": 2,
    "sd": 2,
    "dt": "2021-12-01",
    "co": "AT",
    "is": "Ministry of Health",
    "ci": "URN:UVCI:01:AT:10807843F94AEE0EE5093FBC254BD813#B",
}
TEST = {
    "tg": COVID,
    "tt": "LP6464-4",
    "tr": "260415000",
    "sc": "2022-01-01T06:00:00Z",
    "tc": "Centre 1",
    "co": "AT",
    "is": "Ministry of Health",
    "ci": "URN:UVCI:01:AT:B5921A35D6A0D696421B3E2462178297#I",
}
RECOVERY = {
    "tg": COVID,
    "fr": "2021-12-10",
    "df": "2021-12-21",
    "du": "2022-06-08",
    "co": "AT",
    "is": "Ministry of Health",
    "ci": "URN:UVCI:01:AT:858CC18CFCF5965EF82F60E493349AA5#K",
}
PERSON = {
    "fn": "Musterfrau-Gößinger",
    "gn": "Gabriele",
    "fnt": "MUSTERFRAU<GOESSINGER",
    "gnt": "GABRIELE",
}
BORN = "1998-02-26"


def spki(private: ec.EllipticCurvePrivateKey) -> str:
    """Its public key as a key list has it."""
    public = private.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return base64.b64encode(public).decode()


def key(evidence: tuple[Evidence, ...] = EVIDENCE, kid: bytes = KID, **more: Any) -> EuKey:
    said = {
        "kid": base64.b64encode(kid).decode(),
        "algorithm": "ES256",
        "public": spki(SIGNER),
        "country": "AT",
        "from_s": ISSUED_S - 86400,
        "until_s": ISSUED_S + 730 * 86400,
        "evidence": evidence,
    }
    return EuKey(**said | more)


def payload(kind: str, entry: dict[str, Any], **claims: Any) -> bytes:
    """CWT claims with one entry; `claims` by name: iat, exp."""
    statement = {"ver": "1.3.0", "nam": PERSON, "dob": BORN, kind: [entry]}
    said = {1: "AT", 4: claims.get("exp", ENDS_S), 6: claims.get("iat", ISSUED_S)}
    return cbor2.dumps(said | {-260: {1: statement}})


def cose(
    claims: bytes,
    protected: dict[int, Any] | None = None,
    unprotected: dict[int, Any] | None = None,
    signer: ec.EllipticCurvePrivateKey = SIGNER,
) -> list[Any]:
    """The four parts, signed."""
    header = cbor2.dumps({1: -7, 4: KID} if protected is None else protected)
    covered = cbor2.dumps(["Signature1", header, b"", claims])
    r, s = decode_dss_signature(signer.sign(covered, ec.ECDSA(hashes.SHA256())))
    return [header, unprotected or {}, claims, r.to_bytes(32, "big") + s.to_bytes(32, "big")]


def wrap(parts: Any, level: int = 9, tag: int | None = 18) -> bytes:
    """Parts to the text of a symbol."""
    return pack(cbor2.dumps(parts if tag is None else cbor2.CBORTag(tag, parts)), level)


def pack(data: bytes, level: int = 9) -> bytes:
    return b"HC1:" + base45_encode(zlib.compress(data, level))


def text(kind: str, entry: dict[str, Any], **claims: Any) -> bytes:
    return wrap(cose(payload(kind, entry, **claims)))


def judged(symbol: bytes, at_s: int, error_s: int = 0, **more: Any) -> Verdict:
    """The verdict of a recogniser that has our one key and, unless said, takes anything."""
    keys = EuKeyList((more.pop("key", key()),))
    return judge_foreign(recogniser(keys, **more).read(symbol), PLACE, at(at_s, error_s))


def digest(symbol: bytes) -> bytes:
    """The subject of a text that is torn: it has no other."""
    return hashlib.sha256(symbol).digest()
