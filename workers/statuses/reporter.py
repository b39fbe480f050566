"""Reports commit statuses to the forges. Each report is derived from the rows, so it is always the newest state."""

import os
import re
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from urllib.parse import urlsplit

import httpx2
import structlog
from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from pipelines.problem import Level
from pipelines.state import State, verdict
from pipelines.trigger import Event, Trigger
from pipelines.visible import visible_line
from runner.network.egress import EgressSettings, server_egress
from workers import store
from workers.db.models import Job, Repo
from workers.db.session import reading, transaction
from workers.forges import FORGES
from workers.forges.http import make_client, post
from workers.forges.status_request import (
    Answer,
    CommitStatus,
    Home,
    NoForgeError,
    Request,
    accepted,
    commit_may_appear,
    is_retryable,
    moved_path,
    refusal,
    site,
)
from workers.forges.tokens import ForgeToken, token_for
from workers.secrets.vault import Vault, VaultError
from workers.settings import Settings
from workers.store import PendingStatus
from workers.store.runs.statuses import reported_states

TRIES_MAX = 20
"""How often a report is tried while a forge fails; with the back-off in between that takes three hours."""
REFUSALS_MAX = 4
"""How often a report is tried that a forge refuses, for it may not know the commit yet; that takes half a minute."""

_FIRST_PAUSE_S, _PAUSE_S_MAX = 5, 900
_CLAIM_MS = 300_000
_STOP_WITHIN_S = 1.0
_RUN = ""

# It is shown to people as part of a command.
_PLAIN_PATH = re.compile(r"[\w.~+-]+(/[\w.~+-]+)+", re.ASCII)
_WORDS = {State.QUEUED: "Waiting for a worker", State.RUNNING: "Running", State.PASSED: "Passed"}

_log = structlog.get_logger()


@dataclass(frozen=True)
class _Failure:
    """Why a host gets no more requests in this round, and the pause that its rate limit asks for, in seconds."""

    sentence: str
    pause_s: int = 0


@dataclass(frozen=True)
class Reporter:
    """Reports what is due. Several processes may do so at once: each status is claimed by one of them at a time."""

    engine: Engine
    vault: Vault
    client: httpx2.Client
    settings: Settings

    def report_due(self) -> None:
        """Reports every status that is due. A host that does not answer is tried once, not for each of its runs."""
        with reading(self.engine) as session:
            run_ids = store.pending_statuses(session)
        away: dict[str, _Failure] = {}
        for run_id in run_ids:
            with transaction(self.engine) as session:
                pending = store.claim_status(session, run_id, _CLAIM_MS)
            if pending is not None:
                self._report(pending, away)

    def _report(self, pending: PendingStatus, away: dict[str, _Failure]) -> None:
        reported = reported_states(pending.status)
        try:
            token = self._token(pending.repo)
            for part, status, request in self._changes(pending, reported, token) if token else ():
                self._send(pending, request, away, token.command if token else "")
                reported[part] = status.state
        except _NotReportedError as failure:
            self._note_failure(pending, reported, failure)
        except (VaultError, NoForgeError) as error:
            self._note_failure(pending, reported, _NotReportedError(f"no commit status was sent: {error}", None))
        else:
            over = pending.run.state.final or pending.newer
            with transaction(self.engine) as session:
                store.mark_reported(session, pending, reported, over=over)

    def _token(self, repo: Repo) -> ForgeToken | None:
        """Raises VaultError."""
        with reading(self.engine) as session:
            return token_for(session, self.vault, repo)

    def _changes(
        self, pending: PendingStatus, reported: Mapping[str, State], token: ForgeToken
    ) -> list[tuple[str, CommitStatus, Request]]:
        """The requests for all states that the forge does not have yet. Raises NoForgeError."""
        repo = pending.repo
        home = Home(repo.web_url or repo.clone_url, token.api_url)
        wanted = statuses_of(pending, self.settings).items()
        fresh = [(part, status) for part, status in wanted if reported.get(part) is not status.state]
        asked = [(part, status, FORGES[repo.forge].report(home, token.value, status)) for part, status in fresh]
        return [(part, status, request) for part, status, request in asked if request]

    def _send(self, pending: PendingStatus, request: Request, away: dict[str, _Failure], renew: str) -> None:
        """Raises _NotReportedError. ``away`` are the hosts that get no requests in this round; ``renew`` is the command
        that sets another token.
        """
        host = urlsplit(request.url).netloc
        if host in away:
            raise _try_later(pending, away[host], renew)
        try:
            answer = post(self.client, request)
        except (httpx2.HTTPError, httpx2.InvalidURL) as error:
            said = str(error) or type(error).__name__
            if "CERTIFICATE_VERIFY_FAILED" in said:
                said += "; if its certificate is from your company's own authority, name that in HEADWAY_CA_FILE"
            away[host] = _Failure(f"the forge does not answer at {host}: {said}")
            raise _try_later(pending, away[host], renew) from None
        if accepted(answer, request):
            self._note_move(pending.repo, request, answer)
            return
        failure = _Failure(refusal(answer, pending.repo.name, renew), answer.pause_s)
        if is_retryable(answer):
            away[host] = failure
            raise _try_later(pending, failure, renew)
        again = commit_may_appear(answer) and pending.status.tries + 1 < REFUSALS_MAX
        raise _NotReportedError(failure.sentence, _pause_s(pending) if again else None)

    def _note_move(self, repo: Repo, request: Request, answer: Answer) -> None:
        """Stores where the repository is now, if the forge has redirected. Git tells that itself, but not over SSH."""
        if answer.url == request.url or repo.clone_url.startswith("http"):
            return
        _, path = site(Home(repo.clone_url))
        new = moved_path(path, request.url, answer.url)
        before, found, after = repo.clone_url.rpartition(path)
        if new and found and _PLAIN_PATH.fullmatch(new):
            with transaction(self.engine) as session:
                store.set_moved_to(session, repo.id, repo.clone_url, f"{before}{new}{after}")

    def _note_failure(
        self, pending: PendingStatus, reported: Mapping[str, State], failure: "_NotReportedError"
    ) -> None:
        pause_s = failure.pause_s
        _log.warning(
            "a commit status was not reported", run=pending.run.id, problem=failure.sentence, again_in_s=pause_s
        )
        pause_ms = None if pause_s is None else pause_s * 1000
        with transaction(self.engine) as session:
            store.mark_not_reported(session, pending, reported, failure.sentence, pause_ms)


