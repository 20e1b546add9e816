"""The codes that people show in the scenes: real ones, signed with the tests' keys."""

from edge.wire import holder, keys
from tests.bench.check import sub, text

AT_S = 1_790_000_000
PHONE = keys.private_key(bytes(range(32)))
KINDS = {8: "plain", 12: "holder"}  # by the QR version that they need


def code(version: int, number: int) -> str:
    """The `number`-th code of that QR version: a plain one with a scope, or a holder's."""
    handle, scope = sub(number), "staff:acme"
    if version == 8:
        return text(AT_S, sub=handle, scope=scope)
    bare = text(AT_S, sub=handle, scope=scope, cnf=PHONE.public)
    return holder.encode(bare, AT_S + number % 60, None, PHONE)
