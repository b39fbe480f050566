"""Names of repositories: a repository that gets another keeps what is addressed to its former ones."""

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from workers.db.models import FormerName, Repo
from workers.store.common import insert_or


def repo_by_former_name(session: Session, name: str) -> Repo | None:
    """The repository that had this name before."""
    return session.scalars(
        select(Repo).join(FormerName, FormerName.repo_id == Repo.id).where(FormerName.name == name)
    ).one_or_none()


def rename_repo(session: Session, repo_id: int, old: str, new: str) -> None:
    """Gives the repository another name, which no other has; ``old`` becomes a former one."""
    forget_former_name(session, new)
    session.execute(insert_or(session, FormerName).values(name=old, repo_id=repo_id))
    session.execute(update(Repo).where(Repo.id == repo_id).values(name=new))


def forget_former_name(session: Session, name: str) -> str:
    """Lets a repository have this name that another had before; returns the present name of that other, or nothing."""
    other = repo_by_former_name(session, name)
    session.execute(delete(FormerName).where(FormerName.name == name))
    return other.name if other else ""


def former_names(session: Session, repo_id: int) -> list[str]:
    """The former names of a repository."""
    query = select(FormerName.name).where(FormerName.repo_id == repo_id).order_by(FormerName.name)
    return list(session.scalars(query))
