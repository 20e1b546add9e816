"""One EU certificate, from the text of its symbol to a verdict, beside its signature alone."""

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from edge.judge.verdict import Genuine, judge_foreign
from edge.wire import eu_certificate, eu_documents
from edge.wire.eu_documents import EuKeyList
from tests import eudcc
from tests.bench.figure import Figure, median, race, ratio


def figures(rounds: int) -> list[Figure]:
    """Text to verdict with one key and with 4,000, and what of it is the signature."""
    symbol = eudcc.text("v", eudcc.VACCINATION)
    said = eu_certificate.decode(symbol)
    r, s = (int.from_bytes(half) for half in (said.signature[:32], said.signature[32:]))
    der = encode_dss_signature(r, s)
    public = eudcc.SIGNER.public_key()
    ours = eudcc.key()
    stranger = eudcc.spki(ec.generate_private_key(ec.SECP256R1()))
    others = [
        eudcc.key(kid=n.to_bytes(8), public=stranger) for n in range(1, eu_documents.KEYS_MAX)
    ]
    alone = eudcc.recogniser(EuKeyList((ours,)))
    among = eudcc.recogniser(EuKeyList((*others, ours)))
    now = eudcc.at(eudcc.ISSUED_S + 86400)

    assert isinstance(judge_foreign(alone.read(symbol), eudcc.PLACE, now), Genuine)
    assert isinstance(judge_foreign(among.read(symbol), eudcc.PLACE, now), Genuine)
    times = race(
        {
            "one": lambda: judge_foreign(alone.read(symbol), eudcc.PLACE, now),
            "many": lambda: judge_foreign(among.read(symbol), eudcc.PLACE, now),
            "es256": lambda: public.verify(der, said.message, ec.ECDSA(hashes.SHA256())),
        },
        rounds=rounds,
        calls=100,
    )
    return [
        Figure("hc1_us", "one EU certificate, text to verdict", median(times["one"]) * 1e6, "us"),
        Figure("es256_us", "its ES256 signature alone", median(times["es256"]) * 1e6, "us"),
        Figure("hc1_by_es256", "  all of it / ES256", ratio(times["one"], times["es256"]), "x"),
        Figure(
            "hc1_keys", "  with 4,000 keys / with one", ratio(times["many"], times["one"]), "x", 1.1
        ),
    ]
