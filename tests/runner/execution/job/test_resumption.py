"""A job goes on from what a process that died has left, at each moment around the start of a step's commands."""

import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from pipelines.plan import CommandsStep, JobPlan
from pipelines.state import State
from pipelines.step_options.caches import Cache, CacheFolder
from pipelines.step_options.secret_files import SecretFile
from runner.caches.job_caches import CacheAccess
from runner.caches.keys import KeyResolver
from runner.caches.store import CacheStore
from runner.caches.trimming import stored_versions, trim
from runner.cancellation import Cancel
from runner.cleanup.folder_removal import remove_tree
from runner.cleanup.leftovers import JobLeftovers, find_leftovers, remove_leftovers
from runner.docker.containers.specs import JOB_LABEL, ContainerSpec
from runner.events import Stream
from runner.execution.container import gate, step_container
from runner.execution.container.container_spec import container_spec
from runner.execution.container.script import script_of
from runner.execution.container.secret_files import secret_files_input, with_secret_files
from runner.execution.container.step_container import StartedContainer
from runner.execution.job.job import JOURNAL, Assignment, Job
from runner.execution.job.journal import OpenedContainer, boot_id, read_journal
from runner.execution.job.resumption import Resumption, StoredOutput, obstacle
from runner.execution.job_lifecycle import open_job, run_job
from tests.support.engine import JobRunner, eventually
from tests.support.job_result import JobResult
from tests.support.plans import container, numbered, shell

pytestmark = pytest.mark.engine

SAYS = shell("echo one", "echo two >&2", "exit 9")
FILE = SecretFile(secret="key", path="/run/secrets/key")
SECRETS = {"key": "first line\nsecond line\n"}
READS = shell('[ "$(wc -l < /run/secrets/key)" = 2 ] && echo whole', "exit 9", secret_files=(FILE,))


class Abandoned:
    """A job whose process has started the container of its one step, and then died."""

    def __init__(
        self, ran: JobRunner, on_exit: ExitStack, step: CommandsStep = SAYS, caches: CacheAccess | None = None
    ) -> None:
        self._ran, self.result = ran, ran.new()
        (self.step,) = numbered([step])
        self.plan = JobPlan(name="test", file=".headway.yml", number=1, steps=(self.step,))
        self.assignment = Assignment(
            self.plan, self.result.key, 1, self.result.folder, Path.mkdir, options=ran.options, journaled=True,
            caches=caches, secrets=SECRETS if step.secret_files else {},
        )  # fmt: skip
        self._on_exit = on_exit
        self.job = self._open(self.assignment, JobResult(self.result.key, self.result.folder))
        self.job.source.mkdir(parents=True)
        self.job.caches.prepare(self.plan.steps, KeyResolver(self.job.checkout, self.job.check))
        assert isinstance(self.step, CommandsStep)
        self.started = step_container.start(self.job, self.step, self.job.image_of(self.step, lambda _: None))
        self.job.journal.prepared(self.job.owner.state)

    def _open(self, assignment: Assignment, emit: JobResult) -> Job:
        cancel = Cancel()
        self._on_exit.callback(cancel.close)
        opened = open_job(assignment, self._ran.engine, lambda: self._ran.builder, emit, cancel, lambda _: None)
        return self._on_exit.enter_context(opened)

    def opens(self, part: float) -> StartedContainer:
        """The process opens the gate, sends this part, and dies. The engine may lose what it had not read."""
        started = self.opens_and_lives(part)
        started.stream.close()
        return started

    def opens_and_lives(self, part: float = 1) -> StartedContainer:
        started = self.started
        opened = OpenedContainer(started.container, started.token, started.user, started.image, time.time())
        self.job.journal.opened(1, opened, self.job.owner.state)
        assert isinstance(self.step, CommandsStep)
        script = gate.gate_input(started.token, script_of(self.step.commands, "", {}, started.restore))
        script = secret_files_input(self.job, self.step) + script
        started.stream.send(script[: int(len(script) * part)])
        return started

    def starts_without_all(self, part: float) -> None:
        """The process starts another container without a gate, sends this part of the files, and dies."""
        engine, data = self._ran.engine, secret_files_input(self.job, self.step)  # type: ignore[arg-type]
        image = self.started.image
        base = ContainerSpec(
            image,
            self.job.labels(1),
            self.job.network.ensure(),
            entrypoint=self.step.container.entrypoint,  # type: ignore[union-attr]
        )
        token = gate.new_token()
        spec = container_spec(self.job, self.step.container, base, token)  # type: ignore[union-attr]
        made = engine.create(with_secret_files(self.step, spec))  # type: ignore[arg-type]
        stream = engine.attach(made)
        self.job.journal.opened(1, OpenedContainer(made, "", 0, image, time.time(), token), self.job.owner.state)
        engine.start(made)
        stream.send(data[: int(len(data) * part)])
        stream.close()

    @property
    def left(self) -> Resumption:
        history = read_journal(self.result.folder / JOURNAL)
        assert history is not None
        return Resumption(history, {}, {1: StoredOutput()}, "it goes on")

    @property
    def obstacle(self) -> str:
        return obstacle(self._ran.engine, self.result.key, self.plan, self.result.folder, self.left)

    def goes_on(self) -> JobResult:
        """Another process goes on with the job, to its end."""
        job = self._open(replace(self.assignment, resumption=self.left), self.result)
        self.result.outcome = run_job(job)
        return self.result

    def has_ended(self) -> bool:
        state = self._ran.engine.inspect(self.started.container)
        return state is not None and not state["State"]["Running"]


