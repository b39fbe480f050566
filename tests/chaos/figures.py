"""Measures how long recovery takes, for docs/running/reliability.md: `.venv/bin/python -m tests.chaos.figures`."""

import os
import shutil
import signal
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from tests.chaos.__main__ import say
from tests.chaos.stack import LEASE_S, WORKERS, Stack, opened, running_stack
from tests.chaos.workload import REPO, Sent, Workload
from tests.e2e.stack import until
from workers import store
from workers.db.models import Job
from workers.db.session import reading
from workers.store.processes.workers import OWNER_MARK

TIMES = 3
EVERY_S = 0.02


class Measured:
    """One stack with PostgreSQL and a bucket."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self.workload = Workload(stack, "figures")

    def job(self, sent: Sent) -> Job | None:
        """The job of a run."""
        with opened(self.stack) as database, reading(database) as session:
            runs = [run for run, _ in store.recent_runs(session) if run.number in sent.runs]
            return store.jobs_of(session, runs[0].id)[0] if runs else None

    def running(self) -> Sent:
        """A run whose long step prints."""
        sent = self.workload.deliver("long")
        until("it is accepted", lambda: sent.runs)
        number = next(iter(sent.runs))

        def prints() -> bool:
            jobs = self.stack.site.api(f"/repos/{REPO}/runs/{number}").json["jobs"]
            return any(step["state"] == "running" for job in jobs for step in job["steps"])

        until("its step runs", prints)
        time.sleep(1)
        return sent

    def until_job(self, sent: Sent, check: Callable[[Job], bool]) -> float:
        """How long it takes until the job's row is so."""
        began_s = time.monotonic()
        until("the job goes on", lambda: (job := self.job(sent)) is not None and check(job), every_s=EVERY_S)
        return time.monotonic() - began_s

    def child_killed(self) -> float:
        """kill -9 of the process that runs a job, until another one of the machine has it."""
        sent = self.running()
        job = self.job(sent)
        assert job is not None
        part = next(each for each in self.stack.site.parts.values() if each.machine and each.machine.name == job.host)
        inside = int(job.lease_owner.rpartition(OWNER_MARK)[2].partition("-")[0])
        parts = [each for each in self.stack.site.parts.values() if each.machine is part.machine]
        os.kill(next(pid for each in parts for pid in each.pids if inside_id(pid) == inside), signal.SIGKILL)
        return self.until_job(sent, lambda job: job.takeovers > 0)

    def power_lost(self) -> float:
        """A machine loses its power, until the other one has its job."""
        sent = self.running()
        job = self.job(sent)
        assert job is not None
        machine = next(each for each in self.stack.machines if each.name == job.host)
        machine.lose_power()
        took_s = self.until_job(sent, lambda job: job.attempt > 1 and bool(job.lease_owner))
        machine.start()
        self._workers_again()
        return took_s

    def engine_gone(self) -> float:
        """kill -9 of an engine, until a worker has the job again."""
        sent = self.running()
        job = self.job(sent)
        assert job is not None
        machine = next(each for each in self.stack.machines if each.name == job.host)
        os.kill(machine.engine_process(), signal.SIGKILL)
        took_s = self.until_job(sent, lambda job: job.attempt > 1 and bool(job.lease_owner))
        until("the engine answers again", machine.answers)
        return took_s

    def redis_away(self) -> float:
        """A push while Redis is away, until its run starts after Redis is back."""
        self.stack.redis.stop(signal.SIGKILL)
        sent = self.workload.deliver("pass")
        until("it is accepted", lambda: sent.runs)
        time.sleep(2)
        self.stack.redis.start()
        return self.until_job(sent, lambda job: job.started_ms is not None)

    def _workers_again(self) -> None:
        for name in WORKERS:
            part = self.stack.site.parts[name]
            if not part.pids:
                part.kill()
            part.start()
        until("all workers are there", lambda: self.stack.site.workers() == len(WORKERS))


def inside_id(pid: int) -> int:
    """The id that a process has on its machine."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0
    return int(next(line for line in status.splitlines() if line.startswith("NSpid:")).split()[-1])


def main() -> None:
    """Prints a table: the median and the longest of some tries."""
    folder = Path(tempfile.mkdtemp(prefix="headway-figures-", dir="/var/tmp"))
    with running_stack(folder / "stack", postgres=True) as stack:
        measured = Measured(stack)
        rows: dict[str, Callable[[], float]] = {
            "kill -9 of a job's process: the same machine goes on": measured.child_killed,
            f"a machine without power, lease {LEASE_S} s: another one starts the job": measured.power_lost,
            "kill -9 of an engine: a worker starts the job again": measured.engine_gone,
            "a push while Redis is away: starts after its return": measured.redis_away,
        }
        for name, measure in rows.items():
            took_s = [measure() for _ in range(TIMES)]
            say(f"{name:75} {statistics.median(took_s):6.2f} s   longest {max(took_s):6.2f} s")
        measured.workload.stop()
    shutil.rmtree(folder)


if __name__ == "__main__":
    main()
