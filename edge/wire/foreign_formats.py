"""The foreign formats that this version knows: how the documents of their issuers are read.

A unit recognises them (`edge/judge/foreign/`, one module a format); provisioning checks with this
table what it publishes. tests/edge/judge/test_foreign.py holds both to the same formats.
"""

from collections.abc import Callable
from typing import NamedTuple

from edge.wire import eu_documents


class Readers(NamedTuple):
    """Both raise TrustError with one sentence, given the bytes and the issuer's name."""

    terms: Callable[[bytes, str], object]
    keys: Callable[[bytes, str], object]


FORMATS: dict[str, Readers] = {
    eu_documents.FORMAT: Readers(eu_documents.read_terms, eu_documents.read_keys)
}
"""By what an issuer's `format` says."""
