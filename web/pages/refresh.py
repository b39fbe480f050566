"""Versions of pages: a short text that changes whenever a page would read differently.

A page opens its stream with the version that it shows; the stream sends ``changed`` when the version is another.
"""

from zlib import crc32

from workers.db.models import Job, Repo, Run, Step


def run_page_version(run: Run, jobs: list[tuple[Job, list[Step]]]) -> str:
    """The version of a run's page, without its logs."""
    seen: list[tuple[object, ...]] = [(run.state, run.started_ms, run.cancel_requested_ms, run.sentence, run.title)]
    for job, steps in jobs:
        seen.append((job.state, job.attempt, job.message, job.host, repr(job.services), repr(job.pulls)))
        seen += [(step.state, step.started_ms, step.attempt, step.message, repr(step.facts)) for step in steps]
    return f"{crc32(repr(seen).encode()):08x}"


def front_page_version(recent: list[tuple[Run, Repo]], repos: tuple[int, int], idle: set[int]) -> str:
    """The version of the front page. ``repos`` changes with the list of repositories."""
    seen: list[object] = [repos, *((run.id, run.state, run.started_ms, run.id in idle) for run, _ in recent)]
    return f"{crc32(repr(seen).encode()):08x}"
