"""The foreign formats that this version knows: how the documents of their issuers are read.

A unit recognises them (`edge/judge/foreign/`, one module a format); provisioning checks with this
table what it publishes. tests/edge/judge/test_foreign.py holds both to the same formats.
"""

from collections.abc import Callable
from typing import NamedTuple

from edge.wire import hc1


class Readers(NamedTuple):
    """Both raise TrustError with one sentence, given the bytes and the issuer's name."""

    terms: Callable[[bytes, str], object]
    keys: Callable[[bytes, str], object]


FORMATS: dict[str, Readers] = {hc1.FORMAT: Readers(hc1.read_terms, hc1.read_keys)}
"""By what an issuer's `format` says."""
