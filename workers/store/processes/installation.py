"""The name of this installation. Several may share one Docker Engine, and each must touch only its own containers."""

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from workers.db.models import Counter
from workers.store.common import insert_or

_NAME = "installation"
NUMBER_MAX = 2**31 - 1


def installation(session: Session, fresh: int) -> str:
    """The name of this installation, eight hex digits. It is ``fresh``, a random number, of the first call."""
    insert = insert_or(session, Counter).values(name=_NAME, value=fresh % NUMBER_MAX)
    session.execute(insert.on_conflict_do_nothing(index_elements=["name"]))
    return f"{session.scalars(select(Counter.value).where(Counter.name == _NAME)).one():08x}"


def forget_installation(session: Session) -> None:
    """A copy needs a name of its own: on the same engine it would remove the containers of the first."""
    session.execute(delete(Counter).where(Counter.name == _NAME))
