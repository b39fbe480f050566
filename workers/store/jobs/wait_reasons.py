"""Why a job waits, and what the user can do about it: a sentence for each job, from the current rows."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from pipelines.state import State
from workers.db.models import Job, Run
from workers.labels import fits, wanted
from workers.store.jobs.concurrency_turns import AHEAD_SHOWN, jobs_ahead
from workers.store.jobs.lanes import first_in_lanes
from workers.store.jobs.leases import ready_not_notified
from workers.store.processes.duties import WAKE_UPS, failed_duties
from workers.store.processes.leaders import SCHEDULER, has_leader
from workers.store.processes.workers import KnownWorker, workers

WAITS_FOR_APPROVAL = "Waits for approval by a maintainer: on the run's page, or with `headway approve`."


def why_waiting(session: Session, repo: str, jobs: Sequence[Job]) -> dict[int, str]:
    """A sentence for each of the run's ``jobs`` that waits, by job id. ``repo`` is the name of their repository."""
    waiting = [(job, repo) for job in jobs if job.state is State.QUEUED]
    unfinished = [job.name for job in jobs if not job.state.final]
    return why_each_waits(session, waiting, {job.run_id: unfinished for job, _ in waiting})


def why_each_waits(
    session: Session, waiting: Sequence[tuple[Job, str]], unfinished: Mapping[int, Sequence[str]]
) -> dict[int, str]:
    """A sentence for each of the waiting jobs, which may be of many runs, by job id.

    ``waiting`` has each with the name of its repository; ``unfinished`` the names of unfinished jobs, by run id.
    """
    alive = workers(session) if waiting else []
    trouble = _no_wake_ups(session) if waiting else ""
    return {
        job.id: _for_a_pause(job)
        or _for_jobs(job, unfinished.get(job.run_id, ()))
        or _for_its_turn(session, job)
        or _for_a_worker(job, repo, alive, trouble)
        for job, repo in waiting
    }


def idle_runs(session: Session, runs: Iterable[Run]) -> set[int]:
    """Those of the runs that have started but have no running job now: all their remaining jobs wait."""
    started = {run.id for run in runs if run.state is State.RUNNING}
    if not started:
        return started
    busy = select(Job.run_id).where(Job.run_id.in_(started), Job.state == State.RUNNING)
    return started - set(session.scalars(busy.distinct()))


def jobs_for_free_workers(session: Session, older_than_s: float, most: int = 100) -> Sequence[int]:
    """Jobs to wake a worker for: no wake-up was sent in the last ``older_than_s`` seconds, and a free slot fits.

    For workers with the same labels as many jobs as they have free slots. Any jobs where no worker is known.
    """
    alive = workers(session)
    if not alive:
        return ready_not_notified(session, older_than_s, most)
    slots: Counter[frozenset[tuple[str, str]]] = Counter()
    for worker in alive:
        slots[frozenset(worker.labels.items())] += worker.free
    older_ms = int(older_than_s * 1000)
    found = [
        job_id
        for labels, free in slots.items()
        if free
        for job_id in first_in_lanes(session, dict(labels), min(free, most), older_ms)
    ]
    return sorted(set(found))[:most]


def _for_a_pause(job: Job) -> str:
    if job.not_before_ms is None:
        return ""
    at = datetime.fromtimestamp(job.not_before_ms / 1000, UTC)
    if not job.delays:
        return (
            f"Waits for its next attempt, from {at:%H:%M:%S} UTC on, because the machine was at fault. "
            f"{job.delay_reason.rstrip('.')}. Machines lost so far: {job.lost}, and HEADWAY_ATTEMPTS_MAX is the limit."
        )
    tried = "once" if job.delays == 1 else f"{job.delays} times"
    return f"Waits for the forge: {job.delay_reason}. Tried {tried}; the next try is at {at:%H:%M:%S} UTC."


def _for_jobs(job: Job, unfinished: Sequence[str]) -> str:
    if job.ready:
        return ""
    if job.plan is None:
        return WAITS_FOR_APPROVAL
    names = dict.fromkeys(name for name in unfinished if name in job.needs) or job.needs
    return f"Waits for {_listed([repr(name) for name in names])}, which it depends on."


def _for_its_turn(session: Session, job: Job) -> str:
    if job.group_key is None:
        return ""
    ahead = jobs_ahead(session, job)
    named = [f"run {each.run_number}, job {each.job_name}" for each in ahead if each.job_name is not None]
    group = f"concurrency group {job.group_name!r}"
    if len(named) >= job.group_limit:
        return f"Waits for {_first(named)} ({group})."
    runs = [f"run {each.run_number}" for each in ahead if each.job_name is None]
    return f"Waits until {_first(runs)} is planned, which may have an earlier turn ({group})." if runs else ""


def _no_wake_ups(session: Session) -> str:
    """Why no worker learns of a job that waits, although one is free; empty where it does."""
    if not has_leader(session, SCHEDULER):
        return "No scheduler is running: a worker takes it only if its wake-up arrives. Start one: headway scheduler."
    failing = {duty.name: duty.problem for duty in failed_duties(session)}
    return failing.get(WAKE_UPS, "")


def _for_a_worker(job: Job, repo: str, alive: Sequence[KnownWorker], trouble: str) -> str:
    asked = wanted(job.labels, repo)
    able = [worker for worker in alive if fits(asked, worker.labels)]
    if not alive:
        return "Waits for a worker, and none is running. Start one: headway worker."
    if not able:
        return _for_labels(asked)
    if problem := next((worker.problem for worker in able if worker.problem), ""):
        if all(worker.problem for worker in able):
            return f"Waits for a worker that takes jobs: {problem}"
        able = [worker for worker in able if not worker.problem]
    if all(worker.free == 0 for worker in able):
        slots = sum(worker.slots for worker in able)
        return (
            f"Waits for a free slot: {slots} of {slots} are taken on {_several(len(able), 'worker')} that can run it."
        )
    return trouble or "A worker takes it in a moment."


def _for_labels(asked: Mapping[str, str]) -> str:
    labels = ",".join(f"{name}={value}" for name, value in asked.items() if name != "repo")
    if not labels:
        return (
            f"Waits for a worker that takes jobs without labels of {asked['repo']}, and there is none. "
            "Look at HEADWAY_WORKER_LABELS of the workers."
        )
    return (
        f"Waits for a worker with {labels.replace(',', ' and ')}, and there is none for {asked['repo']}. "
        f"Start one with HEADWAY_WORKER_LABELS={labels}, or change the workflow's labels."
    )


def _first(words: Sequence[str]) -> str:
    return _listed(words if len(words) <= AHEAD_SHOWN else [*words[:AHEAD_SHOWN], "more"])


def _listed(words: Sequence[str]) -> str:
    return " and ".join(filter(None, [", ".join(words[:-1]), *words[-1:]]))


def _several(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"
