"""The X.509 authority, and the TLS certificates of broker, collector and units.

`create_authority` also begins the other authority: the keys that sign trust documents
(`repository.py`). All keys here are EC P-256, which every TLS library supports. Units trust this
authority and no other.
"""

import datetime
import ipaddress
import re
from collections.abc import Callable, Sequence
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from provisioning import estate as places
from provisioning import repository
from provisioning.files import ProvisioningError, TrackedFolder

AUTHORITY_DAYS = 20 * 365  # as long as a door is used
CERTIFICATE_DAYS = 5 * 365
BACKDATED = datetime.timedelta(days=1)  # so that a slow clock accepts a new certificate
HOSTS = ("localhost", "127.0.0.1")
COLLECTOR = "collector"
COMMON_NAME_LEN_MAX = 64  # RFC 5280, ub-common-name

_HOST = re.compile(r"(?!-)[A-Za-z0-9-]{1,63}(?<!-)(\.(?!-)[A-Za-z0-9-]{1,63}(?<!-))*")


def create_authority(estate: Path, hosts: Sequence[str] = ()) -> list[TrackedFolder]:
    """Make authority/, with the holders' folders, and server/.

    The broker's certificate names `hosts` (HOSTS if empty).

    Raises ProvisioningError if the broker's certificate exists and names other hosts.
    """
    alt_names = _alt_names(hosts or HOSTS)
    with places.changing(estate):
        own = TrackedFolder(places.authority(estate))
        key = _key(own, "ca")
        _certificate(own, "ca", lambda: _self_signed(key), key)
        ca = Authority(estate)
        server = TrackedFolder(places.server(estate))
        broker = ca.certificate(
            server, "broker", "Menshen broker", ExtendedKeyUsageOID.SERVER_AUTH, alt_names
        )
        if hosts and set(_alt_names_of(broker)) != set(alt_names):
            raise ProvisioningError(
                f"{server.path / 'broker.pem'} is for {', '.join(_hosts(broker))}; to give the "
                f"broker other names, move broker.pem and broker.key away and repeat the step"
            )
        ca.certificate(server, "collector", COLLECTOR, ExtendedKeyUsageOID.CLIENT_AUTH)
        server.signing_key("collector-sign")
        server.signing_key("time")
        root_folders = repository.begin(estate)
    return [own, server, *root_folders]


def broker_hosts(estate: Path) -> list[str]:
    """The hosts that the broker's certificate names. Raises ProvisioningError."""
    path = places.server(estate) / "broker.pem"
    if not path.exists():
        raise ProvisioningError(
            f"{estate} has no broker certificate; run: menshen-provision authority {estate}"
        )
    return _hosts(_read_certificate(path))


class Authority:
    """The certificate authority of an estate, with its private key."""

    def __init__(self, estate: Path) -> None:
        """Raises ProvisioningError if its certificate or its key is missing."""
        folder = places.authority(estate)
        for name in ("ca.pem", "ca.key"):
            if not (folder / name).exists():
                raise ProvisioningError(
                    f"{folder} has no {name}; run: menshen-provision authority {estate}"
                )
        self.pem = (folder / "ca.pem").read_bytes()
        self._certificate = _read_certificate(folder / "ca.pem")
        self._key = _read_key(folder / "ca.key")

    def certificate(
        self,
        folder: TrackedFolder,
        stem: str,
        subject: str,
        usage: x509.ObjectIdentifier,
        alt_names: Sequence[x509.GeneralName] = (),
    ) -> x509.Certificate:
        """The certificate `stem`.pem; it and `stem`.key are created if they do not exist.

        Raises ProvisioningError.
        """
        key = _key(folder, stem)

        def make() -> x509.Certificate:
            return self._sign(key.public_key(), subject, usage, alt_names)

        certificate = _certificate(folder, stem, make, key)
        try:
            certificate.verify_directly_issued_by(self._certificate)
        except (ValueError, TypeError, InvalidSignature):
            raise ProvisioningError(
                f"{folder.path / stem}.pem is not from this estate's authority; it was kept; "
                f"move it away to have a new one made"
            ) from None
        if certificate.subject != common_name(subject):
            raise ProvisioningError(
                f"{folder.path / stem}.pem is for {certificate.subject.rfc4514_string()} and not "
                f"for CN={subject}; it was kept; move it away to have a new one made"
            )
        return certificate

    def _sign(
        self,
        public: ec.EllipticCurvePublicKey,
        subject: str,
        usage: x509.ObjectIdentifier,
        alt_names: Sequence[x509.GeneralName],
    ) -> x509.Certificate:
        builder = (
            _builder(common_name(subject), self._certificate.subject, public, CERTIFICATE_DAYS)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_key_usage(authority=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()),
                critical=False,
            )
        )
        if alt_names:
            builder = builder.add_extension(x509.SubjectAlternativeName(alt_names), critical=False)
        return builder.sign(self._key, hashes.SHA256())


