"""Repositories."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cache
from typing import NamedTuple

from sqlalchemy import BindParameter, CompoundSelect, bindparam, delete, func, select, update
from sqlalchemy.orm import Session

from pipelines.context import RepoInfo, Trust
from pipelines.trigger import Event
from workers.db.models import NEWEST_WINS_EVENTS, FormerName, Repo, Run
from workers.db.session import now_ms
from workers.store.accounts.roles import seen_by
from workers.store.common import AlreadyThereError, insert_or, table
from workers.store.logs import ran_before_blobs

_REPOS_COUNTED = 200


@dataclass(frozen=True)
class NewRepo:
    """A repository to be added. ``push_repo`` is where it pushes its image if it has only a Dockerfile, or empty."""

    name: str
    clone_url: str
    forge: str = "generic"
    web_url: str = ""
    default_branch: str = "main"
    private: bool = False
    push_repo: str = ""


@dataclass(frozen=True)
class HookTarget:
    """What is needed to verify a webhook. ``sealed`` is the secret that signs it, sealed at ``vault.hook_place``."""

    name: str
    repo_id: int
    forge: str
    sealed: str
    active: bool
    untrusted_runs: str = "approve"


def add_repo(session: Session, new: NewRepo) -> Repo:
    """The new repository; it has no hook secret yet. Raises AlreadyThereError for a name that is taken."""
    insert = insert_or(session, Repo).values(
        name=new.name,
        clone_url=new.clone_url,
        forge=new.forge,
        web_url=new.web_url,
        default_branch=new.default_branch,
        private=new.private,
        push_repo=new.push_repo,
        hook_secret_sealed="",
        clone_username="",
        clone_password_sealed="",
        created_ms=now_ms(),
    )
    repo_id = session.execute(insert.on_conflict_do_nothing(index_elements=["name"]).returning(Repo.id)).scalar()
    if repo_id is None:
        raise AlreadyThereError(f"There is already a repository named {new.name}.")
    return session.get_one(Repo, repo_id)


def set_hook_secret(session: Session, repo_id: int, sealed: str) -> None:
    """Stores the secret that signs webhooks, sealed at ``vault.hook_place(repo_id)``."""
    session.execute(update(Repo).where(Repo.id == repo_id).values(hook_secret_sealed=sealed))


def set_clone_login(session: Session, repo_id: int, username: str, sealed: str) -> None:
    """Stores the login for cloning over HTTP; its password is sealed at ``vault.clone_place(repo_id)``."""
    login = {"clone_username": username, "clone_password_sealed": sealed}
    session.execute(update(Repo).where(Repo.id == repo_id).values(login))


def set_moved_to(session: Session, repo_id: int, clone_url: str, moved_to: str) -> None:
    """Stores where the forge says that the repository is now, unless its address has been changed meanwhile."""
    unchanged = (Repo.id == repo_id) & (Repo.clone_url == clone_url)
    session.execute(update(Repo).where(unchanged).values(moved_to=moved_to))


def set_addresses(session: Session, repo_id: int, clone_url: str, web_url: str) -> None:
    """Stores where the repository is."""
    addresses = {"clone_url": clone_url, "web_url": web_url, "moved_to": ""}
    session.execute(update(Repo).where(Repo.id == repo_id).values(addresses))


def set_forge_token(session: Session, repo_id: int, sealed: str, api_url: str) -> None:
    """Stores the token for commit statuses, sealed at ``vault.forge_place(repo_id)``. Empty: none are reported."""
    values = {"forge_token_sealed": sealed, "forge_api_url": api_url}
    session.execute(update(Repo).where(Repo.id == repo_id).values(values))


def set_trust(session: Session, repo_id: int, trust: Trust) -> None:
    """Stores which options of containers that reach the host an administrator allows the repository."""
    flags = {f"trust_{name}": value for name, value in trust._asdict().items()}
    session.execute(update(Repo).where(Repo.id == repo_id).values(flags))


def set_untrusted_runs(session: Session, repo_id: int, runs: str, pipeline_from: str) -> None:
    """Stores what happens to untrusted runs. The values are in ``workers.access.trust``."""
    values = {"untrusted_runs": runs, "pipeline_from": pipeline_from}
    session.execute(update(Repo).where(Repo.id == repo_id).values(values))


def set_newest_wins(session: Session, repo_id: int, events: Collection[Event]) -> None:
    """New runs of these events cancel older ones of the same branch or pull request. Raises ValueError for others."""
    if wrong := set(events) - NEWEST_WINS_EVENTS:
        raise ValueError(f"Runs of {', '.join(sorted(wrong))} are never canceled for newer ones.")
    session.execute(update(Repo).where(Repo.id == repo_id).values(newest_wins=sorted(events)))


def repo_by_id(session: Session, repo_id: int) -> Repo | None:
    """The repository with this id."""
    return session.get(Repo, repo_id)


def repo_by_name(session: Session, name: str) -> Repo | None:
    """The repository with exactly this name."""
    return session.scalars(select(Repo).where(Repo.name == name)).one_or_none()


def hook_targets(session: Session, names: Collection[str]) -> list[HookTarget]:
    """What is needed to verify webhooks of these repositories; those without a hook secret are left out.

    A target has the name that was asked for, which may be a former one.
    """
    rows = session.connection().execute(_hook_targets(), {"names": names})
    return [HookTarget(*row) for row in rows]


@cache
def _hook_targets() -> CompoundSelect[str, int, str, str, bool, str]:
    repo = table(Repo).c
    columns = select(repo.name, repo.id, repo.forge, repo.hook_secret_sealed, repo.active, repo.untrusted_runs)
    names: BindParameter[str] = bindparam("names", expanding=True)
    now = columns.where(repo.name.in_(names), repo.hook_secret_sealed != "")
    former = table(FormerName).c
    before = select(former.name, *list(columns.selected_columns)[1:]).join_from(
        table(FormerName), table(Repo), former.repo_id == repo.id
    )
    # One statement, so that its time does not tell a former name from an unknown one.
    return now.union_all(before.where(former.name.in_(names), repo.hook_secret_sealed != ""))


def set_visible_to_all(session: Session, repo_id: int, *, visible: bool) -> None:
    """Whether every user who can log in sees the repository's runs and logs."""
    session.execute(update(Repo).where(Repo.id == repo_id).values(visible_to_all=visible))


