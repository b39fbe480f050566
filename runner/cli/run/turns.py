"""The order of the jobs of ``headway run``: each runs after those that it needs, several at once if that is asked."""

from collections.abc import Callable, Collection, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait

from pipelines.needs import EndedJob
from pipelines.plan import JobPlan
from pipelines.state import Outcome

RunOne = Callable[[JobPlan, Sequence[EndedJob]], Outcome]


def run_in_turns(
    jobs: Sequence[JobPlan], at_once: int, run_one: RunOne, ended_one: Callable[[JobPlan, Outcome], None],
    stop: Callable[[], None],
) -> list[EndedJob]:  # fmt: skip
    """Runs all jobs, at most ``at_once`` at the same time. ``ended_one`` is called after each, in the caller's thread.

    ``run_one`` gets the jobs that have ended before. If it raises, ``stop`` must end those that still run.
    """
    waiting, ended = in_order(jobs), list[EndedJob]()
    running: dict[Future[Outcome], JobPlan] = {}
    with ThreadPoolExecutor(at_once, "job") as pool:
        try:
            while waiting or running:
                while len(running) < at_once and (job := _next(waiting, running.values())):
                    waiting.remove(job)
                    running[pool.submit(run_one, job, tuple(ended))] = job
                done, _ = wait(running, return_when=FIRST_COMPLETED)
                for future in done:
                    job, outcome = running.pop(future), future.result()
                    ended.append(EndedJob(job.name, outcome.state, outcome.reason))
                    ended_one(job, outcome)
        except BaseException:
            stop()
            raise
    return ended


def in_order(jobs: Sequence[JobPlan]) -> list[JobPlan]:
    """The jobs in an order in which each comes after the jobs that it needs."""
    waiting, done, ordered = list(jobs), set[str](), list[JobPlan]()
    while waiting:
        left = {job.name for job in waiting}
        ready = [job for job in waiting if not left & set(job.needs)] or waiting
        ordered += ready
        done |= {job.name for job in ready}
        waiting = [job for job in waiting if job not in ready]
    return ordered


def _next(waiting: Sequence[JobPlan], running: Collection[JobPlan]) -> JobPlan | None:
    """The first job that needs none of those that have not ended, and whose group has a place."""
    unended = {job.name for job in (*waiting, *running)}
    ready = (job for job in waiting if not unended & set(job.needs) and _has_place(job, running))
    return next(ready, None if running or not waiting else waiting[0])


def _has_place(job: JobPlan, running: Collection[JobPlan]) -> bool:
    if job.concurrency is None:
        return True
    return sum(_group(each) == _group(job) for each in running) < job.concurrency.limit


def _group(job: JobPlan) -> tuple[str, str] | None:
    """The concurrency group of a job: one that is named, or else its workflow's own."""
    if job.concurrency is None:
        return None
    return ("group", job.concurrency.group) if job.concurrency.group else ("workflow", job.name)
