"""The fetch of one image for all steps of a job that need it: it is looked for in the engine, else pulled, once."""

from collections.abc import Callable, Iterator
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from functools import partial
from threading import Condition, Event, Lock, Thread
from typing import Any

from pipelines.images.own_images import REMEDY, is_own_image, repository
from pipelines.state import Reason
from runner.cleanup.borrowed_tags import image_named, is_borrowed
from runner.docker.client import Engine
from runner.docker.containers.specs import Login
from runner.docker.references import split_tag
from runner.errors import CanceledError, MachineError, StepError
from runner.images.access_check import check_access
from runner.images.image_record import ImageUse
from runner.images.pull import OnPull, pull, reported
from runner.images.requirements import ImageRequirement
from runner.images.retry import RegistryRetries
from runner.logs.output import Write
from runner.timing import Timed, untimed

POLL_S = 0.2
Description = dict[str, Any]


class ImageFetch:
    """One image being fetched for all steps that need it. ``ended`` has the engine's description of it.

    ``known`` is the image's id, where an earlier process of the job has found it.
    """

    def __init__(
        self,
        engine: Engine,
        requirement: ImageRequirement,
        reference: str,
        login: Login | None,
        check: Callable[[], None],
        retry_s: float,
        *,
        guarded: bool = False,
        known: str = "",
    ) -> None:
        self.use: ImageUse | None = None
        self._guarded = guarded
        self._known = known
        self._engine = engine
        self._requirement = requirement
        self._reference = reference
        self._login = login
        self._job_check = check
        self._started = Lock()
        self._changed = Condition()
        self._lines: list[str] = []
        self._shown = False
        self.canceled = Event()
        self.timed: Timed = untimed
        self.on_pull: OnPull = lambda _: None
        self.retries = RegistryRetries(retry_s, self._add_line, self._check)
        self.ended: Future[Description] = Future()
        self.ended.add_done_callback(lambda _: self._wake())

    def has_failed(self) -> bool:
        """True if the fetch has ended with an error."""
        return self.ended.done() and self.ended.exception() is not None

    def pinned_reference(self) -> str:
        """The name with the fetched image's digest, to fetch the same image again; the plain name after a failure."""
        digests = () if self.has_failed() else self.ended.result().get("RepoDigests") or ()
        repo = split_tag(self._requirement.name)[0]
        return next((digest for digest in digests if digest.startswith(f"{repo}@")), self._requirement.name)

    def look(self) -> None:
        """Ends the fetch if the engine has the image, it need not be the newest, and any job may use it."""
        if not self._guarded:
            self._look()

    def _look(self) -> None:
        name = self._requirement.name
        if is_own_image(name):
            raise StepError(Reason.INVALID_PIPELINE, f"{name} is an image of Headway's own; {REMEDY}")
        if self._known and (found := self._engine.image(self._known)):
            self._finish(found)
            return
        here = None if self._requirement.newest else image_named(self._engine, self._reference)
        if here and self._guarded:
            check_access(self._engine, self._reference, self._login, self.retries)
        if here:
            self._finish(here)

    def run(self) -> None:
        """Fetches the image. Only the first call does something."""
        if not self._started.acquire(blocking=False):
            return
        try:
            self._look()
            if not self.ended.done():
                self._pull()
        except Exception as error:  # noqa: BLE001 - raised again in the threads that wait
            self.ended.set_exception(error)

    def write_log(self, write: Write) -> None:
        """Writes the output of the pull, unless a step's log shows it already."""
        if not self._shown:
            self._shown = True
            for line in self._lines:
                write(line)

    def follow(self, write: Write, check: Callable[[], None]) -> Description:
        """Writes the output of the pull from its start until the image is here. Raises the error of the pull."""
        if self.ended.done():
            self.write_log(write)
            return self.ended.result()
        if not self._started.locked():
            Thread(target=self.run, daemon=True, name="pull-now").start()
        for line in self._follow_lines(check):
            write(line)
        self._shown = True
        return self.ended.result()

    def _follow_lines(self, check: Callable[[], None]) -> Iterator[str]:
        written = 0
        while True:
            ended = self.ended.done()
            for line in self._lines[written:]:
                yield line
                written += 1
            if ended:
                return
            check()
            with self._changed:
                self._changed.wait_for(lambda: self.ended.done() or len(self._lines) > written, POLL_S)  # noqa: B023 - evaluated at once

    def _pull(self) -> None:
        before = self.use.before_pull(self._engine) if self.use else frozenset()
        do = partial(pull, self._engine, self._reference, self._login, self._add_line, self._check, self.retries)
        with self.timed("pull", self._requirement.name):
            digest = reported(self.on_pull, self._requirement.name, do).digest
        here = self._pulled(digest)
        if here is None:
            raise MachineError(Reason.INTERNAL, f"the image {self._reference} was pulled and is not in the engine")
        if self.use:
            self.use.pulled(self._reference, here, before)
        self._finish(here)

    def _pulled(self, digest: str) -> Description | None:
        """The image that was pulled. Another job may have taken its name for a push already; its digest stays."""
        repo = repository(self._reference)
        by_digest = self._engine.image(f"{repo}@{digest}") if digest and "@" not in self._reference else None
        if by_digest:
            return by_digest
        here = self._engine.image(self._reference)
        return None if here and is_borrowed(here, self._reference) else here

    def _finish(self, here: Description) -> None:
        # Two threads may have called look() at the same time.
        with suppress(InvalidStateError):
            self.ended.set_result(here)

    def _add_line(self, line: str) -> None:
        self._lines.append(line)
        self._wake()

    def _wake(self) -> None:
        with self._changed:
            self._changed.notify_all()

    def _check(self) -> None:
        if self.canceled.is_set():
            raise CanceledError(Reason.CANCELED, f"the pull of the image {self._requirement.name} was canceled")
        self._job_check()
