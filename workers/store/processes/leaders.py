"""Leader election: which of several processes has a role that only one may have."""

from dataclasses import dataclass

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from workers.db.models import Leader
from workers.db.session import now_ms
from workers.store.common import insert_or, table

SCHEDULER = "scheduler"
"""The role of the scheduler."""


@dataclass(frozen=True)
class Lead:
    """Who leads. Each time that it goes on leading changes ``until_ms``; 0 if it gave up the lead."""

    owner: str
    until_ms: int


def leader(session: Session, name: str) -> Lead | None:
    """Who has the role now, or had it last."""
    leaders = table(Leader)
    row = session.execute(select(leaders.c.owner, leaders.c.until_ms).where(leaders.c.name == name)).one_or_none()
    return None if row is None else Lead(*row)


def take_lead(session: Session, name: str, owner: str, lease_s: int, silent: Lead | None = None) -> bool:
    """True if ``owner`` leads for ``lease_s`` seconds from now. Call it again to go on leading.

    It takes the lead of ``silent``, a leader that has not been seen to go on, if that has not gone on since.
    """
    leaders = table(Leader)
    until = now_ms() + lease_s * 1000
    insert = insert_or(session, Leader).values(name=name, owner=owner, until_ms=until)
    free = (leaders.c.owner == owner) | (leaders.c.until_ms < now_ms())
    if silent is not None:
        free |= (leaders.c.owner == silent.owner) & (leaders.c.until_ms == silent.until_ms)
    take = insert.on_conflict_do_update(index_elements=["name"], set_={"owner": owner, "until_ms": until}, where=free)
    return session.execute(take.returning(leaders.c.name)).first() is not None


def give_up_lead(session: Session, name: str, owner: str) -> None:
    """Lets another process take over at once."""
    leaders = table(Leader)
    session.execute(update(leaders).where(leaders.c.name == name, leaders.c.owner == owner).values(until_ms=0))