@pytest.fixture
def abandoned(ran: JobRunner) -> Iterator[Callable[..., Abandoned]]:
    with ExitStack() as on_exit:
        yield lambda *step: Abandoned(ran, on_exit, *step)


@pytest.mark.parametrize("part", [0, 0.5, 1])
def test_the_commands_run_once_wherever_the_process_died(abandoned: Callable[..., Abandoned], part: float) -> None:
    job = abandoned()
    job.opens(part)
    assert job.obstacle == ""
    result = job.goes_on()
    assert (result.outcome.state, result.step().exit_code) == (State.FAILED, 9)
    assert result.log(1, Stream.STDOUT).splitlines()[:2] == [b"+ echo one", b"one"]
    assert result.log(1, Stream.STDERR) == b"two\n"
    assert "it goes on" in result.notes


@pytest.mark.parametrize("part", [0, 0.1, 0.4, 1])
def test_files_of_secrets_are_whole_wherever_the_process_died(abandoned: Callable[..., Abandoned], part: float) -> None:
    job = abandoned(READS)
    job.opens(part)
    journal = (job.result.folder / JOURNAL).read_text()
    assert job.obstacle == ""
    result = job.goes_on()
    assert result.step().exit_code == 9
    assert result.log(1, Stream.STDOUT).splitlines()[1:2] == [b"whole"]
    assert "first line" not in journal


@pytest.mark.parametrize("part", [0, 0.5, 1])
def test_so_are_those_of_a_step_with_an_entrypoint_of_its_own(
    ran: JobRunner, abandoned: Callable[..., Abandoned], part: float
) -> None:  # fmt: skip
    own = container(entrypoint=("sh", "-c", "wc -l < /run/secrets/key; exit 9"))
    started = shell("x", box=own, secret_files=(FILE,))
    job = abandoned(started)
    step_container.discard(job.job, job.started)
    job.starts_without_all(part)
    result = job.goes_on()
    assert result.step().exit_code == 9
    assert result.log(1, Stream.STDOUT).splitlines() == [b"2"]


def test_a_container_that_waited_for_its_turn_is_not_used(abandoned: Callable[..., Abandoned]) -> None:
    job = abandoned()
    job.started.stream.close()
    result = job.goes_on()
    assert result.step().exit_code == 9
    assert result.log(1, Stream.STDERR) == b"two\n"


def test_a_step_that_has_ended_meanwhile_keeps_its_verdict(abandoned: Callable[..., Abandoned]) -> None:
    job = abandoned()
    started = job.opens_and_lives()
    eventually(job.has_ended)
    started.stream.close()
    assert job.obstacle == ""
    assert job.goes_on().step().exit_code == 9


