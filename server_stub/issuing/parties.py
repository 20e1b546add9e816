"""Parties: one record's phone shows one code for several people, for example a family or a class.

A party code has the worst colour of all members, only the door groups and grants that all members
have, and a separate day handle. Each member's own code still works too.
"""

from collections.abc import Sequence
from dataclasses import replace

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from edge.wire.code import PARTY_MAX
from edge.wire.rules import SLOW
from server_stub.issuing import revocation
from server_stub.issuing.records import HolderRecord, handle
from server_stub.store import parties, records


class PartyError(ValueError):
    """The party cannot be made; one sentence says why and what to do."""


def set_members(connection: Connection, record: str, members: Sequence[str]) -> None:
    """Set the other members of `record`'s party; an empty list ends the party.

    The record's earlier party codes are revoked. Call it in `store.writing`. Raises PartyError.
    """
    if len(members) >= PARTY_MAX:
        raise PartyError(
            f"a party has at most {PARTY_MAX} people; name 1 to {PARTY_MAX - 1} other records"
        )
    if len({record, *members}) <= len(members):
        raise PartyError("a record is named twice; name each record once, and not RECORD itself")
    c = records.c
    query = sa.select(c.record, c.issuer, c.aud, c.scope).where(c.record.in_([record, *members]))
    rows = {
        row.record: row for row in connection.execute(query.order_by(c.record).with_for_update())
    }
    for name in (record, *members):
        if name not in rows:
            raise PartyError(f"there is no record {name[:60]!r}; enrol prints a record's name")
        if rows[name].issuer != rows[record].issuer:
            raise PartyError(
                f"record {name} belongs to issuer {rows[name].issuer} and {record} to issuer "
                f"{rows[record].issuer}; name records of one issuer"
            )
    groups = [tuple(row.aud) for row in rows.values()]
    if any(groups) and not _aud(groups):  # nobody's groups change after enrolment
        raise PartyError(
            "no door group is common to all members, so no door would accept the code; name "
            "records that share a group"
        )
    own_rows = parties.c.record == record
    before = set(connection.execute(sa.select(parties.c.member).where(own_rows)).scalars())
    if before == set(members):
        return
    connection.execute(parties.delete().where(own_rows))
    if members:
        new_rows = [{"record": record, "member": member} for member in members]
        connection.execute(parties.insert(), new_rows)
    revocation.revoke_party(connection, record)


def renew_day(connection: Connection, record: str) -> None:
    """Draw the day handle of the record's party codes, if they have none for its day."""
    connection.execute(
        records.update()
        .where(records.c.record == record, records.c.party_sub.is_(None))
        .values(party_sub=handle())
    )


def party_holder(connection: Connection, holder: HolderRecord) -> HolderRecord | None:
    """The content of the party code of `holder`, which must have a `party_sub`.

    None if the record has no party.
    """
    others = connection.execute(_OTHERS, {"record": holder.record}).all()
    if not others or holder.party_sub is None:
        return None
    return replace(
        holder,
        courses=(*holder.courses, *(revocation.course_from_row(row) for row in others)),
        sub=holder.party_sub,
        aud=_aud([holder.aud, *(tuple(row.aud) for row in others)]),
        scope=_scope([holder.scope, *(row.scope for row in others)]),
        party=1 + len(others),
    )


_OTHERS = (
    sa.select(*(records.c[name] for name in ("colour", "turn_colour", "turn_s", "aud", "scope")))
    .join_from(parties, records, parties.c.member == records.c.record)
    .where(parties.c.record == sa.bindparam("record"))
    .order_by(parties.c.member)
)


def _aud(groups: Sequence[tuple[str, ...]]) -> tuple[str, ...]:
    """The door groups common to all members; a member without groups may use every door."""
    limits = [names for names in groups if names]
    if not limits:
        return ()
    return tuple(name for name in limits[0] if all(name in names for names in limits))


def _scope(scopes: Sequence[str | None]) -> str | None:
    """The grants common to all members, and `slow` if one has it, because one pulse serves all.

    At most four, like one person's own: somebody with `slow` has at most three other grants.
    """
    grants = [(scope or "").split() for scope in scopes]
    common = [word for word in grants[0] if word != SLOW and all(word in own for own in grants)]
    if any(SLOW in own for own in grants):
        common.append(SLOW)
    return " ".join(common) or None
