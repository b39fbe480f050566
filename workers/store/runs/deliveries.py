"""Webhook deliveries. Recording one is idempotent: it is stored once and starts each of its runs once."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import cache

from sqlalchemy import BindParameter, Insert, Select, bindparam, insert, literal, select, update
from sqlalchemy.orm import Session

from pipelines.trigger import Trigger
from workers.db.models import Counter, Delivery, Repo, Run
from workers.db.session import now_ms
from workers.store.common import insert_or, table
from workers.store.runs.queueing import NewRun, queue_runs

_Key = tuple[int, str]  # of a delivery: its repository and the forge's key for it


class DeliveryState(StrEnum):
    """What became of a delivery."""

    ACCEPTED = "accepted"
    NOTHING_TO_DO = "nothing_to_do"
    REFUSED = "refused"


@dataclass(frozen=True)
class NewDelivery:
    """A delivery with a valid signature. ``state`` counts only where there is no trigger; ``reason`` is a sentence.

    ``held``: its run waits for approval.
    """

    key: str
    event: str = ""
    body_bytes: int = 0
    trigger: Trigger | None = None
    state: DeliveryState = DeliveryState.NOTHING_TO_DO
    reason: str = ""
    held: bool = False


@dataclass(frozen=True)
class Receipt:
    """What a delivery led to, now or when it was first received. ``job_id`` is set only for a new run.

    After the commit, notify workers of ``job_id``, and of the cancellation of the runs ``superseded``.
    """

    state: DeliveryState
    reason: str = ""
    run_id: int | None = None
    run_number: int | None = None
    job_id: int | None = None
    superseded: tuple[int, ...] = ()


def record_delivery(session: Session, repo_id: int, new: NewDelivery) -> Receipt:
    """``record_deliveries`` for one delivery to a repository that exists."""
    (receipt,) = record_deliveries(session, [(repo_id, new)])
    if receipt is None:
        raise ValueError(f"There is no repository {repo_id}.")
    return receipt


def record_deliveries(session: Session, incoming: Sequence[tuple[int, NewDelivery]]) -> list[Receipt | None]:
    """Stores a batch of deliveries and queues their runs, numbered in this order. Repositories are named by id.

    Idempotent, because forges send a delivery again: one that is known, from the database or from earlier in the batch,
    gets what it led to the first time. None where the repository was removed. Runs four statements, and two for each
    repository.
    """
    repo_ids = {repo_id for repo_id, _ in incoming}
    # Lock order, to avoid deadlocks: all repositories first, by id.
    existing = set(session.connection().execute(_queries().lock, {"repos": repo_ids}).scalars())
    known = _known(session, repo_ids, {new.key for _, new in incoming})
    fresh: dict[_Key, NewDelivery] = {}
    for repo_id, new in incoming:
        if repo_id in existing and (repo_id, new.key) not in known:
            fresh.setdefault((repo_id, new.key), new)
    made = _make(session, fresh)
    # A test of the webhook may have the very same body each time: that it came again must be seen.
    for repeated in {(repo_id, new.key) for repo_id, new in incoming} & known.keys():
        if known[repeated].run_id is None:
            again = (Delivery.repo_id == repeated[0]) & (Delivery.key == repeated[1])
            session.execute(update(Delivery).where(again).values(received_ms=now_ms()))
    answers: list[Receipt | None] = []
    for repo_id, new in incoming:
        key = (repo_id, new.key)
        answers.append(made.get(key) or known.get(key))
        if key in made:
            known[key] = replace(made.pop(key), job_id=None)
    return answers


def _make(session: Session, fresh: Mapping[_Key, NewDelivery]) -> dict[_Key, Receipt]:
    started = {key: NewRun(key[0], new.trigger, held=new.held) for key, new in fresh.items() if new.trigger}
    runs = dict(zip(started, queue_runs(session, list(started.values())), strict=True))
    receipts: dict[_Key, Receipt] = {}
    rows: list[dict[str, object]] = []
    for key, new in fresh.items():
        run = runs.get(key)
        state = DeliveryState.ACCEPTED if run else new.state
        receipts[key] = Receipt(
            state=state,
            reason=new.reason,
            run_id=run.run_id if run else None,
            run_number=run.number if run else None,
            job_id=run.job_id if run else None,
            superseded=run.superseded if run else (),
        )
        rows.append(
            {
                "repo_id": key[0],
                "key": key[1],
                "event": new.event,
                "state": state.value,
                "reason": new.reason,
                "run_id": run.run_id if run else None,
                "body_bytes": new.body_bytes,
            }
        )
    if rows:
        session.connection().execute(_queries().insert, rows)
    return receipts


def _known(session: Session, repo_ids: set[int], keys: set[str]) -> dict[_Key, Receipt]:
    """What these deliveries led to the first time. The result may hold other deliveries with the same keys."""
    found: dict[_Key, Receipt] = {}
    rows = session.connection().execute(_queries().known, {"repos": repo_ids, "keys": keys})
    for repo_id, key, state, reason, run_id, number in rows:
        found[repo_id, key] = Receipt(state=DeliveryState(state), reason=reason, run_id=run_id, run_number=number)
    return found


@dataclass(frozen=True)
class _Queries:
    lock: Select[int]
    known: Select[int, str, str, str, int | None, int | None]
    insert: Insert


@cache
def _queries() -> _Queries:
    """The statements of every webhook, built once: building them costs more than running them."""
    repos, deliveries, runs = table(Repo), table(Delivery), table(Run)
    in_repos: BindParameter[int] = bindparam("repos", expanding=True)
    known = (
        select(
            deliveries.c.repo_id, deliveries.c.key, deliveries.c.state, deliveries.c.reason, runs.c.id, runs.c.number
        )
        .outerjoin(runs, runs.c.id == deliveries.c.run_id)
        .where(deliveries.c.repo_id.in_(in_repos), deliveries.c.key.in_(bindparam("keys", expanding=True)))
    )
    lock = select(repos.c.id).where(repos.c.id.in_(in_repos)).order_by(repos.c.id).with_for_update(key_share=True)
    return _Queries(lock, known, insert(deliveries).values(received_ms=now_ms()))


NOT_SIGNED_KEY, TOO_LARGE_KEY = "not signed", "too large"
"""Of the one row that a repository has for all deliveries of which it is not known who sent them."""


def note_refused(session: Session, repo_id: int, key: str, reason: str, body_bytes: int) -> None:
    """Stores the newest delivery that was refused unread. Anybody can send them: the row replaces the one before."""
    repo = table(Repo).c
    values = select(
        repo.id, literal(key), literal(DeliveryState.REFUSED.value), literal(reason), literal(body_bytes), now_ms()
    ).where(repo.id == repo_id)
    names = ["repo_id", "key", "state", "reason", "body_bytes", "received_ms"]
    new = insert_or(session, Delivery).from_select(names, values)
    newest = {name: new.excluded[name] for name in names[2:]}
    session.execute(new.on_conflict_do_update(index_elements=["repo_id", "key"], set_=newest))


def newest_deliveries(session: Session, repo_id: int, limit: int) -> Sequence[tuple[Delivery, int | None]]:
    """The repository's newest deliveries, each with the number of its run, if it started one."""
    query = select(Delivery, Run.number).outerjoin(Run, Run.id == Delivery.run_id).where(Delivery.repo_id == repo_id)
    rows = session.execute(query.order_by(Delivery.received_ms.desc(), Delivery.id.desc()).limit(limit))
    return [(delivery, number) for delivery, number in rows]


LEASES_LOST = "leases_lost"
"""The counter of leases that ended without their worker."""


def bump_counter(session: Session, name: str, by: int = 1) -> None:
    """Adds to the counter of this name."""
    bump = insert_or(session, Counter).values(name=name, value=by)
    session.execute(bump.on_conflict_do_update(index_elements=["name"], set_={"value": table(Counter).c.value + by}))


def counters(session: Session) -> dict[str, int]:
    """All counters."""
    return {row.name: row.value for row in session.scalars(select(Counter))}
