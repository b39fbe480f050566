"""Branches and tags as they were seen last, and which of their commits reached no run and no webhook."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from typing import TypeVar

from sqlalchemy import BindParameter, Select, bindparam, delete, exists, insert, or_, select, update
from sqlalchemy.orm import Session

from workers.db.delivery_states import DeliveryKind
from workers.db.models import Delivery, Head, HeadCheck, Repo, Run
from workers.db.session import db_now_ms
from workers.store.common import insert_or, table

HEADS_MAX = 10_000
"""Branches and tags of a repository that are looked at."""
MISSED_PUSHES = "missed_pushes"
"""The counter of pushes whose webhook did not come."""
_AT_ONCE = 500
_T = TypeVar("_T")


Push = tuple[int, str, str]
"""A repository's id, a ref and a commit."""


class HeadState(StrEnum):
    """See ``Head``."""

    KNOWN = "known"
    NEW = "new"
    MISSED = "missed"
    FOUND = "found"


@dataclass(frozen=True)
class Seen:
    """What a branch or tag points to now."""

    ref: str
    sha: str
    commit_sha: str


def due_repos(session: Session, limit: int) -> Sequence[Repo]:
    """Active repositories whose server is to be asked now, those first that wait longest."""
    now = db_now_ms(session)
    due = or_(HeadCheck.repo_id.is_(None), HeadCheck.next_ms <= now)
    of_active = select(Repo).outerjoin(HeadCheck, HeadCheck.repo_id == Repo.id).where(Repo.active, Repo.clone_url != "")
    first = of_active.where(due).order_by(HeadCheck.next_ms.is_not(None), HeadCheck.next_ms, Repo.id)
    return session.scalars(first.limit(limit)).all()


def any_to_forget(session: Session, *, only_inactive: bool) -> bool:
    """Whether ``forget_heads`` has something to forget."""
    asked = select(HeadCheck.repo_id).join(Repo, Repo.id == HeadCheck.repo_id)
    return session.scalar((asked.where(~Repo.active) if only_inactive else asked).limit(1)) is not None


def forget_heads(session: Session, *, only_inactive: bool) -> None:
    """Forgets all that was seen, or that of repositories which are switched off: pushes meanwhile are not missed."""
    for kind in (Head, HeadCheck):
        gone = delete(kind)
        if only_inactive:
            gone = gone.where(kind.repo_id.in_(select(Repo.id).where(~Repo.active)))
        session.execute(gone)


def note_check(session: Session, repo_id: int, clone_url: str, pause_s: float) -> None:
    """Remembers that the server of ``clone_url`` has answered, and when to ask it again."""
    row = {"clone_url": clone_url, "next_ms": db_now_ms(session) + int(pause_s * 1000), "failures": 0, "problem": ""}
    _put_check(session, repo_id, row)


def note_failed_check(session: Session, repo_id: int, problem: str, first_pause_s: float, pause_s_max: float) -> None:
    """Remembers why the server could not be asked. The pauses before it is asked again become longer."""
    before = session.get(HeadCheck, repo_id)
    failures = before.failures if before else 0
    pause_s = min(pause_s_max, first_pause_s * 2 ** min(failures, 20))
    row = {"next_ms": db_now_ms(session) + int(pause_s * 1000), "failures": failures + 1, "problem": problem}
    _put_check(session, repo_id, row | {"clone_url": before.clone_url if before else ""})


def _put_check(session: Session, repo_id: int, row: Mapping[str, object]) -> None:
    new = insert_or(session, HeadCheck).values(repo_id=repo_id, **row)
    session.execute(new.on_conflict_do_update(index_elements=["repo_id"], set_=row))


def check_of(session: Session, repo_id: int) -> HeadCheck | None:
    """When and how the repository's server was asked last."""
    return session.get(HeadCheck, repo_id)


def lock_repo(session: Session, repo_id: int) -> Repo | None:
    """The repository, locked as deliveries lock it: none is recorded at the same time."""
    query = select(Repo).where(Repo.id == repo_id).with_for_update(key_share=True)
    return session.scalar(query.execution_options(populate_existing=True))


