"""The images of a job: pulled early and once, each the same for all of its steps, with progress in every step's log."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, InvalidStateError, ThreadPoolExecutor
from contextlib import suppress
from threading import Condition, Event, Lock, Thread
from typing import Any

from pipelines.state import Reason
from runner.docker.client import Engine
from runner.docker.references import registry_host, split_tag
from runner.docker.specs import Login
from runner.errors import CanceledError, MachineError
from runner.images.pull import pull
from runner.images.requirements import Wanted
from runner.logs.output import Write

POLL_S = 0.2
Description = dict[str, Any]
Key = tuple[str, str, frozenset[int]]


class Images:
    """The images of one job. The first answer to a name counts: a tag that moves does not give two steps two images.

    ``check`` is asked in mid-pull, and may raise to end it.
    """

    def __init__(
        self, engine: Engine, logins: Mapping[str, Login], check: Callable[[], None], pulls_at_once_max: int
    ) -> None:
        self._engine = engine
        self._logins = logins
        self._check = check
        self._pool = ThreadPoolExecutor(pulls_at_once_max, "pull")
        self._fetches: dict[Key, Fetch] = {}
        self._lock = Lock()

    def begin(self, wanted: Iterable[Wanted]) -> None:
        """Looks for images and pulls those that are not here, in this order and behind the caller's back."""
        fetches = [self._fetch(each) for each in wanted]
        # All that are here are found before the first pull.
        for work in (*(fetch.look for fetch in fetches), *(fetch.run for fetch in fetches)):
            self._pool.submit(work)

    def get(self, wanted: Wanted, write: Write) -> Description:
        """The engine's description of the image, once it is here. Who needs it now waits for no other pull.

        Raises what went wrong; what went wrong before anybody needed the image is tried again.
        """
        fetch = self._fetch(wanted, again=Fetch.has_failed)
        here = fetch.follow(write, self._check)
        if self._engine.image(here["Id"]) is None:
            write(f"the image {wanted.name} was removed from the engine meanwhile")
            here = self._fetch(wanted, again=lambda present: present is fetch).follow(write, self._check)
        return here

    def tell(self, wanted: Wanted, write: Write) -> None:
        """Writes how the image came here, to whoever is the first to ask."""
        self._fetch(wanted).tell(write)

    def when_here(self, wanted: Wanted, do: Callable[[str], None]) -> bool:
        """Calls ``do`` with the image's id once it is here, at once or from another thread.

        False where nobody pulls it, and ``do`` is never called.
        """
        with self._lock:
            fetch = self._fetches.get(wanted.key)
        if fetch is None or fetch.has_failed():
            return False
        fetch.ended.add_done_callback(lambda ended: None if ended.exception() else do(ended.result()["Id"]))
        return True

    def give_up(self) -> None:
        """Ends all pulls that are under way."""
        with self._lock:
            fetches = list(self._fetches.values())
        for fetch in fetches:
            fetch.given_up.set()

    def close(self) -> None:
        """Ends all pulls for good."""
        self.give_up()
        self._pool.shutdown(cancel_futures=True)

    def _fetch(self, wanted: Wanted, again: "Callable[[Fetch], bool]" = lambda _: False) -> "Fetch":
        """The way of this image to here: the one that it is on, or a new one where that one is to be gone ``again``."""
        with self._lock:
            present = self._fetches.get(wanted.key)
            if present is None or again(present):
                login = self._logins.get(registry_host(wanted.name))
                reference = present.same_again() if present else wanted.name
                present = Fetch(self._engine, wanted, reference, login, self._check)
                self._fetches[wanted.key] = present
            return present


class Fetch:
    """One image on its way to the engine, for all who want it. ``ended`` has the engine's description of it."""

    def __init__(
        self, engine: Engine, wanted: Wanted, reference: str, login: Login | None, check: Callable[[], None]
    ) -> None:
        self._engine = engine
        self._wanted = wanted
        self._reference = reference
        self._login = login
        self._job_check = check
        self._begun = Lock()
        self._news = Condition()
        self._lines: list[str] = []
        self._told = False
        self.given_up = Event()
        self.ended: Future[Description] = Future()
        self.ended.add_done_callback(lambda _: self._wake())

    def has_failed(self) -> bool:
        """True once it is known that the image does not come."""
        return self.ended.done() and self.ended.exception() is not None

    def same_again(self) -> str:
        """The name under which exactly the image that came can be had again; the name that is wanted, if none came."""
        digests = () if self.has_failed() else self.ended.result().get("RepoDigests") or ()
        repo = split_tag(self._wanted.name)[0]
        return next((digest for digest in digests if digest.startswith(f"{repo}@")), self._wanted.name)

    def look(self) -> None:
        """Ends it where the image is here and is good enough."""
        here = None if self._wanted.newest else self._engine.image(self._reference)
        if here:
            self._arrived(here)

    def run(self) -> None:
        """All that is left to do, by the first who comes to do it."""
        if not self._begun.acquire(blocking=False):
            return
        try:
            self.look()
            if not self.ended.done():
                self._pull()
        except Exception as error:  # noqa: BLE001 - raised again where somebody waits
            self.ended.set_exception(error)

    def tell(self, write: Write) -> None:
        """Writes what was said on the way, unless it is in somebody's log already."""
        if not self._told:
            self._told = True
            for line in self._lines:
                write(line)

    def follow(self, write: Write, check: Callable[[], None]) -> Description:
        """Writes all that is said on the way, from its beginning, until the image is here. Raises what went wrong."""
        if self.ended.done():
            self.tell(write)
            return self.ended.result()
        if not self._begun.locked():
            Thread(target=self.run, daemon=True, name="pull-now").start()
        for line in self._lines_to_come(check):
            write(line)
        self._told = True
        return self.ended.result()

    def _lines_to_come(self, check: Callable[[], None]) -> Iterator[str]:
        given = 0
        while True:
            ended = self.ended.done()
            for line in self._lines[given:]:
                yield line
                given += 1
            if ended:
                return
            check()
            with self._news:
                self._news.wait_for(lambda: self.ended.done() or len(self._lines) > given, POLL_S)  # noqa: B023 - now

    def _pull(self) -> None:
        pull(self._engine, self._reference, self._login, self._say, self._check)
        here = self._engine.image(self._reference)
        if here is None:
            raise MachineError(Reason.INTERNAL, f"the image {self._reference} was pulled and is not in the engine")
        self._arrived(here)

    def _arrived(self, here: Description) -> None:
        # Two may have looked at the same time.
        with suppress(InvalidStateError):
            self.ended.set_result(here)

    def _say(self, line: str) -> None:
        self._lines.append(line)
        self._wake()

    def _wake(self) -> None:
        with self._news:
            self._news.notify_all()

    def _check(self) -> None:
        if self.given_up.is_set():
            raise CanceledError(Reason.CANCELED, f"nobody needs the image {self._wanted.name} any more")
        self._job_check()