def test_it_cannot_go_on_where_it_is_not_known_how_the_commands_ended(
    ran: JobRunner, abandoned: Callable[..., Abandoned]
) -> None:
    job = abandoned(shell("echo up", "sleep 1000"))
    started = job.opens_and_lives()
    container = started.container
    eventually(lambda: b"up" in ran.engine.logs(container, 5))
    started.stream.close()
    assert job.obstacle == ""
    ran.engine.kill(container, "SIGKILL")
    eventually(job.has_ended)
    assert job.obstacle == "the container of its step 1 was ended from outside of the step"
    ran.engine.remove(container)
    assert job.obstacle == "the container of its step 1 is gone"


def test_a_job_needs_its_workspace_network_services_and_images(
    ran: JobRunner, abandoned: Callable[..., Abandoned]
) -> None:
    job = abandoned()
    job.job.journal.built(1, f"sha256:{'0' * 64}")
    assert job.obstacle == "the image that its step 1 built is gone"
    job.job.journal.service("db", "0" * 64)
    assert job.obstacle == "the container of its service 'db' is gone"
    (job.result.folder / "workspace").rename(job.result.folder / "elsewhere")
    assert job.obstacle == "its workspace is gone"
    step_container.discard(job.job, job.started)


def test_a_job_that_died_before_its_first_container_makes_its_network(
    ran: JobRunner, abandoned: Callable[..., Abandoned]
) -> None:
    job = abandoned()
    step_container.discard(job.job, job.started)
    eventually(lambda: ran.engine.inspect(job.started.container) is None)
    job.job.network.close()
    assert job.obstacle == ""
    assert job.goes_on().step().exit_code == 9


def test_a_job_whose_container_has_lost_its_network_starts_over(
    ran: JobRunner, abandoned: Callable[..., Abandoned]
) -> None:
    job = abandoned(shell("sleep 1000"))
    container = job.opens(1).container
    assert job.obstacle == ""
    (network,) = ran.engine.networks_labelled(f"{JOB_LABEL}={job.result.key}")
    subprocess.run(["docker", "network", "disconnect", "-f", network["Id"], container], check=True)
    job.job.network.close()
    assert job.obstacle == "its network is gone"
    step_container.discard(job.job, job.started)


def test_a_step_with_a_cache_goes_on_and_keeps_what_it_wrote(
    abandoned: Callable[..., Abandoned], ran: JobRunner, tmp_path: Path
) -> None:
    caches = CacheAccess(CacheStore(tmp_path / "caches", boot_id()), "repo")
    cache = Cache(name="c", key=("k",), folders=(CacheFolder(path="/data"),))
    ran(shell("echo one > /data/a", caches=(cache,)), caches=caches)
    job = abandoned(shell("cat /data/a", "echo two > /data/b", caches=(cache,)), caches)
    started = job.opens_and_lives()
    eventually(job.has_ended)
    started.stream.close()
    result = job.goes_on()
    assert result.outcome.state is State.PASSED
    assert result.log(1, Stream.NOTE).startswith(b"headway: cache c: kept as k (")
    (stored,) = stored_versions(caches.store)
    names = sorted(path.name for path in caches.store.layers.glob("*/0/*"))
    assert (len(stored.version.layers), names) == (2, ["a", "b"])


def test_a_job_that_nothing_goes_on_with_leaves_no_half_version(
    abandoned: Callable[..., Abandoned], ran: JobRunner, tmp_path: Path
) -> None:
    store = CacheStore(tmp_path / "caches", boot_id())
    cache = Cache(name="c", key=("k",), folders=(CacheFolder(path="/data"),))
    job = abandoned(shell("echo half > /data/a", caches=(cache,)), CacheAccess(store, "repo"))
    started = job.opens_and_lives()
    eventually(job.has_ended)
    started.stream.close()
    remove_leftovers(ran.engine, find_leftovers(ran.engine, JobLeftovers(job.result.key, job.result.folder)))
    trim(store, 0)
    store.remove_gone(partial(remove_tree, ran.engine))
    assert stored_versions(store) == []
    assert [list(folder.iterdir()) for folder in (store.views, store.layers, store.gone)] == [[], [], []]
