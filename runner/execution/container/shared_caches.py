"""Shared copies of caches around a step and a job: fetched where this machine has none, shared when the job is over."""

import time
from collections.abc import Iterable
from dataclasses import replace
from functools import partial

from pipelines.plan import CommandsStep, PluginStep
from runner.caches.job_caches import CacheAccess
from runner.caches.sharing import SharedCaches, fetch, packed, undisturbed
from runner.caches.store import View, Wanted
from runner.caches.version_file import new_name
from runner.errors import StepError
from runner.execution.job.job import Job

SHARE_S_MAX = 900
"""The slot of a worker is taken so long at most after a job has ended."""


def with_shared(
    job: Job, step: CommandsStep | PluginStep, access: CacheAccess, wanted: Wanted, view: View
) -> View:  # fmt: skip
    """The view, or one of a shared copy where that fits better. A copy that cannot be used is none: the view says why.

    So is one that takes longer than the step may. Raises StepError where the job must end.
    """
    if access.shared is None or (view.found and view.found.key == wanted.key):
        return view
    check = partial(job.check_time, job.time_for(step))
    try:
        copy = access.shared.find(wanted, own_key=view.found is not None)
        if copy is None:
            return view
        pieces = access.shared.read(copy)
        fetch(job.engine, access.store, job.assignment.folder, wanted, copy, pieces, job.labels(), check)
    except (StepError, OSError) as error:
        job.check()
        return replace(view, problem=str(error))
    return replace(job.caches.open_view(access, wanted), fetched=True)


def share_later(job: Job, access: CacheAccess, view: View) -> None:
    """Shares at the end of the job, after its verdict, what the step has kept under this key."""
    if access.shared is None:
        return
    if not job.caches.kept:
        shared = access.shared
        job.without_containers.append(lambda: _share_all(job, access, shared))
    wanted = Wanted(view.name, view.step, view.place, view.key, (), view.folders_count)
    job.caches.kept[view.place, view.key] = wanted


def _share_all(job: Job, access: CacheAccess, shared: SharedCaches) -> None:
    """Raises OSError and StepError for the first that could not be shared, when all were tried."""
    until_s, errors = time.monotonic() + SHARE_S_MAX, list[Exception]()
    for wanted in job.caches.kept.values():
        try:
            _share(job, access, shared, wanted, until_s)
        except (StepError, OSError) as error:
            errors.append(OSError(f"the cache {wanted.name} is not shared with other machines: {error}"))
    if errors:
        raise errors[0]


def _share(job: Job, access: CacheAccess, shared: SharedCaches, wanted: Wanted, until_s: float) -> None:
    def check() -> None:
        if job.cancel and not job.cancel.lost:  # a job that has its verdict has no lease to renew
            raise OSError("the job was canceled")
        if problem := job.options.disk_problem():
            raise OSError(problem)
        if time.monotonic() >= until_s:
            raise OSError(f"that took longer than {SHARE_S_MAX} s")

    check()
    view = job.caches.open_view(access, wanted)  # a job of this machine that looks for room sees that it is used
    if view.found is None or view.found.key != wanted.key:
        return
    layers = [[access.store.layers / layer.name / str(index) for layer in view.found.layers] for index in _all(wanted)]
    spool = access.store.views_of(job.assignment.folder) / f"packed-{new_name()}"
    with packed(job.engine, layers, job.labels(), check, view.found.size_bytes) as pieces:
        whole = undisturbed(access.store, view.found, pieces)
        shared.share(wanted.place, wanted.key, view.found.size_bytes, whole, spool)


def _all(wanted: Wanted) -> Iterable[int]:
    return range(wanted.folders_count)
