"""A machine with workers that share a data directory, and a repository: for tests that kill processes."""

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pydantic import SecretStr
from sqlalchemy import Engine

from runner.docker import client
from runner.docker.containers.specs import JOB_LABEL, STEP_LABEL
from runner.events import Stream
from tests.support.builders import push
from tests.support.repos import Repo
from tests.support.services import TEST_KEY, RedisServer, eventually
from workers import store
from workers.db.models import Job, Run, Step
from workers.db.session import make_engine, reading, transaction
from workers.jobs.leftovers import job_key
from workers.logs import open_logs
from workers.queue.celery_app import make_celery
from workers.queue.wakeups import Notifier
from workers.secrets.vault import open_vault, secret_place
from workers.settings import Settings
from workers.store.processes.workers import OWNER_MARK

PATIENCE_S = 60


class Machine:
    """May be used from several threads, but for ``start``, ``stop`` and ``kill_all``."""

    def __init__(self, settings: Settings, database: Engine, folder: Path, engine: client.Engine) -> None:
        self.settings, self.database, self.folder, self.engine = settings, database, folder, engine
        self._notifier = Notifier(make_celery(settings))
        self._workers: list[subprocess.Popen[bytes]] = []
        self._repos = 0

    @property
    def worker_log(self) -> str:
        """What the workers have said."""
        return (self.folder / "worker.log").read_text(errors="replace")

    def start(self, *, slots: int = 8) -> None:
        """Starts a worker, and waits until it is ready."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith("HEADWAY_")}
        own = {
            "HEADWAY_DATA_DIR": str(self.settings.data_dir),
            "HEADWAY_DATABASE_URL": self.settings.database_url,
            "HEADWAY_REDIS_URL": self.settings.redis_url,
            "HEADWAY_SECRET_KEYS": self.settings.secret_keys.get_secret_value(),
            "HEADWAY_GRACE_S": "1",
            "HEADWAY_SHUTDOWN_S": "1",
            "HEADWAY_WORKER_SLOTS": str(slots),
            "HEADWAY_STEPS_REACH_HOST": "true",  # other tests change the host's rules
            "HEADWAY_BUILDS_REACH_HOST": "true",
        }
        command = [str(Path(sys.executable).with_name("headway")), "worker"]
        with (self.folder / "worker.log").open("ab") as out:
            worker = subprocess.Popen(
                command, env=kept | own, stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True
            )
        self._workers.append(worker)

    def stop(self) -> list[int]:
        """Stops all workers with TERM, and returns their exit statuses."""
        for worker in self._workers:
            worker.terminate()
        statuses = [worker.wait(PATIENCE_S) for worker in self._workers]
        self._workers.clear()
        return statuses

    def kill_all(self) -> None:
        """Kills (-9) all processes of all workers."""
        for worker in self._workers:
            os.killpg(worker.pid, signal.SIGKILL)
            worker.wait(PATIENCE_S)
        self._workers.clear()

    def clean(self) -> None:
        """Removes what runs of tests that failed have left in the engine."""
        with reading(self.database) as session:
            start = f"{store.counters(session)['installation']:08x}-"
        for found in self.engine.containers_labelled(JOB_LABEL):
            if found["Labels"][JOB_LABEL].startswith(start):
                self.engine.remove(found["Id"])
        for network in self.engine.networks_labelled(JOB_LABEL):
            if network["Labels"][JOB_LABEL].startswith(start):
                self.engine.remove_network(network["Id"])

    def push(
        self, pipeline: str, files: dict[str, str] | None = None, secrets: dict[str, str] | None = None
    ) -> "Pushed":
        """Pushes to a new repository, and returns its run."""
        self._repos += 1
        name = f"acme/roof{self._repos}"
        repo = Repo(self.folder / f"{name.replace('/', '-')}.git")
        sha = repo.commit({".headway.yml": pipeline, **(files or {})})
        with transaction(self.database) as session:
            repo_id = store.add_repo(session, store.NewRepo(name, repo.url)).id
            queued = store.queue_run(session, repo_id, push(sha=sha))
        pushed = Pushed(self, repo_id, queued.run_id, queued.job_id)
        for secret, value in (secrets or {}).items():
            pushed.set_secret(secret, value)
        self._notifier.notify(queued.job_id)
        return pushed


class Pushed:
    """A run with one job."""

    def __init__(self, machine: Machine, repo_id: int, run_id: int, job_id: int) -> None:
        self.machine, self.repo_id, self.id, self.job_id = machine, repo_id, run_id, job_id

    def set_secret(self, name: str, value: str) -> None:
        """Sets a secret of the run's repository."""
        with transaction(self.machine.database) as session:
            sealed = open_vault(self.machine.settings).seal(secret_place(self.repo_id, name), value)
            store.put_secret(session, self.repo_id, name, sealed)

    def change_lock(self, **changes: int) -> None:
        """Changes the file of the running job, whose process has died."""
        (path,) = self.machine.settings.running_dir.glob(f"*-{self.job.key}-*")
        path.write_text(json.dumps(json.loads(path.read_text()) | changes))

    @property
    def run(self) -> Run:
        """The run's row."""
        with reading(self.machine.database) as session:
            return session.get_one(Run, self.id)

    @property
    def job(self) -> Job:
        """The job's row."""
        with reading(self.machine.database) as session:
            return session.get_one(Job, self.job_id)

    @property
    def attempts(self) -> tuple[int, int, int]:
        """How often the job was started, taken over, and lost."""
        return self.job.origin, self.job.takeovers, self.job.lost

    def step(self, name: str) -> Step | None:
        """A step's row, once it is planned."""
        with reading(self.machine.database) as session:
            return next((step for step in store.steps_of_run(session, self.id) if step.name == name), None)

    def log(self, name: str, *streams: Stream) -> bytes:
        """What is stored of a step's output, of these streams or of all."""
        step = self.step(name)
        if step is None:
            return b""
        logs = open_logs(self.machine.settings, self.machine.database)
        with logs.open(self.id, step.job_id, step.number, step.attempt) as reader:
            data, chunks = reader.read(0, 10**8), list(reader.chunks(0, 10**8))
        ends = [*(chunk.offset for chunk in chunks[1:]), len(data)]
        parts = zip(chunks, ends, strict=False)  # no chunk has an end where there is no output
        return b"".join(data[chunk.offset : end] for chunk, end in parts if chunk.stream in (streams or tuple(Stream)))

    def said(self, name: str, words: bytes) -> None:
        """Waits until the stored log of a step has these words."""

        def look() -> bool:
            run = self.run
            found = words in self.log(name)
            assert found or not run.state.final, (run.sentence, self.log(name))
            return found

        eventually(look, PATIENCE_S)

    def began(self, name: str) -> None:
        """Waits until a step runs."""
        eventually(lambda: (step := self.step(name)) is not None and step.started_ms is not None, PATIENCE_S)

    def kill(self) -> None:
        """Kills (-9) the process that runs the job."""
        os.kill(int(self.job.lease_owner.rpartition(OWNER_MARK)[2].partition("-")[0]), signal.SIGKILL)

    def let_go_on(self, *files: str) -> None:
        """Makes files in the job's checkout, for which its steps wait."""
        folder = f"*-{self.job.key}-{self.job.origin}/workspace/src"
        (checkout,) = eventually(lambda: list(self.machine.settings.workspaces_dir.glob(folder)), PATIENCE_S)
        for file in files:
            (checkout / file).touch()

    def taken_over(self, times: int = 1) -> None:
        """Waits until another process has the job, or it has ended."""
        eventually(lambda: self.job.takeovers >= times or self.job.state.final, PATIENCE_S)

    def starts_over(self) -> None:
        """Waits for the job's second attempt."""
        eventually(lambda: self.job.origin == 2, PATIENCE_S)

    def ended(self) -> Run:
        """Waits for the end of the run, and returns it."""
        return eventually(lambda: run if (run := self.run).state.final else None, PATIENCE_S)

    def containers(self, step: int | None = None) -> list[str]:
        """The ids of the job's containers in the engine; those of one step, or all."""
        with reading(self.machine.database) as session:
            key = job_key(f"{store.counters(session)['installation']:08x}", self.job.key)
        found = self.machine.engine.containers_labelled(f"{JOB_LABEL}={key}")
        return [each["Id"] for each in found if step is None or each["Labels"].get(STEP_LABEL) == str(step)]


@contextmanager
def machine_in(folder: Path, sqlite_template: Path, engine: client.Engine, slots: int = 8) -> Iterator[Machine]:
    """A machine with a Redis and a database of its own in the folder, until the end of the block."""
    redis = RedisServer()
    redis.start()
    url = f"sqlite:///{shutil.copy(sqlite_template, folder / 'headway.db')}"
    settings = Settings(
        data_dir=folder / "data", database_url=url, redis_url=redis.url, secret_keys=SecretStr(TEST_KEY)
    )
    settings.data_dir.mkdir()
    database = make_engine(url)
    machine = Machine(settings, database, folder, engine)
    machine.start(slots=slots)
    try:
        yield machine
    finally:
        machine.stop()
        machine.clean()
        database.dispose()
        redis.remove()
