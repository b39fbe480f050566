"""Webhook deliveries. Recording one is idempotent: it is stored once and starts each of its runs once."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache

from sqlalchemy import BindParameter, Insert, Select, bindparam, delete, func, insert, literal, or_, select, update
from sqlalchemy.orm import Session

from pipelines.trigger import Event, Trigger
from workers.db.delivery_states import DeliveryKind, DeliveryState
from workers.db.models import Counter, Delivery, DeliveryPayload, Repo, Run
from workers.db.session import now_ms
from workers.store.common import DAY_MS, insert_or, table
from workers.store.runs.heads import take_started
from workers.store.runs.queueing import NewRun, queue_runs

_PUSHES = frozenset({Event.PUSH, Event.TAG})
_Key = tuple[int, str]  # of a delivery: its repository and the forge's key for it


@dataclass(frozen=True)
class Payload:
    """What is kept of a delivery: its headers without secrets, and its body, compressed."""

    headers: Mapping[str, str]
    compressed: bytes = field(repr=False)

    @property
    def is_large(self) -> bool:
        """Whether few payloads are as large as this one."""
        return len(self.compressed) > _LARGE_PAYLOAD_BYTES


@dataclass(frozen=True)
class Repetition:
    """What a replay repeats: a delivery, its payload, and the run that it started of ``event`` and ``ref``, if any.

    ``by`` names the user.
    """

    delivery_id: int
    payload_key: str
    run_id: int | None
    event: str
    ref: str
    by: str


@dataclass(frozen=True)
class NewDelivery:
    """A delivery with a valid signature. ``state`` counts only where there is no trigger; ``reason`` is a sentence.

    ``held``: its run waits for approval. ``ref`` and ``sha`` are what it is about, also where no run starts. The first
    row of a delivery has its ``payload``, and the others have its key as ``payload_key``.
    """

    key: str
    event: str = ""
    body_bytes: int = 0
    trigger: Trigger | None = None
    state: DeliveryState = DeliveryState.NOTHING_TO_DO
    reason: str = ""
    held: bool = False
    ref: str = ""
    sha: str = ""
    kind: DeliveryKind = DeliveryKind.WEBHOOK
    payload: Payload | None = None
    payload_key: str = ""
    repeats: Repetition | None = None


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
    late = _late(session, fresh)
    started = {key: _new_run(key[0], new, new.trigger) for key, new in fresh.items() if new.trigger and key not in late}
    runs = dict(zip(started, queue_runs(session, list(started.values())), strict=True))
    receipts: dict[_Key, Receipt] = {}
    rows: list[dict[str, object]] = []
    for key, new in fresh.items():
        run = runs.get(key)
        if key in late:
            run_id, number = late[key]
            receipts[key] = Receipt(DeliveryState.ACCEPTED, run_id=run_id, run_number=number)
        elif run:
            receipts[key] = Receipt(
                DeliveryState.ACCEPTED, new.reason, run.run_id, run.number, run.job_id, run.superseded
            )
        else:
            receipts[key] = Receipt(new.state, new.reason)
        rows.append(_columns(key, new, receipts[key]))
    if rows:
        session.connection().execute(_queries().insert, rows)
    if payloads := [_payload_columns(key, new.payload) for key, new in fresh.items() if new.payload]:
        session.connection().execute(_queries().insert_payload, payloads)
    # Who sends many large ones must not fill the disk before the scheduler looks.
    for repo_id in sorted({repo_id for (repo_id, _), new in fresh.items() if new.payload and new.payload.is_large}):
        _drop_payloads_of(session, repo_id, PAYLOADS_OF_REPO_MAX, PAYLOADS_OF_REPO_BYTES_MAX)
    return receipts


def _late(session: Session, fresh: Mapping[_Key, NewDelivery]) -> dict[_Key, tuple[int, int]]:
    """The runs (id, number) of deliveries that come after Headway has found their push itself, and started its run."""
    pushes = {
        (key[0], new.trigger.ref, new.trigger.sha): key
        for key, new in fresh.items()
        if new.trigger and new.trigger.event in _PUSHES and new.kind is DeliveryKind.WEBHOOK
    }
    found = take_started(session, pushes.keys()) if pushes else {}
    return {pushes[push]: run for push, run in found.items()}


def _new_run(repo_id: int, new: NewDelivery, trigger: Trigger) -> NewRun:
    if new.repeats is None:
        return NewRun(repo_id, trigger, held=new.held)
    # Of several triggers, the run of the repeated row is only that of its own.
    same = (trigger.event.value, trigger.ref) == (new.repeats.event, new.repeats.ref)
    return NewRun(repo_id, trigger, new.repeats.run_id if same else None, held=new.held, repeats=True)


def _columns(key: _Key, new: NewDelivery, receipt: Receipt) -> dict[str, object]:
    repeats = new.repeats
    return {
        "repo_id": key[0],
        "key": key[1],
        "kind": new.kind.value,
        "event": new.event,
        "ref": new.ref,
        "sha": new.sha,
        "state": receipt.state.value,
        "reason": receipt.reason,
        "run_id": receipt.run_id,
        "body_bytes": new.body_bytes,
        "payload_key": repeats.payload_key if repeats else new.payload_key or (new.key if new.payload else ""),
        "repeats_id": repeats.delivery_id if repeats else None,
        "replayed_by": repeats.by if repeats else "",
    }


def _payload_columns(key: _Key, payload: Payload) -> dict[str, object]:
    return {"repo_id": key[0], "key": key[1], "headers": dict(payload.headers), "body": payload.compressed}


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
    insert_payload: Insert


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
    new_payload = insert(table(DeliveryPayload)).values(stored_ms=now_ms())
    return _Queries(lock, known, insert(deliveries).values(received_ms=now_ms()), new_payload)


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


PAYLOAD_DAYS, PAYLOADS_OF_REPO_MAX, PAYLOADS_OF_REPO_BYTES_MAX = 30, 200, 32 * 1024**2
"""Payloads are kept for so long, and so many and so large of each repository; compressed, most have a few kilobytes."""
_LARGE_PAYLOAD_BYTES = 128 * 1024
_REPOS_AT_ONCE, _KEYS_AT_ONCE = 100, 500


def drop_old_payloads(
    session: Session, days: int = PAYLOAD_DAYS, of_repo_max: int = PAYLOADS_OF_REPO_MAX,
    bytes_max: int = PAYLOADS_OF_REPO_BYTES_MAX,
) -> None:  # fmt: skip
    """Deletes payloads that are older than ``days``, and of each repository all but the newest ``of_repo_max``.

    These have at most ``bytes_max`` together. Their deliveries stay. Bounded: the next call goes on where one has many
    repositories to do.
    """
    kept = table(DeliveryPayload).c
    session.execute(delete(DeliveryPayload).where(kept.stored_ms < now_ms() - days * DAY_MS))
    too_many = or_(func.count() > of_repo_max, func.sum(func.length(kept.body)) > bytes_max)
    crowded = select(kept.repo_id).group_by(kept.repo_id).having(too_many).limit(_REPOS_AT_ONCE)
    for repo_id in session.scalars(crowded).all():
        _drop_payloads_of(session, repo_id, of_repo_max, bytes_max)


def _drop_payloads_of(session: Session, repo_id: int, of_repo_max: int, bytes_max: int) -> None:
    kept = table(DeliveryPayload).c
    newest = select(kept.key, func.length(kept.body)).where(kept.repo_id == repo_id)
    count, size_bytes, to_go = 0, 0, list[str]()
    for key, body_bytes in session.execute(newest.order_by(kept.stored_ms.desc(), kept.key)):
        count, size_bytes = count + 1, size_bytes + body_bytes
        if count > of_repo_max or size_bytes > bytes_max:
            to_go.append(key)
    for start in range(0, len(to_go), _KEYS_AT_ONCE):
        some = kept.key.in_(to_go[start : start + _KEYS_AT_ONCE])
        session.execute(delete(DeliveryPayload).where(kept.repo_id == repo_id, some))


LEASES_LOST = "leases_lost"
"""The counter of leases that ended without their worker."""


def bump_counter(session: Session, name: str, by: int = 1) -> None:
    """Adds to the counter of this name."""
    bump = insert_or(session, Counter).values(name=name, value=by)
    session.execute(bump.on_conflict_do_update(index_elements=["name"], set_={"value": table(Counter).c.value + by}))


def counters(session: Session) -> dict[str, int]:
    """All counters."""
    return {row.name: row.value for row in session.scalars(select(Counter))}
