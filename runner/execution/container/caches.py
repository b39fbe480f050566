"""The caches in a step's container: views of what is kept are mounted, and kept in turn when the step has passed."""

import hashlib
import json
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from pipelines.plan import CommandsStep, PluginStep
from pipelines.state import Outcome, Reason, State
from pipelines.step_options.caches import Cache
from runner.caches.files import copy_layers, is_empty, measure
from runner.caches.job_caches import CacheAccess
from runner.caches.keeping import LAYERS_COUNT_MAX, is_small_change
from runner.caches.keys import ResolvedKey
from runner.caches.store import View, Wanted, copied
from runner.docker.containers.folders import Folder
from runner.docker.containers.overlays import Overlay, is_mount_failure
from runner.docker.containers.specs import ContainerSpec
from runner.docker.streams.archive import folder_archive
from runner.errors import MachineError, StepError
from runner.events import CachesUsed, CacheUse
from runner.execution.container.cache_places import CachePlaces
from runner.execution.container.shared_caches import share_later, with_shared
from runner.execution.job.job import Job
from runner.logs.output import Output

END_TIMEOUT_S = 15
_MB = 10**6
_KEEP_PACKAGES = "/etc/apt/apt.conf.d/docker-clean"
_KEPT = b'Binary::apt::APT::Keep-Downloaded-Packages "true";\nAPT::Keep-Downloaded-Packages "true";\n'


@dataclass(frozen=True)
class MountedCaches:
    """What a container needs for the caches of its step. ``targets`` are the paths at which views are mounted."""

    views: tuple[View, ...] = ()
    targets: tuple[str, ...] = ()
    folders: tuple[Folder, ...] = ()
    overlays: tuple[Overlay, ...] = ()
    environment: Mapping[str, str] | None = None
    keeps_packages: bool = False

    def into(self, spec: ContainerSpec) -> ContainerSpec:
        """The spec with the caches. The step's own variables count before those of caches."""
        if not self.views:
            return spec
        environment = {**(self.environment or {}), **spec.environment}
        folders, overlays = (*spec.folders, *self.folders), (*spec.overlays, *self.overlays)
        return replace(spec, environment=environment, folders=folders, overlays=overlays)


def mount_caches(job: Job, step: CommandsStep | PluginStep, image: str, user: str) -> MountedCaches:
    """Opens a view of each cache of the step. ``user`` is what it runs as. Raises StepError and OSError."""
    access, keys = job.caches.access, job.caches.keys_of(step)
    mounted = MountedCaches()
    if access is None or not keys:
        return mounted
    places = CachePlaces(job, step, image, user)
    with job.timed("cache", step.name):
        for cache, key in zip(step.caches, keys, strict=True):
            mounted = _mount(job, access, step, cache, key, places, mounted)
    return mounted


def _mount(
    job: Job,
    access: CacheAccess,
    step: CommandsStep | PluginStep,
    cache: Cache,
    key: ResolvedKey,
    places: CachePlaces,
    mounted: MountedCaches,
) -> MountedCaches:
    if key.problem:
        raise StepError(Reason.INVALID_PIPELINE, key.problem)
    targets = tuple(map(places.target, cache.folders))
    place = f"{access.scope}/{_family(job, cache, places.user)}"
    wanted = Wanted(cache.name, step.number, place, key.key, key.restore, len(targets))
    view = with_shared(job, step, access, wanted, job.caches.open_view(access, wanted))
    overlays = tuple(
        Overlay(target, _layers(access, view, index), view.upper(index), view.work(index))
        for index, target in enumerate(targets)
        if view.found
    )
    folders: tuple[Folder, ...] = ()
    if view.found and not _can_mount(access, view, overlays):
        view, overlays = _copy(job, access, view) or job.caches.open_view(access, wanted, empty=True), ()
    if not overlays:
        folders = tuple(Folder(view.upper(index), target) for index, target in enumerate(targets))
    return MountedCaches(
        (*mounted.views, view),
        (*mounted.targets, *targets),
        (*mounted.folders, *folders),
        (*mounted.overlays, *overlays),
        {**(mounted.environment or {}), **places.variables(cache.folders)},
        mounted.keeps_packages or cache.tool == "apt",
    )


def _family(job: Job, cache: Cache, user: str) -> str:
    """What versions must share so that a step can use one of them: the folders, who writes to them, and the machine."""
    folders = [folder.model_dump() for folder in cache.folders]
    scope = json.dumps([cache.tool, folders, user, job.engine.connection.version.arch])
    return hashlib.sha256(scope.encode()).hexdigest()[:32]


def _layers(access: CacheAccess, view: View, index: int) -> tuple[Path, ...]:
    layers = view.found.layers if view.found else ()
    return tuple(access.store.layers / layer.name / str(index) for layer in layers)


def _can_mount(access: CacheAccess, view: View, overlays: tuple[Overlay, ...]) -> bool:
    few = view.found is None or len(view.found.layers) < LAYERS_COUNT_MAX
    return few and access.store.mounts_overlays and all(overlay.is_possible for overlay in overlays)


def _copy(job: Job, access: CacheAccess, view: View) -> View | None:
    """Copies all of a version into its view. None where that is not possible: the step begins without it."""
    try:
        for index in range(view.folders_count):
            layers = _layers(access, view, index)
            copy_layers(job.engine, layers, view.upper(index), job.labels())
    except StepError as error:
        job.note(f"the cache {view.name} cannot be copied, so that the step begins without it: {error}")
        return None
    view = copied(view)
    access.store.note(view)
    return view


