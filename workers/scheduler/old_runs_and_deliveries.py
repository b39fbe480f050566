"""Removes runs, deliveries and payloads that are too old or too many, some at a time: no transaction takes long."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from sqlalchemy import Engine

from workers import store
from workers.back_off import BackOff
from workers.db.session import reading, transaction
from workers.logs import LogStore
from workers.retention_policy import RetentionPolicy
from workers.scheduler.old_logs_and_logins import delete_files, delete_logs_of
from workers.store.repos.retention import RepoRetention, policies
from workers.store.runs import expiry
from workers.store.runs.deliveries import drop_old_payloads

RUNS_LOOKED_AT = 500
RUNS_AT_ONCE = 20
DELIVERIES_AT_ONCE = 500
ROUND_S_MAX = 60.0
"""A duty of the scheduler returns now and then: what is left is for the next round."""


@dataclass
class Removed:
    """How much was removed, or would be; ``complete`` is false where there is more."""

    runs: int = 0
    deliveries: int = 0
    complete: bool = True


@dataclass
class OldRows:
    """What is removed by age and number, of all repositories. ``back_off`` has the runs whose files cannot be deleted.

    Between two transactions it pauses for as long as the last one took: other writers of SQLite get their turn.
    """

    engine: Engine
    logs: LogStore
    server: RetentionPolicy
    back_off: BackOff = field(default_factory=BackOff)
    round_s_max: float = ROUND_S_MAX
    monotonic_s: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep

    def remove(self) -> Removed:
        """One round, which ends after ``round_s_max``."""
        removed, deadline_s = Removed(), self.monotonic_s() + self.round_s_max
        for repo in self._repos():
            if repo.own and repo.policy.log_days:
                delete_logs_of(self.engine, self.logs, repo.policy.log_days, self.back_off, repo.repo_id)
            for part in (self._runs(repo, removed), self._deliveries(repo, removed)):
                for took_s in part:
                    if self.monotonic_s() >= deadline_s:
                        removed.complete = False
                        return removed
                    self.sleep(took_s)
        return removed

    def count(self) -> Removed:
        """How much ``remove`` would remove. Changes nothing."""
        found = Removed()
        for repo in self._repos():
            found.runs += sum(len(run_ids) for run_ids in self._expired(repo))
            with reading(self.engine) as session:
                found.deliveries += expiry.count_expired_deliveries(session, repo.repo_id, repo.policy)
        return found

    def _repos(self) -> Iterator[RepoRetention]:
        after = 0
        while True:
            with reading(self.engine) as session:
                found = policies(session, self.server, after)
            if not found:
                return
            yield from found
            after = found[-1].repo_id

    def _expired(self, repo: RepoRetention) -> Iterator[list[int]]:
        with reading(self.engine) as session:
            over = expiry.run_expiry(session, repo.repo_id, repo.last_number, repo.policy)
        after: int | None = 0
        while over is not None and after is not None:
            with reading(self.engine) as session:
                run_ids, after = expiry.expired_runs(session, over, repo.default_branch, after, RUNS_LOOKED_AT)
            yield list(run_ids)

    def _runs(self, repo: RepoRetention, removed: Removed) -> Iterator[float]:
        for run_ids in self._expired(repo):
            with reading(self.engine) as session:
                old = set(store.ran_before_blobs(session, run_ids))
            # Files of versions before the blob store have no rows: they go first.
            gone = [each for each in run_ids if each not in old or delete_files(self.logs, each, self.back_off)]
            for start in range(0, len(gone), RUNS_AT_ONCE):
                began_s = self.monotonic_s()
                with transaction(self.engine) as session:
                    removed.runs += expiry.remove_finished(session, gone[start : start + RUNS_AT_ONCE])
                yield self.monotonic_s() - began_s

    def _deliveries(self, repo: RepoRetention, removed: Removed) -> Iterator[float]:
        while True:
            with reading(self.engine) as session:
                found = expiry.expired_deliveries(session, repo.repo_id, repo.policy, DELIVERIES_AT_ONCE)
            if not found:
                return
            began_s = self.monotonic_s()
            with transaction(self.engine) as session:
                expiry.remove_deliveries(session, found)
            removed.deliveries += len(found)
            yield self.monotonic_s() - began_s


def delete_old_payloads(engine: Engine) -> None:
    """Deletes old payloads of deliveries, and those that are too many."""
    with transaction(engine) as session:
        drop_old_payloads(session)