def remember_heads(session: Session, repo_id: int, seen: Collection[Seen], *, first_time: bool) -> None:
    """Stores what the repository's server says now. What has changed is new; the first time all is known."""
    now = db_now_ms(session)
    if first_time:
        session.execute(delete(Head).where(Head.repo_id == repo_id))
    before = {head[0]: head[1] for head in session.execute(select(Head.ref, Head.sha).where(Head.repo_id == repo_id))}
    state = HeadState.KNOWN if first_time else HeadState.NEW
    changed = [head for head in seen if before.get(head.ref) != head.sha]
    rows = [
        {
            "repo_id": repo_id, "ref": head.ref, "sha": head.sha, "commit_sha": head.commit_sha,
            "previous_sha": before.get(head.ref, ""), "state": state.value, "first_seen_ms": now, "run_id": None,
        }
        for head in changed
    ]  # fmt: skip
    gone = before.keys() - {head.ref for head in seen} | {head.ref for head in changed if head.ref in before}
    for part in _parts(sorted(gone)):
        session.execute(delete(Head).where(Head.repo_id == repo_id, Head.ref.in_(part)))
    for some in _parts(rows):
        session.execute(insert(Head), some)


def open_heads(session: Session, repo_id: int) -> Sequence[Head]:
    """Heads that are new or missed, the oldest first."""
    still = Head.state.in_([HeadState.NEW.value, HeadState.MISSED.value])
    return session.scalars(
        select(Head).where(Head.repo_id == repo_id, still).order_by(Head.first_seen_ms, Head.ref)
    ).all()


def settle_reached(session: Session, repo_id: int, heads: Sequence[Head]) -> list[Head]:
    """Notes as known those heads that a run or a webhook has reached. Returns the others."""
    reached: set[tuple[str, str]] = set()
    for part in _parts(sorted({sha for head in heads for sha in (head.sha, head.commit_sha)})):
        runs = select(Run.ref, Run.sha).where(Run.repo_id == repo_id, Run.sha.in_(part))
        told = (Delivery.kind != DeliveryKind.FOUND.value, Delivery.run_id.is_(None), Delivery.sha != "")
        deliveries = select(Delivery.ref, Delivery.sha).where(
            Delivery.repo_id == repo_id, Delivery.sha.in_(part), *told
        )
        reached |= {(ref, sha) for query in (runs, deliveries) for ref, sha in session.execute(query)}
    left: list[Head] = []
    for head in heads:
        if not reached.isdisjoint({(head.ref, head.sha), (head.ref, head.commit_sha)}):
            head.state = HeadState.KNOWN.value
        else:
            left.append(head)
    session.flush()
    return left


def missed_pushes(session: Session, repo_id: int, limit: int) -> Sequence[Head]:
    """Heads of which Headway has reported that they reached no run, and which still have none; the newest first."""
    run = exists().where(Run.repo_id == repo_id, Run.ref == Head.ref, Run.sha.in_([Head.sha, Head.commit_sha]))
    missed = select(Head).where(Head.repo_id == repo_id, Head.state == HeadState.MISSED.value, ~run)
    return session.scalars(missed.order_by(Head.first_seen_ms.desc(), Head.ref).limit(limit)).all()


def take_started(session: Session, wanted: Collection[Push]) -> dict[Push, tuple[int, int]]:
    """The ids and numbers of the runs that Headway itself has started of these pushes, each returned once.

    Hold the locks of the repositories.
    """
    rows = session.connection().execute(_started(), {"repos": {repo_id for repo_id, _, _ in wanted}})
    found: dict[Push, tuple[int, int]] = {}
    for repo_id, ref, sha, commit_sha, run_id, number in rows.all():
        for push in {(repo_id, ref, sha), (repo_id, ref, commit_sha)} & set(wanted):
            found[push] = run_id, number
            session.execute(update(Head).where(Head.repo_id == repo_id, Head.ref == ref).values(run_id=None))
    return found


@cache
def _started() -> Select[int, str, str, str, int, int]:
    """The statement of every webhook of a push, built once: building it costs more than running it."""
    heads, runs = table(Head).c, table(Run).c
    columns = heads.repo_id, heads.ref, heads.sha, heads.commit_sha, runs.id, runs.number
    in_repos: BindParameter[int] = bindparam("repos", expanding=True)
    of_run = select(*columns).join_from(table(Head), table(Run), runs.id == heads.run_id)
    return of_run.where(heads.run_id.is_not(None), heads.repo_id.in_(in_repos))


def _parts(items: Sequence[_T]) -> Iterator[Sequence[_T]]:
    for start in range(0, len(items), _AT_ONCE):
        yield items[start : start + _AT_ONCE]
