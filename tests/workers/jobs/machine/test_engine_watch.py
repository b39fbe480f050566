"""Whether a worker's engine can run jobs, by an engine at the far end of a socket."""

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from pipelines.state import Reason
from runner.docker.client import Engine
from runner.errors import MachineError
from tests.support.fake_engine import DOCKER, FakeEngine, fake_engine
from tests.support.services import eventually
from workers.jobs.machine.engine_watch import ANSWER_S_MAX, EngineWatch
from workers.jobs.machine.shared_flag import SharedFlag

AWAY = (503, "the engine restarts")


@dataclass
class Watched:
    """An engine, and what its watch finds. ``proofs`` counts trials; they fail with ``fault``."""

    server: FakeEngine
    engine: Engine
    proofs: int = 0
    fault: Exception | None = None
    now_s: float = 0.0
    suspected: SharedFlag = field(default_factory=SharedFlag)

    def watch(self) -> EngineWatch:
        return EngineWatch(lambda: self.engine, self.prove, self.suspected, lambda: self.now_s)

    def prove(self) -> None:
        self.proofs += 1
        if self.fault:
            raise self.fault


@pytest.fixture
def watched(tmp_path: Path) -> Iterator[Watched]:
    with fake_engine(tmp_path, DOCKER, _ping="OK") as server:
        engine = Engine(server.host)
        yield Watched(server, engine)
        engine.close()


def test_an_engine_that_answers_is_no_problem_and_one_that_cannot_is_one_until_it_can(watched: Watched) -> None:
    watch = watched.watch()
    assert (watch.problem(), watch.look(), watched.proofs) == ("", "", 0)
    watched.server.next_answers = [AWAY]
    found = watch.look()
    assert found.startswith("The Docker Engine at unix://")
    assert found.endswith(" says 503: the engine restarts.")
    assert watch.problem() == found
    assert (watch.look(), watch.problem()) == ("", "")


def test_an_engine_that_is_not_there_is_a_problem(watched: Watched) -> None:
    def none() -> Engine:
        raise MachineError(Reason.ENGINE_GONE, "no Docker Engine answers at unix:///none: start it")

    watch = EngineWatch(none, watched.prove)
    assert watch.look() == "No Docker Engine answers at unix:///none: start it."


@pytest.mark.parametrize(
    "fault", [MachineError(Reason.INTERNAL, "the Docker Engine said: no"), OSError(5, "I/O error")]
)
def test_after_a_fault_the_engine_must_prove_itself_to_all_processes_of_the_worker(
    watched: Watched, fault: Exception
) -> None:
    one, other = watched.watch(), watched.watch()
    one.suspect()
    watched.fault = fault
    assert one.look()
    assert other.look() == one.problem()
    assert watched.proofs == 2
    watched.fault = None
    assert (one.look(), other.look(), watched.proofs) == ("", "", 3)


@pytest.mark.parametrize(("waits_s", "problem"), [(ANSWER_S_MAX, ""), (ANSWER_S_MAX + 1, "has not answered for 6 s")])
def test_an_engine_that_hangs_is_a_problem_before_it_answers(watched: Watched, waits_s: float, problem: str) -> None:
    asked, go_on = threading.Event(), threading.Event()

    def hang() -> Engine:
        asked.set()
        go_on.wait(30)
        return watched.engine

    watch = EngineWatch(hang, watched.prove, None, lambda: watched.now_s)
    looking = threading.Thread(target=watch.look)
    looking.start()
    assert asked.wait(30)
    watched.now_s += waits_s
    assert problem in watch.problem() if problem else watch.problem() == ""
    go_on.set()
    looking.join(30)
    assert watch.problem() == ""


def test_it_looks_by_itself(watched: Watched) -> None:
    watched.server.next_answers = [AWAY]
    watch = watched.watch()
    watch.start()
    eventually(watch.problem)
    eventually(lambda: not watch.problem())
