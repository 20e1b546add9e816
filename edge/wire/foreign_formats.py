"""The foreign formats that this version knows: how the documents of their issuers are read.

A unit recognises them (`edge/judge/foreign/`, one module a format); provisioning checks with this
table what it publishes. tests/edge/judge/test_foreign.py holds both to the same formats.
"""

from collections.abc import Callable
from typing import NamedTuple

from edge.wire import eu_certificate, eu_documents


class ForeignFormat(NamedTuple):
    """One format: how its texts begin, and the readers of its two documents.

    Both raise TrustError with one sentence, given the bytes and the issuer's name.
    """

    prefix: bytes
    terms: Callable[[bytes, str], object]
    keys: Callable[[bytes, str], object]


FORMATS: dict[str, ForeignFormat] = {
    eu_documents.FORMAT: ForeignFormat(
        eu_certificate.PREFIX, eu_documents.read_terms, eu_documents.read_keys
    )
}
"""By the issuer's `format`."""
