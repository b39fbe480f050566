"""Which secrets the runs of a repository and an event may use: of one name the nearest, if it is for the event."""

from sqlalchemy import select
from sqlalchemy.orm import Session

from pipelines.trigger import Event
from workers.db.models import Repo, Secret, SharedSecret
from workers.store.repos.secrets import owners_of


def secrets_in_reach(session: Session, repo_id: int, event: Event | None = None) -> dict[str, tuple[str | None, str]]:
    """What a repository's runs of this event, or (None) of any, may use, by name: the owner and the sealed value.

    The owner is None for the repository's own. The nearest of a name counts even where it is not for this event: it
    was put there to replace what is farther away. Whether a run may use secrets at all is decided in
    ``workers.access.trust``.
    """
    repo = session.get_one(Repo, repo_id)
    owners = owners_of(repo.name)
    shared = session.scalars(select(SharedSecret).where(SharedSecret.owner.in_(owners))).all()
    found: dict[str, tuple[str | None, SharedSecret | Secret]] = {}
    for row in sorted(shared, key=lambda row: -owners.index(row.owner)):
        found[row.name] = (row.owner, row)
    for own in session.scalars(select(Secret).where(Secret.repo_id == repo_id)):
        found[own.name] = (None, own)
    return {
        name: (owner, row.sealed) for name, (owner, row) in found.items() if event is None or event.value in row.events
    }