class _NotReportedError(Exception):
    """A report failed. It is tried again after ``pause_s`` seconds, or (None) never."""

    def __init__(self, sentence: str, pause_s: int | None) -> None:
        self.sentence, self.pause_s = sentence, pause_s
        super().__init__(sentence)


def _try_later(pending: PendingStatus, failure: _Failure, renew: str) -> _NotReportedError:
    if pending.status.tries + 1 < TRIES_MAX:
        return _NotReportedError(failure.sentence, max(_pause_s(pending), failure.pause_s))
    return _NotReportedError(f"{failure.sentence}; given up after {TRIES_MAX} tries; {renew} tries again", None)


def _pause_s(pending: PendingStatus) -> int:
    return int(min(_FIRST_PAUSE_S * 2**pending.status.tries, _PAUSE_S_MAX))


def statuses_of(pending: PendingStatus, settings: Settings) -> dict[str, CommitStatus]:
    """The wanted statuses: of the run (under an empty name), and of each workflow if there are several.

    Empty where a newer run of the same commit and event replaces this run, or where its commit was never found.
    """
    run = pending.run
    if pending.newer or not run.sha:
        return {}
    context = f"{settings.status_context}/{run.event}"
    url = settings.run_url(pending.repo.name, run.number)
    branch = _branch(store.trigger_of(run))
    found = {_RUN: CommitStatus(run.sha, run.state, context, _run_sentence(pending), url, branch)}
    workflows: dict[str, list[Job]] = {}
    for job in pending.jobs:
        workflows.setdefault(job.name, []).append(job)
    if len(workflows) > 1:
        for name, jobs in workflows.items():
            state = _state(jobs)
            found[name] = CommitStatus(
                run.sha, state, f"{context}/{visible_line(name)}", _sentence(state, jobs), url, branch
            )
    return found


def _branch(trigger: Trigger) -> str:
    """The branch of the commit. Of a pull request its source branch, unless that is in another repository."""
    pull = trigger.pull_request
    if pull is not None:
        return "" if pull.from_fork else pull.source_branch
    return "" if trigger.event in {Event.TAG, Event.RELEASE} else trigger.branch


def _run_sentence(pending: PendingStatus) -> str:
    run = pending.run
    if run.held and not run.state.final:
        return "Waits for approval by a maintainer"
    errors = (problem.get("text", "") for problem in run.problems if problem["level"] == Level.ERROR)
    return next(errors, "") or run.sentence or _WORDS.get(run.state, run.state.value.capitalize())


def _state(jobs: list[Job]) -> State:
    states = [job.state for job in jobs]
    if all(state.final for state in states):
        return verdict(states)
    return State.QUEUED if set(states) == {State.QUEUED} else State.RUNNING


def _sentence(state: State, jobs: list[Job]) -> str:
    said = next((job.message for job in jobs if job.state is state and job.message), "") if state.final else ""
    return said or _WORDS.get(state, state.value.capitalize())


@contextmanager
def background_reporter(
    engine: Engine, vault: Vault, settings: Settings, wait: Callable[[], None]
) -> Iterator[threading.Thread]:
    """Reports in a background thread, so that a slow forge delays nothing else. Yields the thread.

    ``wait`` returns when it is time to look again. At the end of the block the thread has a second to stop. A report
    that is still being sent then is sent again by the next process.
    """
    stop = threading.Event()
    company = server_egress(os.environ, settings.ca_file, step_proxy=settings.step_proxy)

    def rounds() -> Iterator[None]:
        while not stop.is_set():
            wait()
            yield

    work = (engine, vault, settings, company, rounds())
    thread = threading.Thread(target=_report, args=work, name="reporter", daemon=True)
    thread.start()
    try:
        yield thread
    finally:
        stop.set()
        thread.join(_STOP_WITHIN_S)


def _report(
    engine: Engine, vault: Vault, settings: Settings, company: EgressSettings, rounds: Iterator[None]
) -> None:  # fmt: skip
    # The client, with all the certificates that it trusts, takes 8 MB: it is made when there is something to send.
    if not any(_is_pending(engine) for _ in rounds):
        return
    with make_client(company) as client:
        reporter = Reporter(engine, vault, client, settings)
        for _ in rounds:
            with _noted():
                reporter.report_due()


def _is_pending(engine: Engine) -> bool:
    with _noted(), reading(engine) as session:
        return bool(store.pending_statuses(session))
    return False


@contextmanager
def _noted() -> Iterator[None]:
    """What goes wrong is in the log; the next round tries again."""
    try:
        yield
    except SQLAlchemyError as error:
        _log.warning("the database does not answer; trying again", error=str(error))
    except Exception:  # noqa: BLE001 - one run must not block all others; it stays claimed for minutes
        _log.exception("a report to a forge broke")
