"""Pushes whose webhook did not come: the servers of repositories are asked for their branches and tags, in turn.

What changed is given some time, for its webhook may be on its way. A head that then has reached no run and no webhook
is reported, or its run is started. A webhook that comes after that gets this run (``workers.store.runs.heads``).
"""

import hashlib
import os
import re
import shlex
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from queue import Empty, SimpleQueue
from urllib.parse import urlsplit

import structlog
from sqlalchemy import Engine
from sqlalchemy.orm import Session

from pipelines.trigger import Trigger
from runner.errors import StepError
from runner.network.egress import server_egress
from runner.source.git.limited_git import GitLimits, NoAnswerError
from runner.source.git.server import TransientGitError
from runner.source.mirrors.heads import remote_tips
from workers import store
from workers.access.credentials import clone_login
from workers.db.delivery_states import DeliveryKind
from workers.db.models import Head, Repo
from workers.db.session import db_now_ms, reading, transaction
from workers.forges.triggers import Commit, push_trigger
from workers.secrets.vault import Vault, VaultError
from workers.settings import Settings
from workers.store import NewDelivery, Receipt
from workers.store.runs import heads
from workers.store.runs.heads import HeadState, Seen
from workers.streaming.redis_stream import LiveTail

MISSED_PUSHES_EVERY_S = 30.0
"""How often it looks whether a repository is due. Each is due every ``CHECK_EVERY_S``."""
CHECK_EVERY_S = 300.0
GRACE_S = 120.0
"""How long a webhook may take. So long a push is not missed."""
FAILURE_PAUSE_S_MAX = 3_600.0
REPOS_AT_ONCE = 100
SERVERS_AT_ONCE = 4
ANSWER_S_MAX = 20.0
ROUND_S_MAX = 120.0
OUTPUT_BYTES_MAX = 4 * 1024**2
RUNS_AT_ONCE = 20
"""Runs of one repository that one look starts or reports; the next look goes on."""

_SSH_HOST = re.compile(r"[^@/]+@([^:/]+):")
_log = structlog.get_logger()


@dataclass(frozen=True)
class MissedPushes:
    """Looks at the repositories that are due. ``notify`` wakes a worker for the job of a run that was started."""

    engine: Engine
    vault: Vault
    settings: Settings
    notify: Callable[[int], object]
    live: LiveTail
    grace_s: float = GRACE_S
    monotonic_s: Callable[[], float] = time.monotonic

    def __call__(self) -> str:
        """One round. What fails of one repository is stored with it, and delays no other."""
        off = self.settings.missed_pushes == "off"
        with reading(self.engine) as session:
            stale = heads.any_to_forget(session, only_inactive=not off)
            due = [] if off else list(heads.due_repos(session, REPOS_AT_ONCE))
        if stale:
            with transaction(self.engine) as session:
                heads.forget_heads(session, only_inactive=not off)
        if due:
            self._ask_servers(due)
        return ""

    def _ask_servers(self, due: list[Repo]) -> None:
        by_server: dict[str, list[Repo]] = {}
        for repo in due:
            by_server.setdefault(_server_of(repo.clone_url), []).append(repo)
        egress, deadline_s = self._git_environment(), self.monotonic_s() + ROUND_S_MAX
        _side_by_side(list(by_server.values()), lambda repos: self._ask_server(repos, egress, deadline_s))

    def _git_environment(self) -> Mapping[str, str]:
        company = server_egress(os.environ, self.settings.ca_file, step_proxy=self.settings.step_proxy)
        if company.ca:
            company.ca.write(self.settings.ca_dir)
        return company.git_environment(self.settings.ca_dir)

    def _ask_server(self, repos: list[Repo], egress: Mapping[str, str], deadline_s: float) -> None:
        """Asks for one repository after the other. If the server does not answer, the others wait for a later round."""
        for repo in repos:
            if self.monotonic_s() >= deadline_s:
                return
            try:
                seen = self._seen(repo, egress)
            except (TransientGitError, NoAnswerError) as error:
                self._note_failure(repo, str(error))
                return
            except (StepError, VaultError) as error:
                self._note_failure(repo, str(error))
            except Exception as error:  # noqa: BLE001 - whatever is wrong with one repository, the others are looked at
                self._note_failure(repo, f"{type(error).__name__}: {error}")
            else:
                self._compare(repo, seen)

    def _seen(self, repo: Repo, egress: Mapping[str, str]) -> list[Seen]:
        with reading(self.engine) as session:
            login = clone_login(session, self.vault, repo)
        limits = GitLimits(time.monotonic() + ANSWER_S_MAX, OUTPUT_BYTES_MAX)
        reaches_host = self.settings.steps_reach_host
        tips = remote_tips(repo.clone_url, login, egress, repo.name, limits, reaches_host=reaches_host)
        if len(tips) > heads.HEADS_MAX:
            raise ValueError(f"it has more than {heads.HEADS_MAX:,} branches and tags")
        return [Seen(ref, tip.sha, tip.commit) for ref, tip in tips.items()]

    def _note_failure(self, repo: Repo, problem: str) -> None:
        _log.info("missed pushes cannot be looked for", repo=repo.name, problem=problem)
        with transaction(self.engine) as session:
            if heads.lock_repo(session, repo.id) is not None:
                heads.note_failed_check(session, repo.id, problem, CHECK_EVERY_S, FAILURE_PAUSE_S_MAX)

    def _compare(self, asked: Repo, seen: list[Seen]) -> None:
        with transaction(self.engine) as session:
            repo = heads.lock_repo(session, asked.id)
            # It may have been removed, switched off or moved while its server was asked.
            if repo is None or not repo.active or repo.clone_url != asked.clone_url:
                return
            check = heads.check_of(session, repo.id)
            first_time = check is None or check.clone_url != repo.clone_url
            heads.remember_heads(session, repo.id, seen, first_time=first_time)
            still_open = heads.settle_reached(session, repo.id, heads.open_heads(session, repo.id))
            new = [head for head in still_open if head.state == HeadState.NEW.value]
            receipts = self._handle(session, repo, new)
            pause_s = min(self.grace_s, CHECK_EVERY_S) if len(receipts) < len(new) else CHECK_EVERY_S
            heads.note_check(session, repo.id, repo.clone_url, pause_s)
        for receipt in receipts:
            self._tell(receipt)

    def _handle(self, session: Session, repo: Repo, new: list[Head]) -> list[Receipt]:
        """Starts runs of heads that are missed, or reports these."""
        late_ms = db_now_ms(session) - int(self.grace_s * 1000)
        missed = [head for head in new if head.first_seen_ms <= late_ms][:RUNS_AT_ONCE]
        found = [(head, _delivery(head, repo, starts=self.settings.missed_pushes == "run")) for head in missed]
        recorded = [store.record_delivery(session, repo.id, delivery) for _, delivery in found]
        for head, receipt in zip(missed, recorded, strict=True):
            started = receipt.run_id is not None
            head.state, head.run_id = (HeadState.FOUND if started else HeadState.MISSED).value, receipt.run_id
            _log.warning("a push reached no run", repo=repo.name, ref=head.ref, sha=head.sha, run=receipt.run_number)
        if missed:
            store.bump_counter(session, heads.MISSED_PUSHES, len(missed))
        return recorded

    def _tell(self, receipt: Receipt) -> None:
        if receipt.job_id is not None and receipt.run_id is not None:
            self.notify(receipt.job_id)
            self.live.changed(receipt.run_id)
        for run_id in receipt.superseded:
            self.live.publish_cancel(run_id)


