"""The engine goes away in mid-work: the job ends as broken, nothing hangs, and a later attempt sweeps up."""

import gc
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from pipelines.plan import Step
from pipelines.state import Reason, State
from pipelines.step_options.ready import CommandCheck
from runner.docker.client import Engine
from runner.errors import MachineError
from runner.events import Event, StepOutput
from tests.support.engine import JobRunner, eventually, in_thread, when_said
from tests.support.engine_proxy import EngineProxy
from tests.support.job_result import JobResult
from tests.support.plans import build, container, plugin, secrets_hex, service, shell
from tests.support.remote_engine import socket_of

# The SDK leaves sockets to the garbage collector when their engine goes away.
pytestmark = [pytest.mark.engine, pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")]


@pytest.fixture(autouse=True)
def collect_garbage() -> Iterator[None]:
    yield
    gc.collect()


@pytest.fixture
def proxy(ran: JobRunner, tmp_path: Path) -> Iterator[EngineProxy]:
    made = EngineProxy(tmp_path, socket_of(ran.engine))
    yield made
    made.close()


@pytest.fixture
def far(proxy: EngineProxy) -> Iterator[Engine]:
    """The engine, as seen through the proxy."""
    engine = Engine(proxy.host)
    yield engine
    engine.close()


def run_and_lose(
    ran: JobRunner, far: Engine, *steps: Step, on_event: Callable[[Event], None] | None = None, **more: Any
) -> JobResult:
    """Runs a job whose engine goes away; then a second attempt, which finds the engine back, sweeps up."""
    lost = ran.new(on_event)
    with suppress(MachineError):
        ran(*steps, engine=far, key=lost.key, on_event=on_event, **more)
    job = ran.jobs[-1]

    def nothing_is_left() -> bool:
        # More than once: what was asked of the engine before the line was cut may be done only now.
        ran(key=lost.key, attempt=2)
        return ran.left() == []

    eventually(nothing_is_left)
    return job


def test_without_an_engine_the_sentence_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(MachineError) as gone:
        Engine(f"unix://{tmp_path}/none.sock")
    assert gone.value.reason is Reason.ENGINE_GONE
    assert f"no Docker Engine answers at unix://{tmp_path}/none.sock" in str(gone.value)
    assert "start it" in str(gone.value)


def test_the_engine_goes_away_in_mid_step(ran: JobRunner, far: Engine, proxy: EngineProxy) -> None:
    job = run_and_lose(ran, far, shell("echo up", "sleep 1000"), shell("true"), on_event=when_said(b"up", proxy.cut))
    assert (job.step(1).state, job.step(1).reason) == (State.BROKEN, Reason.ENGINE_GONE)
    assert "went away" in job.step(1).message
    assert job.step(2).state is State.SKIPPED
    assert job.outcome.state is State.BROKEN
    assert job.said() == ["up"]


def test_the_engine_goes_away_under_a_plugin(ran: JobRunner, far: Engine, proxy: EngineProxy) -> None:
    box = container(entrypoint=("sh", "-c", "echo; echo up; sleep 1000"))
    job = run_and_lose(ran, far, plugin(box), on_event=when_said(b"up", proxy.cut))
    assert (job.step(1).state, job.step(1).reason) == (State.BROKEN, Reason.ENGINE_GONE)


def test_only_the_streams_are_cut_and_the_step_is_not_taken_for_passed(ran: JobRunner, proxy: EngineProxy) -> None:
    far = Engine(proxy.host)
    job = ran(
        shell("echo up", "sleep 1", "echo never seen"), engine=far, on_event=when_said(b"up", proxy.cut_streams)
    )  # fmt: skip
    far.close()
    assert (job.step(1).state, job.step(1).reason) == (State.BROKEN, Reason.ENGINE_GONE)
    assert "broke off" in job.step(1).message


def test_the_engine_goes_away_in_mid_build(ran: JobRunner, far: Engine, proxy: EngineProxy) -> None:
    def listen(event: Event) -> None:
        if isinstance(event, StepOutput) and b" begun" in event.data and b"RUN" not in event.data:
            proxy.cut()

    files = {"Dockerfile": f"FROM busybox\nRUN echo begun {secrets_hex()}; sleep 1000\n"}
    job = run_and_lose(ran, far, build(), files=files, on_event=listen)
    assert job.step(1).reason is Reason.ENGINE_GONE, job.everything()
    assert job.step(1).state is State.BROKEN


def test_the_engine_goes_away_between_two_steps(ran: JobRunner, far: Engine, proxy: EngineProxy) -> None:
    seen = []

    def listen(event: Event) -> None:
        seen.append(type(event).__name__)
        if seen.count("StepStarted") == 2:
            proxy.cut()

    job = run_and_lose(ran, far, shell("true"), shell("true"), shell("true"), on_event=listen)
    assert job.states == [State.PASSED, State.BROKEN, State.SKIPPED]
    assert job.outcome.reason is Reason.ENGINE_GONE


def test_the_engine_goes_away_while_a_service_gets_ready(ran: JobRunner, far: Engine, proxy: EngineProxy) -> None:
    asked: list[bool] = []

    def lay_out(target: Path) -> None:
        target.mkdir(parents=True)
        target.chmod(0o777)

        def cut_when_checked() -> None:
            asked.append(eventually((target / "asked").exists))
            proxy.cut()

        in_thread(cut_when_checked)

    slow = service("db", "sleep 1000", ready=CommandCheck(command="touch /headway/src/asked; false"))
    job = run_and_lose(ran, far, shell("true"), services=[slow], files=lay_out)
    assert (job.outcome.state, job.outcome.reason) == (State.BROKEN, Reason.ENGINE_GONE)
    assert job.states == [State.SKIPPED]


def test_the_engine_is_gone_before_the_job_begins(ran: JobRunner, far: Engine, proxy: EngineProxy) -> None:
    proxy.cut()
    job = ran(shell("true"), engine=far)
    assert (job.outcome.state, job.outcome.reason) == (State.BROKEN, Reason.ENGINE_GONE)
    assert not job.folder.exists()