def _self_signed(key: ec.EllipticCurvePrivateKey) -> x509.Certificate:
    name = common_name("Menshen authority")
    return (
        _builder(name, name, key.public_key(), AUTHORITY_DAYS)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_key_usage(authority=True), critical=True)
        .sign(key, hashes.SHA256())
    )


def _builder(
    subject: x509.Name, issuer: x509.Name, public: ec.EllipticCurvePublicKey, days: int
) -> x509.CertificateBuilder:
    now = datetime.datetime.fromtimestamp(places.now_s(), datetime.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - BACKDATED)
        .not_valid_after(now + datetime.timedelta(days=days))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
    )


def _key_usage(authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not authority,
        key_cert_sign=authority,
        crl_sign=authority,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def common_name(text: str) -> x509.Name:
    """The X.509 name with the common name `text`. Raises ProvisioningError if it is too long."""
    if len(text) > COMMON_NAME_LEN_MAX:
        raise ProvisioningError(
            f"{text!r} is too long for a certificate, whose limit is {COMMON_NAME_LEN_MAX} "
            f"characters; choose a shorter name"
        )
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _alt_names(hosts: Sequence[str]) -> list[x509.GeneralName]:
    return [_alt_name(host) for host in dict.fromkeys(hosts)]


def _alt_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        pass
    if len(host) > 253 or not _HOST.fullmatch(host):
        raise ProvisioningError(
            f"{host[:60]!r} is not a host name or address; write it as broker.example.org or "
            f"as 10.0.0.5"
        )
    return x509.DNSName(host)


def _alt_names_of(certificate: x509.Certificate) -> list[x509.GeneralName]:
    try:
        return list(
            certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        )
    except x509.ExtensionNotFound:
        return []


def _hosts(certificate: x509.Certificate) -> list[str]:
    return [str(name.value) for name in _alt_names_of(certificate)]


def _key(folder: TrackedFolder, stem: str) -> ec.EllipticCurvePrivateKey:
    folder.require_key(f"{stem}.pem", f"{stem}.key")
    folder.create_once(f"{stem}.key", _new_key, private=True)
    return _read_key(folder.path / f"{stem}.key")


def _new_key() -> bytes:
    return ec.generate_private_key(ec.SECP256R1()).private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def _read_key(path: Path) -> ec.EllipticCurvePrivateKey:
    try:
        key = serialization.load_pem_private_key(path.read_bytes(), None)
    except (ValueError, TypeError):
        key = None
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise ProvisioningError(
            f"{path} is not an EC private key in PEM form; restore it from your backup"
        )
    return key


def _certificate(
    folder: TrackedFolder,
    stem: str,
    make: Callable[[], x509.Certificate],
    key: ec.EllipticCurvePrivateKey,
) -> x509.Certificate:
    folder.create_once(f"{stem}.pem", lambda: make().public_bytes(serialization.Encoding.PEM))
    certificate = _read_certificate(folder.path / f"{stem}.pem")
    if certificate.public_key() != key.public_key():
        raise ProvisioningError(
            f"{folder.path / stem}.pem and {stem}.key do not belong together; both were kept; "
            f"restore the right one from your backup"
        )
    return certificate


def _read_certificate(path: Path) -> x509.Certificate:
    try:
        return x509.load_pem_x509_certificate(path.read_bytes())
    except ValueError:
        raise ProvisioningError(
            f"{path} is not a certificate in PEM form; restore it from your backup, or move "
            f"it away and repeat the step that made it"
        ) from None
