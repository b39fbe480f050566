"""The images of a job: pulls each one early and once, so that all steps get the same image and show the progress."""

from collections.abc import Callable, Collection, Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from math import inf
from threading import Lock
from time import monotonic
from typing import Any

from runner.cleanup.borrowed_tags import image_named
from runner.docker.client import Engine
from runner.docker.containers.specs import Login
from runner.docker.references import registry_host
from runner.errors import StepError
from runner.images.access_check import check_access
from runner.images.image_fetch import Description, ImageFetch
from runner.images.image_record import ImageUse
from runner.images.pull import OnPull
from runner.images.requirements import ImageRequirement
from runner.images.retry import RETRY_S, RegistryRetries
from runner.logs.output import Write
from runner.timing import Timed, untimed

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
        self._known: Mapping[Key, str] = {}
        self.on_found: Callable[[Key, str], None] = _ignored
        self.use: ImageUse | None = None
        self.timed: Timed = untimed
        self.on_pull: OnPull = lambda _: None

    def know(self, images: Mapping[Key, str]) -> None:
        """Takes over the ids of images that an earlier process of this job has found."""
        self._known = images

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
        self._keep(here)
        if self._engine.image(here["Id"]) is None:
            write(f"the image {requirement.name} was removed from the engine meanwhile")
            here = self._fetch(requirement, again=lambda present: present is fetch).follow(write, self._check)
            self._keep(here)
        self.note(here)
        return here

    def _check_trouble(self, fetch: ImageFetch, deadline_s: float) -> None:
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
        if image:
            self._keep(image)
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
        if self.use:
            self.use.close()

    def _found(self, key: Key, ended: Future[Description]) -> None:
        if ended.exception() is None:
            self._keep(ended.result())
            self.on_found(key, str(ended.result()["Id"]))

    def _keep(self, image: Description) -> None:
        if self.use:
            self.use.use(str(image["Id"]))

    def _fetch(
        self, requirement: ImageRequirement, again: Callable[[ImageFetch], bool] = lambda _: False
    ) -> "ImageFetch":
        """The fetch of this image: the present one, or a new one if there is none or ``again`` says so."""
        with self._lock:
            present = self._fetches.get(requirement.key)
            if present is None or again(present):
                login = self._logins.get(registry_host(requirement.name))
                reference = present.pinned_reference() if present else requirement.name
                guarded = self.is_guarded(requirement.name)
                present = ImageFetch(
                    self._engine, requirement, reference, login, self._check, self._retry_s,
                    guarded=guarded, known=self._known.get(requirement.key, ""),
                )  # fmt: skip
                present.use = self.use
                present.timed, present.on_pull = self.timed, self.on_pull
                self._fetches[requirement.key] = present
                present.ended.add_done_callback(partial(self._found, requirement.key))
            return present


def _ignored(_key: Key, _image_id: str) -> None:
    """For a job that no other process goes on with."""