def hand_over(job: Job, mounted: MountedCaches, container: str, user: int | None) -> None:
    """Gives the mounted folders of a container that is not started yet to its step's user. Raises StepError."""
    for view in mounted.views:
        if job.caches.access:
            job.caches.access.store.note(view, container)
    for target in mounted.targets:
        parent, _, name = target.rpartition("/")
        job.engine.put_archive(container, parent or "/", folder_archive(name, user))
    if mounted.keeps_packages:
        with suppress(StepError):  # an image without apt has no such folder
            job.engine.write_file(container, _KEEP_PACKAGES, _KEPT)


def cannot_mount(job: Job, mounted: MountedCaches, error: StepError) -> bool:
    """Did the engine fail to mount a view? Then versions are copied from now on."""
    access = job.caches.access
    if access is None or not mounted.overlays or not is_mount_failure(error):
        return False
    access.store.no_overlays()
    job.note(f"the engine cannot mount caches here, so that they are copied: {str(error).rpartition(': ')[2]}")
    return True


def report_found(job: Job, step: CommandsStep | PluginStep, views: tuple[View, ...], output: Output) -> None:
    """Says in the step's log, and as an event, what its caches have."""
    for view in views:
        if view.problem:
            output.note(f"headway: warning: cache {view.name}: the shared copy cannot be used: {view.problem}")
        if view.found is None:
            output.note(f"headway: cache {view.name}: nothing is kept for {view.key} yet")
            continue
        size = _shown(view.found.size_bytes)
        instead = "" if view.found.key == view.key else f", in place of {view.key}"
        how = f"{', fetched' if view.fetched else ''}{', copied' if view.copied else ''}"
        output.note(f"headway: cache {view.name}: {view.found.key} ({size}{how}){instead}")
    if views:
        job.emit(CachesUsed(step.number, tuple(map(_use, views))))


def _was_high(view: View) -> bool:
    """Was the view copied because of its layers? Then the next step must not have to do it again."""
    return view.copied and view.found is not None and len(view.found.layers) > 1


def _shown(size_bytes: int) -> str:
    return f"{size_bytes / 1e6:,.1f} MB" if size_bytes >= _MB else f"{size_bytes / 1e3:,.1f} kB"


def _use(view: View) -> CacheUse:
    found = view.found
    return CacheUse(view.name, view.key, found.key if found else "", found.size_bytes if found else 0, view.copied)


def keep_caches(
    job: Job,
    step: CommandsStep | PluginStep,
    views: tuple[View, ...],
    container: str,
    output: Output,
    outcome: Outcome,
    since_s: float,
) -> None:
    """Keeps what a step that has passed wrote to its caches. Nothing that goes wrong changes how the step ended."""
    access = job.caches.access
    if access is None or not views or outcome.state is not State.PASSED:
        return
    if access.untrusted:
        output.note(f"headway: its caches are not kept: this run is untrusted ({access.untrusted})")
        return
    seconds = max(0.0, time.time() - since_s)
    keeping = _Keeping(job, access, step, container, seconds)
    uses = []
    with job.timed("cache", step.name):
        for view in views:
            use = _use(view)
            try:
                use = keeping.keep(view, output)
            except (StepError, OSError) as error:
                output.note(f"headway: warning: cache {view.name} is not kept: {error}")
            uses.append(use)
    job.emit(CachesUsed(step.number, tuple(uses)))


class _Keeping:
    """Keeps the caches of one step. Its container is ended first: what runs on in it must not write to what is kept."""

    def __init__(
        self, job: Job, access: CacheAccess, step: CommandsStep | PluginStep, container: str, seconds: float
    ) -> None:
        self._job, self._access = job, access
        self._container, self._seconds = container, seconds
        self._label = f"{job.plan.name}/{step.name}"
        self._ended = False

    def keep(self, view: View, output: Output) -> CacheUse:
        use = replace(_use(view), faster_s=self._faster_s(view))
        uppers = [view.upper(index) for index in range(view.folders_count)]
        written = not is_empty(uppers)
        is_own = view.found is not None and view.found.key == view.key
        if not written:
            version = None if is_own or view.found is None else self._access.store.save_again(view)
            if version:
                share_later(self._job, self._access, view)
            return replace(use, saved_bytes=version.size_bytes) if version else use
        self._end_container()
        size = measure(self._job.engine, view.folder / "upper", self._job.labels(), view.since_ns, self._job.check)
        known = view.found.size_bytes if view.found else 0
        if is_own and is_small_change(size.changed_bytes, known) and not _was_high(view):
            return use
        if self._access.bytes_max and size.size_bytes > self._access.bytes_max:
            most = f"{self._access.bytes_max:,}"
            output.note(f"headway: warning: cache {view.name} is not kept: it is larger than all may be ({most} bytes)")
            return use
        cold = (self._label, self._seconds) if view.found is None else None
        version = self._access.store.save(view, size.size_bytes, cold)
        share_later(self._job, self._access, view)
        output.note(f"headway: cache {view.name}: kept as {view.key} ({_shown(version.size_bytes)})")
        return replace(use, saved_bytes=version.size_bytes)

    def _faster_s(self, view: View) -> float | None:
        """How many seconds the step was faster than without the cache, where that is known and it was."""
        before = view.found.cold_s.get(self._label) if view.found else None
        return round(before - self._seconds, 1) if before is not None and before > self._seconds else None

    def _end_container(self) -> None:
        """Raises MachineError if it does not end."""
        if not self._ended:
            self._job.engine.kill(self._container, "SIGKILL")
            if self._job.engine.wait(self._container, END_TIMEOUT_S) is None:
                raise MachineError(Reason.INTERNAL, "the step's container did not end")
            self._ended = True
