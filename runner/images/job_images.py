"""The images of a job: pulls each one early and once, so that all steps get the same image and show the progress."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from concurrent.futures import Future, InvalidStateError, ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from math import inf
from threading import Condition, Event, Lock, Thread
from time import monotonic
from typing import Any

from pipelines.own_images import REMEDY, canonical, is_own_image
from pipelines.state import Reason
from runner.cleanup.borrowed_tags import image_named, is_borrowed
from runner.docker.client import Engine
from runner.docker.references import registry_host, split_tag
from runner.docker.specs import Login
from runner.errors import CanceledError, MachineError, StepError
from runner.images.access_check import check_access
from runner.images.pull import pull
from runner.images.requirements import ImageRequirement
from runner.images.retry import RETRY_S, RegistryRetries
from runner.logs.output import Write

POLL_S = 0.2
Description = dict[str, Any]
Key = tuple[str, str, frozenset[int]]


class JobImages:
    """The images of one job. A name is resolved once: if its tag moves, all steps still get the same image.

    ``check`` is called during pulls and may raise to stop them.
    """

    def __init__(
        self,
        engine: Engine,
        logins: Mapping[str, Login],
        check: Callable[[], None],
        pulls_at_once_max: int,
        login_hosts: Collection[str] = (),
        retry_s: float = RETRY_S,
    ) -> None:
        """``login_hosts`` are registries for whose images this job must prove that it has access.

        A registry that cannot serve is asked again for ``retry_s``.
        """
        self._engine = engine
        self._logins = logins
        self._check = check
        self._login_hosts = login_hosts
        self._retry_s = retry_s
        self._pool = ThreadPoolExecutor(pulls_at_once_max, "pull")
        self._fetches: dict[Key, ImageFetch] = {}
        self._lock = Lock()
        self._configs: dict[str, Mapping[str, Any]] = {}

    def prefetch(self, requirements: Iterable[ImageRequirement]) -> None:
        """Starts pulling missing images in the background, in this order."""
        fetches = [self._fetch(each) for each in requirements]
        # Finds all images that the engine has before the first pull starts.
        for work in (*(fetch.look for fetch in fetches), *(fetch.run for fetch in fetches)):
            self._pool.submit(work)

    def get(self, requirement: ImageRequirement, write: Write, deadline_s: float = inf) -> Description:
        """Waits for the image and returns the engine's description of it. Does not wait for other pulls.

        Raises the error of the pull. An error of the prefetch is not raised: the pull is retried. At ``deadline_s`` of
        the monotonic clock it no longer waits for a registry that cannot serve; a pull that goes on may take longer.
        """
        fetch = self._fetch(requirement, again=ImageFetch.has_failed)
        here = fetch.follow(write, partial(self._check_trouble, fetch, deadline_s))
        if self._engine.image(here["Id"]) is None:
            write(f"the image {requirement.name} was removed from the engine meanwhile")
            here = self._fetch(requirement, again=lambda present: present is fetch).follow(write, self._check)
        self.note(here)
        return here

    def _check_trouble(self, fetch: "ImageFetch", deadline_s: float) -> None:
        if monotonic() >= deadline_s and (trouble := fetch.retries.trouble):
            raise fetch.retries.given_up(trouble)
        try:
            self._check()
        except StepError as error:
            raise fetch.retries.explained(error) from error

    def note(self, image: Description) -> None:
        """Keeps the engine's description of an image for ``config_of`` and ``environment_of``."""
        self._configs[str(image["Id"])] = image.get("Config") or {}

    def config_of(self, image_id: str) -> Mapping[str, Any]:
        """The configuration of an image: its variables, user and so on. The engine is asked once for each image."""
        if image_id not in self._configs:
            self.note(self._engine.image(image_id) or {"Id": image_id})
        return self._configs[image_id]

    def environment_of(self, image_id: str) -> Mapping[str, str]:
        """The variables that an image itself sets."""
        pairs = (pair.partition("=") for pair in self.config_of(image_id).get("Env") or ())
        return {name: value for name, _, value in pairs}

    def here(self, name: str, write: Write) -> Description | None:
        """The image if the engine has it, without a pull. Raises StepError if this job may not use it."""
        image = image_named(self._engine, name)
        if image and self.is_guarded(name):
            retries = RegistryRetries(self._retry_s, write, self._check)
            check_access(self._engine, name, self._logins.get(registry_host(name)), retries)
        return image

    def is_guarded(self, name: str) -> bool:
        """True if an image of this name may be in the engine because another repository has a login for it."""
        return registry_host(name) in self._login_hosts

    def write_log(self, requirement: ImageRequirement, write: Write) -> None:
        """Writes the output of the pull, unless another step has shown it."""
        self._fetch(requirement).write_log(write)

    def when_here(self, requirement: ImageRequirement, do: Callable[[str], None]) -> bool:
        """Calls ``do`` with the image's id as soon as the engine has it, at once or from another thread.

        Returns False if the image is not being pulled; ``do`` is then never called.
        """
        with self._lock:
            fetch = self._fetches.get(requirement.key)
        if fetch is None or fetch.has_failed():
            return False
        fetch.ended.add_done_callback(lambda ended: None if ended.exception() else do(ended.result()["Id"]))
        return True

    def cancel_pulls(self) -> None:
        """Cancels all pulls that are running."""
        with self._lock:
            fetches = list(self._fetches.values())
        for fetch in fetches:
            fetch.canceled.set()

    def close(self) -> None:
        """Cancels all pulls and stops the threads."""
        self.cancel_pulls()
        self._pool.shutdown(cancel_futures=True)

    def _fetch(
        self, requirement: ImageRequirement, again: "Callable[[ImageFetch], bool]" = lambda _: False
    ) -> "ImageFetch":
        """The fetch of this image: the present one, or a new one if there is none or ``again`` says so."""
        with self._lock:
            present = self._fetches.get(requirement.key)
            if present is None or again(present):
                login = self._logins.get(registry_host(requirement.name))
                reference = present.pinned_reference() if present else requirement.name
                guarded = self.is_guarded(requirement.name)
                present = ImageFetch(
                    self._engine, requirement, reference, login, self._check, self._retry_s, guarded=guarded
                )
                self._fetches[requirement.key] = present
            return present


class ImageFetch:
    """One image being fetched for all steps that need it. ``ended`` has the engine's description of it."""

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
    ) -> None:
        self._guarded = guarded
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
        digest = pull(self._engine, self._reference, self._login, self._add_line, self._check, self.retries)
        here = self._pulled(digest)
        if here is None:
            raise MachineError(Reason.INTERNAL, f"the image {self._reference} was pulled and is not in the engine")
        self._finish(here)

    def _pulled(self, digest: str) -> Description | None:
        """The image that was pulled. Another job may have taken its name for a push already; its digest stays."""
        repo = canonical(self._reference).partition("@")[0].rpartition(":")[0]
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
