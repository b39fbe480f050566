"""Tells the forges how runs go. What to tell is read from the rows each time, so that the newest state is told."""

import os
import threading
from collections.abc import Iterator, Mapping
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
from runner.network.egress import EgressSettings, server_egress
from workers import store
from workers.db.models.runs import Job
from workers.db.session import reading, transaction
from workers.forges import FORGES
from workers.forges.http import make_client, post
from workers.forges.status_request import (
    CommitStatus,
    Home,
    NoForgeError,
    Request,
    heard,
    may_come_true,
    refusal,
    worth_a_try,
)
from workers.secrets.vault import Vault, VaultError, forge_place
from workers.settings import Settings
from workers.store import Untold
from workers.store.statuses import told_of

TRIES_MAX = 20
"""How often a forge in trouble is asked; with the pauses between that is three hours."""
REFUSALS_MAX = 4
"""How often a forge is asked that does not know the commit yet; with the pauses that is half a minute."""

_FIRST_PAUSE_S, _PAUSE_S_MAX = 5, 900
_HOLD_MS = 300_000
_LOOK_EVERY_S = 1.0
_END_WITHIN_S = 1.0
_RUN = ""

_WORDS = {State.QUEUED: "Waiting for a worker", State.RUNNING: "Running", State.PASSED: "Passed"}

_log = structlog.get_logger()


@dataclass(frozen=True)
class _Trouble:
    """Why a host is not to be asked now, and for how long it asked for that, in seconds."""

    sentence: str
    pause_s: int = 0


@dataclass(frozen=True)
class Reporter:
    """All that telling needs. ``once`` may be called from several processes: each run is one's alone at a time."""

    engine: Engine
    vault: Vault
    client: httpx2.Client
    settings: Settings

    def once(self) -> None:
        """Tells all that is due. A forge that does not answer is asked once, not for each of its runs."""
        with reading(self.engine) as session:
            run_ids = store.untold(session)
        away: dict[str, _Trouble] = {}
        for run_id in run_ids:
            with transaction(self.engine) as session:
                untold = store.hold_status(session, run_id, _HOLD_MS)
            if untold is not None:
                self._tell(untold, away)

    def _tell(self, untold: Untold, away: dict[str, _Trouble]) -> None:
        told = told_of(untold.status)
        try:
            for part, status, request in self._news(untold, told):
                self._send(untold, request, away)
                told[part] = status.state
        except _NotToldError as trouble:
            self._not_told(untold, told, trouble)
        except (VaultError, NoForgeError) as error:
            self._not_told(untold, told, _NotToldError(f"the forge was not told: {error}", None))
        else:
            over = untold.run.state.final or untold.newer
            with transaction(self.engine) as session:
                store.note_told(session, untold, told, over=over)

    def _news(self, untold: Untold, told: Mapping[str, State]) -> list[tuple[str, CommitStatus, Request]]:
        """What the forge does not have yet. Raises VaultError and NoForgeError."""
        repo = untold.repo
        if not repo.forge_token_sealed:
            return []
        token = self.vault.unseal(forge_place(repo.id), repo.forge_token_sealed)
        home = Home(repo.web_url or repo.clone_url, repo.forge_api_url)
        wanted = statuses_of(untold, self.settings).items()
        fresh = [(part, status) for part, status in wanted if told.get(part) is not status.state]
        asked = [(part, status, FORGES[repo.forge].report(home, token, status)) for part, status in fresh]
        return [(part, status, request) for part, status, request in asked if request]

    def _send(self, untold: Untold, request: Request, away: dict[str, _Trouble]) -> None:
        """Raises _NotToldError. ``away`` are hosts that are not to be asked now."""
        host = urlsplit(request.url).netloc
        if host in away:
            raise _try_later(untold, away[host])
        try:
            answer = post(self.client, request)
        except (httpx2.HTTPError, httpx2.InvalidURL) as error:
            said = str(error) or type(error).__name__
            if "CERTIFICATE_VERIFY_FAILED" in said:
                said += "; if its certificate is from your company's own authority, name that in HEADWAY_CA_FILE"
            away[host] = _Trouble(f"the forge does not answer at {host}: {said}")
            raise _try_later(untold, away[host]) from None
        if heard(answer, request):
            return
        trouble = _Trouble(refusal(answer, untold.repo.name), answer.pause_s)
        if worth_a_try(answer):
            away[host] = trouble
            raise _try_later(untold, trouble)
        again = may_come_true(answer) and untold.status.tries + 1 < REFUSALS_MAX
        raise _NotToldError(trouble.sentence, _pause_s(untold) if again else None)

    def _not_told(self, untold: Untold, told: Mapping[str, State], trouble: "_NotToldError") -> None:
        pause_s = trouble.pause_s
        _log.warning("a commit status was not told", run=untold.run.id, problem=trouble.sentence, again_in_s=pause_s)
        pause_ms = None if pause_s is None else pause_s * 1000
        with transaction(self.engine) as session:
            store.note_not_told(session, untold, told, trouble.sentence, pause_ms)


