"""Whether a branch or tag exists, by what Headway saw when it looked last."""

from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.orm import Session

from workers.db.models import Head, HeadCheck, Repo, Run

NAMES_MAX = 1_000


def names_instead(session: Session, repo: Repo, ref: str) -> Sequence[str] | None:
    """The refs of the same kind that there are, if this one is none of them; the newest first, and not all of many.

    None where it exists, had a run, or where it is not known which refs there are: the server was not asked yet, or the
    last check failed, as it does where there are too many.
    """
    check = session.get(HeadCheck, repo.id)
    if check is None or check.problem or check.clone_url != repo.clone_url:
        return None
    if session.get(Head, (repo.id, ref)) is not None:
        return None
    if session.scalar(select(Run.id).where(Run.repo_id == repo.id, Run.ref == ref).limit(1)) is not None:
        return None
    kind = "refs/tags/" if ref.startswith("refs/tags/") else "refs/heads/"
    of_kind = select(Head.ref).where(Head.repo_id == repo.id, Head.ref.startswith(kind, autoescape=True))
    return session.scalars(of_kind.order_by(Head.first_seen_ms.desc(), Head.ref).limit(NAMES_MAX)).all()
