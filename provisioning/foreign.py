"""Key lists of foreign issuers: makes keys/<issuer>.json from the EU's published certificates."""

import base64
import binascii
import hashlib
from collections.abc import Iterable
from pathlib import Path

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

from edge.wire import eu_documents
from edge.wire.code import TIME_S_MAX
from edge.wire.eu_documents import Evidence
from provisioning.files import ProvisioningError

# The EU's extended key usages. Certificates of the first weeks have an extra 0 in them, and all of
# the EU's own readers accept both.
_NUMBER: dict[int, Evidence] = {1: "test", 2: "vaccination", 3: "recovery"}
_USAGE = {
    f"1.3.6.1.4.1.{arc}1847.2021.1.{number}": evidence
    for arc in ("", "0.")
    for number, evidence in _NUMBER.items()
}


class CertificateError(ProvisioningError):
    """A certificate without a usable key; one sentence says why."""


def write_key_list(out: Path, files: Iterable[Path], illegible: Iterable[str] = ()) -> int:
    """Write the key list of the certificates in `files` to `out`. Returns the number of keys.

    An existing file is kept. Raises ProvisioningError, and OSError for files.
    """
    words = set(illegible)
    if not words <= set(eu_documents.EVIDENCE):
        raise ProvisioningError(f"--illegible must be one of {', '.join(eu_documents.EVIDENCE)}")
    certificates = [read_certificate(path) for path in files]
    data = encode_key_list(
        key_list(certificates, tuple(e for e in eu_documents.EVIDENCE if e in words))
    )
    if out.exists():
        if out.read_bytes() != data:
            raise ProvisioningError(
                f"{out} exists and differs from what this step would write; it was kept; "
                "choose another file"
            )
    else:
        with out.open("xb") as file:
            file.write(data)
    return len(set(certificates))


def read_certificate(path: Path) -> bytes:
    """The DER of one certificate, from a file of DER, PEM, or base64 as the EU gateways give it."""
    data = path.read_bytes()
    if data[:1] == b"\x30":
        return data
    lines = data.splitlines()
    text = b"".join(line.strip() for line in lines if not line.startswith(b"-----"))
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise CertificateError(
            f"{path} does not hold a certificate; give a file of DER, PEM or base64"
        ) from None


def key_entry(der: bytes, illegible: tuple[Evidence, ...] = ()) -> eu_documents.EuKey:
    """The list entry for one Document Signer Certificate in DER.

    The key may sign what the extended key usages name; without one of the EU's usages, it may sign
    everything, as the EU's rules say. `illegible`: what a certificate may sign whose usages cannot
    be read. Raises CertificateError.
    """
    name = hashlib.sha256(der).hexdigest()[:16]
    try:
        certificate = x509.load_der_x509_certificate(der)
        public = certificate.public_key()
        countries = certificate.subject.get_attributes_for_oid(NameOID.COUNTRY_NAME)
    except (ValueError, TypeError) as error:
        raise CertificateError(f"certificate {name} cannot be read: {error}") from None
    if isinstance(public, ec.EllipticCurvePublicKey) and public.curve.name == "secp256r1":
        algorithm = "ES256"
    elif isinstance(public, rsa.RSAPublicKey) and 2048 <= public.key_size <= 4096:
        algorithm = "PS256"
    else:
        raise CertificateError(
            f"certificate {name} has an unsupported key; supported are P-256, and RSA of 2048 to "
            f"4096 bits"
        )
    entry = {
        "kid": base64.b64encode(hashlib.sha256(der).digest()[: eu_documents.KID_LEN]).decode(
            "ascii"
        ),
        "algorithm": algorithm,
        "public": base64.b64encode(
            public.public_bytes(
                serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
            )
        ).decode("ascii"),
        "country": str(countries[0].value).upper() if countries else "",
        "from_s": int(certificate.not_valid_before_utc.timestamp()),
        # RFC 5280 section 4.1.2.5: a certificate is still valid in its last second.
        "until_s": min(int(certificate.not_valid_after_utc.timestamp()) + 1, TIME_S_MAX),
        "evidence": _evidence(certificate, name, illegible),
    }
    try:
        return msgspec.convert(entry, eu_documents.EuKey)
    except msgspec.ValidationError as error:
        raise CertificateError(f"certificate {name} has no usable key: {error}") from None


def key_list(
    certificates: Iterable[bytes], illegible: tuple[Evidence, ...] = ()
) -> eu_documents.EuKeyList:
    """One entry for each different certificate. Raises CertificateError."""
    entries = {der: key_entry(der, illegible) for der in certificates}
    return eu_documents.EuKeyList(
        tuple(sorted(entries.values(), key=lambda entry: (entry.country, entry.kid)))
    )


def encode_key_list(document: eu_documents.EuKeyList) -> bytes:
    """The bytes of keys/<issuer>.json."""
    return msgspec.json.format(msgspec.json.encode(document), indent=1)


def _evidence(
    certificate: x509.Certificate, name: str, illegible: tuple[Evidence, ...]
) -> tuple[Evidence, ...]:
    try:
        usages = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except x509.ExtensionNotFound:
        return eu_documents.EVIDENCE
    except ValueError as error:
        if illegible:
            return illegible
        raise CertificateError(
            f"cannot read what certificate {name} may sign ({error}); "
            "look at it, and give its evidence with --illegible"
        ) from None
    evidence = {_USAGE[o.dotted_string] for o in usages if o.dotted_string in _USAGE}
    return tuple(e for e in eu_documents.EVIDENCE if e in evidence) or eu_documents.EVIDENCE
