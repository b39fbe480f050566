"""When jobs that wait for a worker probably start: a simulation of the slots of the workers that are there.

Each worker has slots that are free, or busy until their job has taken as long as jobs of its workflow usually take. The
jobs of the queue get them in their order, each the first slot of a worker that fits. Nothing is guessed: where a job
ahead has never passed before, or takes longer than ever, its slot has no end, and what waits for it has no estimate.
"""

import heapq
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import inf
from statistics import median

from workers.labels import fits
from workers.store import KnownWorker

NO_WORKER = "No worker fits."
NO_WORKER_TAKES_JOBS = "No worker that fits takes jobs now."
UNKNOWN_AHEAD = "A job ahead of it never passed before, or takes longer than ever."


@dataclass(frozen=True)
class Estimate:
    """In how many milliseconds a job probably starts; None where that cannot be said, for the reason ``why_none``."""

    starts_in_ms: int | None = None
    why_none: str = ""


@dataclass(frozen=True)
class WaitingJob:
    """A job that waits for nothing but a worker. ``asked`` includes its repository; ``past_ms`` is sorted."""

    id: int
    asked: Mapping[str, str]
    past_ms: Sequence[int] = ()


@dataclass(frozen=True)
class RunningJob:
    """A job that a worker runs, for so long until now. ``past_ms`` is sorted."""

    worker: str
    elapsed_ms: int
    past_ms: Sequence[int] = ()


def estimates(
    waiting: Iterable[WaitingJob], running: Iterable[RunningJob], workers: Sequence[KnownWorker]
) -> dict[int, Estimate]:
    """An estimate for each waiting job, by its id. They are given in the order of the queue."""
    slots = _slots(running, workers)
    return {job.id: _start(job, workers, slots) for job in waiting}


def _slots(running: Iterable[RunningJob], workers: Sequence[KnownWorker]) -> dict[str, list[float]]:
    """In how many milliseconds each slot is free, as a heap for each worker that takes jobs."""
    slots: dict[str, list[float]] = {worker.name: [] for worker in workers if not worker.problem}
    for job in running:
        if job.worker in slots:
            slots[job.worker].append(_remaining(job))
    for worker in workers:
        if worker.name in slots:
            mine = slots[worker.name]
            mine += [0.0] * (worker.slots - len(mine))
            heapq.heapify(mine)
    return slots


def _remaining(job: RunningJob) -> float:
    """How long it goes on: as long as those earlier jobs usually did that took longer than it has until now."""
    longer = [past for past in job.past_ms if past > job.elapsed_ms]
    return median(longer) - job.elapsed_ms if longer else inf


def _start(job: WaitingJob, workers: Sequence[KnownWorker], slots: Mapping[str, list[float]]) -> Estimate:
    able = [worker.name for worker in workers if fits(job.asked, worker.labels)]
    if not able:
        return Estimate(why_none=NO_WORKER)
    heaps = [slots[name] for name in able if name in slots]
    if not heaps:
        return Estimate(why_none=NO_WORKER_TAKES_JOBS)
    first = min(heaps, key=lambda heap: heap[0])
    starts_in_ms = first[0]
    if starts_in_ms == inf:
        return Estimate(why_none=UNKNOWN_AHEAD)
    heapq.heapreplace(first, starts_in_ms + (median(job.past_ms) if job.past_ms else inf))
    return Estimate(int(starts_in_ms))
