"""A worker's process is killed while a step runs again, or with a service in the image just built: another goes on."""

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest

from pipelines.state import State
from runner.docker.client import Engine
from runner.events import Stream
from tests.support.machine import Machine, Pushed, machine_in

pytestmark = [pytest.mark.engine, pytest.mark.stress]

WAIT = "while ! test -e $CI_WORKSPACE/go; do sleep 0.1; done"
AGAIN = """skip_clone: true
steps:
  - name: work
    image: busybox
    retry: {attempts: 1, backoff: PAUSE}
    commands:
      - if mkdir tried; then echo first; touch /fresh; exit 9; fi
      - test ! -e /fresh
      - echo begun; GATE
      - echo second
"""
SERVED = """services:
  web: {image: {build: image}, commands: ['while true; do nc -l -p 5432 < /made; done'], ready: {port: 5432}}
steps:
  - {name: image, build: {context: ., network: none}}
  - {name: work, commands: [echo begun, WAIT, 'until nc -w 3 web 5432 < /dev/null | grep made; do sleep 0.2; done']}
""".replace("WAIT", WAIT)
PLUGIN = """skip_clone: true
steps:
  - {name: work, image: busybox, entrypoint: [sh, -c, 'echo begun; WAIT; echo end'], commands: [unused]}
""".replace("WAIT", WAIT)
SCENARIOS = {
    "in attempt 2": (AGAIN.replace("PAUSE", "1s").replace("GATE", WAIT), b"begun"),
    "in the back-off": (AGAIN.replace("PAUSE", "10s").replace("GATE", "true"), b"the next one begins in 10 s"),
    "service in the image": (SERVED, b"begun"),
    "plugin": (PLUGIN, b"begun"),
}


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory, sqlite_template: Path, engine: Engine) -> Iterator[Machine]:
    with machine_in(tmp_path_factory.mktemp("machine"), sqlite_template, engine, len(SCENARIOS)) as machine:
        yield machine


@pytest.fixture(scope="module")
def killed(machine: Machine) -> dict[str, Future[Pushed]]:
    """All scenarios at the same time; the ended runs."""

    def play(pipeline: str, words: bytes) -> Pushed:
        run = machine.push(pipeline, {"Dockerfile": "FROM busybox\nRUN echo made > /made\n"})
        run.said("work", words)
        run.kill()
        run.let_go_on("go")
        run.ended()
        return run

    play_one: Callable[..., Pushed] = play
    with ThreadPoolExecutor(len(SCENARIOS)) as pool:
        return {name: pool.submit(play_one, *scenario) for name, scenario in SCENARIOS.items()}


@pytest.mark.parametrize("name", ["in attempt 2", "in the back-off"])
def test_a_step_that_runs_again_goes_on_with_its_attempts(killed: dict[str, Future[Pushed]], name: str) -> None:
    run = killed[name].result()
    step = run.step("work")
    assert step is not None
    assert (run.run.state, step.message) == (State.PASSED, "passed on attempt 2 of 2"), run.run.sentence
    assert [attempt["exit_code"] for attempt in step.facts["attempts"]] == [9]
    said = run.log("work", Stream.STDOUT).splitlines()
    assert [line for line in said if line in {b"first", b"begun", b"second"}] == [b"first", b"begun", b"second"]
    assert run.attempts == (1, 1, 0)


def test_a_service_in_the_image_just_built_goes_on(killed: dict[str, Future[Pushed]]) -> None:
    run = killed["service in the image"].result()
    assert (run.run.state, run.attempts) == (State.PASSED, (1, 1, 0)), run.run.sentence
    assert b"made" in run.log("work", Stream.STDOUT).splitlines()


def test_what_a_plugin_used_is_known_and_no_line_of_its_log(killed: dict[str, Future[Pushed]]) -> None:
    run = killed["plugin"].result()
    assert (run.run.state, run.attempts) == (State.PASSED, (1, 1, 0)), run.run.sentence
    assert run.log("work") == b"begun\nend\n"
