"""TLS to the broker: it trusts our authority only, and checks dates by the unit's own time.

OpenSSL does not check the dates of certificates, because it would use the system's clock. They are
checked here against the unit's own time, as soon as an authenticated sync gives it
(edge/wire/time.md).
"""

import ssl
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from edge.clock.time_interval import Interval
from edge.wire.unit import BrokerConfig, ConfigError

TLS_ERROR = ssl.SSLError
NO_CHECK_TIME = 0x200000
"""OpenSSL's X509_V_FLAG_NO_CHECK_TIME, which Python's `ssl` does not name."""


class BrokerSocket(ssl.SSLSocket):
    """A connection that remembers the TLS alert by which the broker refused it.

    With TLS 1.3 a client's certificate is refused after the handshake, so the alert comes with the
    first read; paho reports that as a lost connection and drops the reason.
    """

    alert = ""  # OpenSSL's name, as TLSV1_ALERT_UNKNOWN_CA; empty: there was none

    def recv(self, buflen: int = 1024, flags: int = 0) -> bytes:
        """As `ssl.SSLSocket.recv`."""
        try:
            return super().recv(buflen, flags)
        except ssl.SSLError as error:
            if "ALERT" in (error.reason or ""):
                self.alert = error.reason
            raise

    def send(self, data: Any, flags: int = 0) -> int:
        """As `ssl.SSLSocket.send`. A broker that has refused us may have closed before we write;
        its alert is then read here, for paho closes the socket without another read.
        """
        try:
            return super().send(data, flags)
        except ConnectionError:
            with suppress(OSError):
                self.recv()
            raise


@dataclass(frozen=True, slots=True)
class CertificateDates:
    """When a certificate and its authority are valid: Unix seconds UTC."""

    from_s: float
    until_s: float

    def fault(self, now: Interval) -> str:
        """Why it is certainly out of date at `now`; empty: it may be valid.

        Only an authenticated time counts: a unit whose RTC or floor is ahead must still reach the
        broker, or no sync could ever correct it.
        """
        if now.source not in ("sync", "system"):
            return ""
        if self.until_s < now.earliest_s:
            return "shows a certificate that has expired; issue a new one for it"
        if self.from_s > now.latest_s:
            return (
                "shows a certificate that is not valid yet; check the clock of the computer that "
                "issued it"
            )
        return ""


def dates_of(connection: ssl.SSLSocket, context: ssl.SSLContext) -> CertificateDates:
    """When the broker's certificate and its authority are both valid.

    If several of our authorities have the issuer's name, the one that allows the latest end counts.
    Raises ssl.SSLError if there is none.
    """
    certificate = connection.getpeercert() or {}
    signers = [
        ca for ca in context.get_ca_certs() if ca.get("subject") == certificate.get("issuer")
    ]
    chains = [[_seconds(certificate), _seconds(signer)] for signer in signers]
    overlaps = [(max(a[0], b[0]), min(a[1], b[1])) for a, b in chains]
    if not overlaps:
        raise ssl.SSLError("the broker's certificate is not signed directly by our authority")
    return CertificateDates(*max(overlaps, key=lambda dates: dates[1]))


class BrokerRefused(ssl.SSLError):
    """This unit ends the connection itself, before anything was sent on it."""


def reason(error: Exception) -> str:
    """Why connecting failed with `error`: a clause whose subject is the broker."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"shows a certificate that this unit does not trust ({error.verify_message})"
    if isinstance(error, TimeoutError):
        return "does not answer in time"
    if isinstance(error, ssl.SSLError):
        return f"and this unit cannot agree on TLS ({error.reason or error})"
    return f"does not answer ({error})"


def make_context(broker: BrokerConfig) -> ssl.SSLContext:
    """TLS 1.2 and later with the files that unit.toml names. Raises ConfigError."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.verify_flags |= NO_CHECK_TIME
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.sslsocket_class = BrokerSocket
    try:
        context.load_verify_locations(broker.ca)
        context.load_cert_chain(broker.certificate, broker.key)
    except (OSError, ssl.SSLError) as error:
        reason = error.strerror or str(error)
        raise ConfigError(
            f"the certificates of this unit cannot be used ({reason}); "
            f"copy {broker.ca}, {broker.certificate} and {broker.key} again from its card"
        ) from None
    return context


def _seconds(certificate: dict[str, Any]) -> tuple[float, float]:
    return (
        ssl.cert_time_to_seconds(certificate["notBefore"]),
        ssl.cert_time_to_seconds(certificate["notAfter"]),
    )
