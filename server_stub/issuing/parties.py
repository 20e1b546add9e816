"""A record that speaks for others of its issuer: a family's, a class's. One code passes them all.

The party code has the worst colour of all, the door groups and grants that all of them have, and a
day handle of its own. Who belongs to a party keeps their own code, which passes besides.
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
    """The party cannot be made; one sentence that says what is wrong and what to do."""


def set_members(connection: Connection, record: str, members: Sequence[str]) -> None:
    """From now on `record` speaks for `members`, and for nobody else; none: only for itself.

    Party codes that speak for others are taken back. To be called in `store.writing`.
    Raises PartyError.
    """
    if len(members) >= PARTY_MAX:
        raise PartyError(f"a party is {PARTY_MAX} people at most; name 1 to {PARTY_MAX - 1} others")
    if len({record, *members}) <= len(members):
        raise PartyError("a party counts everybody once, its speaker too; name each record once")
    c = records.c
    named = sa.select(c.record, c.issuer, c.aud, c.scope).where(c.record.in_([record, *members]))
    rows = {
        row.record: row for row in connection.execute(named.order_by(c.record).with_for_update())
    }
    for one in (record, *members):
        if one not in rows:
            raise PartyError(f"there is no record {one[:60]!r}; enrol prints a record's name")
        if rows[one].issuer != rows[record].issuer:
            raise PartyError(
                f"record {one} is of issuer {rows[one].issuer}, and {record} of issuer "
                f"{rows[record].issuer}; a party is of one issuer"
            )
    groups = [tuple(row.aud) for row in rows.values()]
    if any(groups) and not _aud(groups):  # nobody's groups change after enrolment
        raise PartyError(
            "no door group is common to all of this party, so no door would take its code; name "
            "records that share one"
        )
    mine = parties.c.record == record
    known = set(connection.execute(sa.select(parties.c.member).where(mine)).scalars())
    if known == set(members):
        return
    connection.execute(parties.delete().where(mine))
    if members:
        rows_made = [{"record": record, "member": member} for member in members]
        connection.execute(parties.insert(), rows_made)
    revocation.revoke_party(connection, record)


def renew_day(connection: Connection, record: str) -> None:
    """Give the record's party codes a handle for its day, if they have none yet."""
    connection.execute(
        records.update()
        .where(records.c.record == record, records.c.party_sub.is_(None))
        .values(party_sub=handle())
    )


def party_holder(connection: Connection, holder: HolderRecord) -> HolderRecord | None:
    """What the party code says of `holder`, who has a `party_sub`, and those it speaks for.

    None: it speaks for nobody else.
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
    """The door groups that all may use; who has none named may use every one."""
    limited = [each for each in groups if each]
    if not limited:
        return ()
    return tuple(name for name in limited[0] if all(name in each for each in limited))


def _scope(scopes: Sequence[str | None]) -> str | None:
    """The grants that all have, and slow if one is, for the pulse must last for all.

    At most four, as anybody's own: who is slow has three others at most.
    """
    grants = [(scope or "").split() for scope in scopes]
    common = [word for word in grants[0] if word != SLOW and all(word in each for each in grants)]
    if any(SLOW in each for each in grants):
        common.append(SLOW)
    return " ".join(common) or None
