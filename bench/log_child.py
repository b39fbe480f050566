"""A worker's child process with one job that prints much: ``python -m bench.log_child LOUD QUIET BYTES``.

The way is the server's own: claim, mirror, plan, checkout, container, masking, log store, live tail, rows. What it took
is printed as one line of JSON. Settings come from the environment.
"""

import gc
import json
import secrets
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from pipelines.state import State
from pipelines.trigger import Event, Trigger
from workers import store
from workers.db.session import make_engine, reading, transaction, upgrade
from workers.jobs.context import WorkerContext
from workers.jobs.job_task import work
from workers.jobs.process.connections import make_context
from workers.secrets.vault import secret_place
from workers.settings import Settings, load_settings
from workers.startup import prepare_data_dir

SECRETS = 20
_RESET_PEAK = "5"


@dataclass(frozen=True)
class JobResult:
    """A run that has ended."""

    step_s: float
    job_s: float
    log_bytes: int
    log_lines: int


def main(loud: Path, quiet: Path, bytes_wanted: int) -> None:
    """Warms up, measures, prints."""
    settings = load_settings()
    prepare_data_dir(settings)
    _migrate(settings)
    context = make_context(settings)
    run(context, add_repo(context, quiet))
    repo_id = add_repo(context, loud)
    gc.collect()
    idle_kib = _status("VmRSS")
    Path("/proc/self/clear_refs").write_text(_RESET_PEAK)
    ran = run(context, repo_id)
    peak_kib = _status("VmHWM")
    if ran.log_bytes < bytes_wanted:
        raise SystemExit(f"only {ran.log_bytes} bytes of {bytes_wanted} are stored")
    print(json.dumps({"idle_kib": idle_kib, "peak_kib": peak_kib, **vars(ran)}))


def _migrate(settings: Settings) -> None:
    engine = make_engine(settings.database)
    upgrade(engine)
    engine.dispose()


def add_repo(context: WorkerContext, folder: Path) -> int:
    """A repository with as many secrets as the row says."""
    new = store.NewRepo(name=folder.name, clone_url=f"file://{folder}")
    with transaction(context.database) as session:
        repo_id = store.add_repo(session, new).id
        for number in range(SECRETS):
            name = f"secret_{number}"
            sealed = context.vault.seal(secret_place(repo_id, name), secrets.token_urlsafe(24))
            store.put_secret(session, repo_id, name, sealed)
    return repo_id


def run(context: WorkerContext, repo_id: int) -> JobResult:
    """One push of the repository, worked on to its end as a message from the queue would have it."""
    with reading(context.database) as session:
        repo = store.repo_by_id(session, repo_id)
    if repo is None:
        raise SystemExit("the repository is gone")
    head = ["git", "-C", repo.clone_url.removeprefix("file://"), "rev-parse", "HEAD"]
    sha = subprocess.run(head, check=True, capture_output=True, text=True).stdout.strip()
    trigger = Trigger(event=Event.PUSH, sha=sha, ref="refs/heads/main", branch="main")
    with transaction(context.database) as session:
        queued = store.queue_run(session, repo_id, trigger)
    started_s = time.perf_counter()
    work(context, queued.job_id)
    job_s = time.perf_counter() - started_s
    with reading(context.database) as session:
        found = store.run_by_id(session, queued.run_id)
        steps = store.steps_of_run(session, queued.run_id)
    if found is None or found.state is not State.PASSED or len(steps) != 1:
        raise SystemExit(f"the run did not pass: {found and found.sentence}")
    step = steps[0]
    if step.started_ms is None or step.finished_ms is None:
        raise SystemExit("the step has no times")
    return JobResult((step.finished_ms - step.started_ms) / 1000, job_s, step.log_bytes, step.log_lines)


def _status(name: str) -> int:
    """A field of this process's status, in KiB."""
    for line in Path("/proc/self/status").read_text().splitlines():
        key, _, value = line.partition(":")
        if key == name:
            return int(value.split()[0])
    raise SystemExit(f"the kernel does not tell {name}")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]))