class _NotToldError(Exception):
    """A forge does not have a status, and will not before ``pause_s`` seconds, or (None) ever."""

    def __init__(self, sentence: str, pause_s: int | None) -> None:
        self.sentence, self.pause_s = sentence, pause_s
        super().__init__(sentence)


def _try_later(untold: Untold, trouble: _Trouble) -> _NotToldError:
    if untold.status.tries + 1 < TRIES_MAX:
        return _NotToldError(trouble.sentence, max(_pause_s(untold), trouble.pause_s))
    again = f"`headway repo token {untold.repo.name}` tries again"
    return _NotToldError(f"{trouble.sentence}; it was given up after {TRIES_MAX} tries, {again}", None)


def _pause_s(untold: Untold) -> int:
    return int(min(_FIRST_PAUSE_S * 2**untold.status.tries, _PAUSE_S_MAX))


def statuses_of(untold: Untold, settings: Settings) -> dict[str, CommitStatus]:
    """What the forge shall know: of the run (under an empty name), and of each workflow where there are several.

    Nothing where a newer run of the same event speaks for the commit, or where no commit was ever found.
    """
    run = untold.run
    if untold.newer or not run.sha:
        return {}
    context = f"{settings.status_context}/{run.event}"
    url = settings.run_url(untold.repo.name, run.number)
    branch = _branch(store.trigger_of(run))
    found = {_RUN: CommitStatus(run.sha, run.state, context, _run_sentence(untold), url, branch)}
    workflows: dict[str, list[Job]] = {}
    for job in untold.jobs:
        workflows.setdefault(job.name, []).append(job)
    if len(workflows) > 1:
        for name, jobs in workflows.items():
            state = _state(jobs)
            found[name] = CommitStatus(run.sha, state, f"{context}/{name}", _sentence(state, jobs), url, branch)
    return found


def _branch(trigger: Trigger) -> str:
    """The branch that the commit is on: of a pull request its own, unless that is in another repository."""
    pull = trigger.pull_request
    if pull is not None:
        return "" if pull.from_fork else pull.source_branch
    return "" if trigger.event in {Event.TAG, Event.RELEASE} else trigger.branch


def _run_sentence(untold: Untold) -> str:
    run = untold.run
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
def reporting(engine: Engine, vault: Vault, settings: Settings) -> Iterator[threading.Thread]:
    """Tells the forges in a thread, the block's value: one that hangs keeps nothing else waiting.

    At its end the thread has a second to end too, before what it works with is closed. Nobody waits longer for a
    forge: what was on its way is told again by whoever is next.
    """
    stop = threading.Event()
    company = server_egress(os.environ, settings.ca_file, step_proxy=settings.step_proxy)
    work = (engine, vault, settings, company, stop)
    thread = threading.Thread(target=_go_on, args=work, name="reporter", daemon=True)
    thread.start()
    try:
        yield thread
    finally:
        stop.set()
        thread.join(_END_WITHIN_S)


def _go_on(
    engine: Engine, vault: Vault, settings: Settings, company: EgressSettings, stop: threading.Event
) -> None:  # fmt: skip
    with make_client(company) as client:
        reporter = Reporter(engine, vault, client, settings)
        while not stop.wait(_LOOK_EVERY_S):
            try:
                reporter.once()
            except SQLAlchemyError as error:
                _log.warning("the database does not answer; trying again", error=str(error))
            except Exception:  # noqa: BLE001 - one run must not keep all others from being told; it is held for minutes
                _log.exception("telling a forge broke")