def repos(session: Session, viewer: int | None = None, after: str = "", limit: int | None = None) -> Sequence[Repo]:
    """The repositories that the viewer sees (see ``roles``) by name, those behind the name ``after``.

    The first ``limit`` of them, or (None) all.
    """
    query = select(Repo).where(seen_by(viewer)).order_by(Repo.name).limit(limit)
    return session.scalars(query.where(Repo.name > after) if after else query).all()


def repos_version(session: Session, viewer: int | None = None) -> tuple[int, int]:
    """A value that changes when the viewer sees one repository more or, of the first few hundred, one less."""
    seen = select(Repo.id).where(seen_by(viewer))
    newest = session.scalar(seen.order_by(Repo.id.desc()).limit(1))
    some = seen.order_by(Repo.id).limit(_REPOS_COUNTED).subquery()
    return newest or 0, session.scalar(select(func.count()).select_from(some)) or 0


def switch_off(session: Session, repo_id: int) -> None:
    """Webhooks start no more runs of the repository."""
    session.execute(update(Repo).where(Repo.id == repo_id).values(active=False))


class RemovedRuns(NamedTuple):
    """The runs that were removed. Their logs are marked; the caller deletes the old files of ``with_old_logs``."""

    run_ids: Sequence[int]
    with_old_logs: Sequence[int]


def remove_runs(session: Session, repo_id: int, most: int) -> RemovedRuns:
    """Removes the repository's oldest runs with all their rows.

    A few at a time: on SQLite all other writers wait for the transaction.
    """
    ids = session.scalars(select(Run.id).where(Run.repo_id == repo_id).order_by(Run.number).limit(most)).all()
    old = ran_before_blobs(session, ids)
    session.execute(delete(table(Run)).where(Run.id.in_(ids)))
    return RemovedRuns(ids, old)


def remove_repo(session: Session, repo_id: int) -> RemovedRuns:
    """Removes the repository and all its rows."""
    ids = session.scalars(select(Run.id).where(Run.repo_id == repo_id)).all()
    old = ran_before_blobs(session, ids)
    session.delete(session.get_one(Repo, repo_id))
    session.flush()
    return RemovedRuns(ids, old)


def mirror_sources(session: Session) -> list[tuple[int, str, str]]:
    """Each repository's id, address and key: by these its mirror is named."""
    return [(repo_id, url, key) for repo_id, url, key in session.execute(select(Repo.id, Repo.clone_url, Repo.key))]


def repo_info(repo: Repo) -> RepoInfo:
    """The repository as pipelines see it."""
    return RepoInfo(
        name=repo.name,
        clone_url=repo.clone_url,
        web_url=repo.web_url,
        default_branch=repo.default_branch,
        private=repo.private,
        forge=repo.forge,
        trust=Trust(*(getattr(repo, f"trust_{name}") for name in Trust._fields)),
    )