def _side_by_side(groups: list[list[Repo]], ask: Callable[[list[Repo]], None]) -> None:
    """Calls ``ask`` with each group, some at once. Raises what one of them raised, after the others."""
    waiting: SimpleQueue[list[Repo]] = SimpleQueue()
    for group in groups:
        waiting.put(group)
    failed: list[Exception] = []

    def work() -> None:
        with suppress(Empty):
            while True:
                group = waiting.get_nowait()
                try:
                    ask(group)
                except Exception as error:  # noqa: BLE001 - raised below, in the duty's own thread
                    failed.append(error)

    # Daemons: the scheduler must be able to stop while a server hangs.
    count = min(SERVERS_AT_ONCE, len(groups))
    threads = [threading.Thread(target=work, name="missed pushes", daemon=True) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for error in failed[:1]:
        raise error


def _delivery(head: Head, repo: Repo, *, starts: bool) -> NewDelivery:
    """The push as a webhook would have told it, as far as git knows. The worker reads the commit's message."""
    push = push_trigger(head.ref, head.commit_sha, head.previous_sha, Commit())
    if not isinstance(push, Trigger):
        return NewDelivery(_key_of(head), kind=DeliveryKind.FOUND, reason=push.reason, ref=head.ref, sha=head.sha)
    told = NewDelivery(
        _key_of(head), push.event.value, kind=DeliveryKind.FOUND, ref=head.ref, sha=head.commit_sha, trigger=push
    )
    what = f"--tag={shlex.quote(push.tag)}" if push.tag else f"--branch={shlex.quote(push.branch)}"
    hint = f"`headway repo check {repo.name}` tests the webhook, `headway trigger {repo.name} {what}` starts a run"
    return told if starts else replace(told, trigger=None, reason=f"No webhook came for this push. {hint}.")


def _key_of(head: Head) -> str:
    # Hashed: a ref's name is long. The time tells two pushes of the same commit apart.
    told = f"{head.ref}\0{head.sha}\0{head.first_seen_ms}"
    return "found-" + hashlib.sha256(told.encode(errors="replace")).hexdigest()


def _server_of(url: str) -> str:
    """The host that is asked. One that hangs delays the others of the same host alone."""
    if match := _SSH_HOST.match(url):
        return match[1].lower()
    try:
        return urlsplit(url).hostname or url
    except ValueError:
        return url
