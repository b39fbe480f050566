"""Real workers whose processes are killed in mid-step: another process on the machine goes on with the job.

Steps wait until the test lets them go on (``Pushed.let_go_on``): how fast the machine is decides nothing.
"""

import secrets
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest

from pipelines.state import Reason, State
from runner.docker.client import Engine
from runner.events import Stream
from tests.support.machine import Machine, Pushed, machine_in
from tests.support.services import eventually
from workers import store
from workers.db.session import transaction
from workers.jobs.takeovers.takeover import DEATHS_MAX

pytestmark = [pytest.mark.engine, pytest.mark.stress]

NAP = f"sleep 8.{secrets.randbelow(10**9)}"
WAIT = "while ! test -e $CI_WORKSPACE/go; do sleep 0.1; done"  # a step in a built image starts in that one's WORKDIR
HEAD = "skip_clone: true\nsteps:\n"
TALKS = (
    HEAD
    + r"""  - name: work
    image: busybox
    environment: {TOKEN: {from_secret: token}}
    commands:
      - printf 'a \377 byte\n'
      - |
        for i in 1 2 3 4 5 6 7 8; do
          case $i in 4|6) until [ -e go$i ]; do sleep 0.1; done;; esac
          echo "out $i $$$$"; echo "err $i" >&2; sleep 0.2
        done
      - printf "$${TOKEN%%part} no newline"
  - {name: after, image: busybox, commands: [echo after]}
"""
)
SPLIT = (
    HEAD
    + r"""  - name: work
    image: busybox
    environment: {TOKEN: {from_secret: token}}
    commands: ['echo begun; printf "$${TOKEN%%part}"; WAIT; echo "part"; echo "$$TOKEN again"']
"""
).replace("WAIT", WAIT)
FAILS = (
    HEAD
    + """  - {name: work, image: busybox, commands: [echo begun, WAIT, exit 7]}
  - {name: beside, image: busybox, commands: [sleep 1, exit 3], depends_on: []}
  - {name: never, image: busybox, commands: [echo never], depends_on: [work]}
"""
).replace("WAIT", WAIT)
LONG = (
    HEAD
    + """  - {name: work, image: busybox, commands: [echo begun, sleep 1000], timeout: 20s}
"""
)
HELPERS = """skip_clone: true
services: {db: {image: busybox, commands: ['while true; do echo hello | nc -l -p 5432; done'], ready: {port: 5432}}}
steps:
  - name: beside
    image: busybox
    detach: true
    commands: [n=0, 'while true; do n=$((n+1)); echo still $n; sleep 0.5; done']
  - {name: work, image: busybox, commands: [echo begun, WAIT, 'ASK', echo ok > kept]}
  - {name: after, image: busybox, commands: [cat kept, 'ASK']}
""".replace("WAIT", WAIT).replace("ASK", "until nc -w 3 db 5432 < /dev/null | grep hello; do sleep 0.2; done")
BUILDS = """steps:
  - {name: image, build: {context: ., network: none}}
  - {name: work, commands: [echo begun, WAIT, cat /made]}
  - {name: again, commands: [cat /made]}
""".replace("WAIT", WAIT)
DOCKERFILE = f"FROM busybox\nRUN {NAP}; echo made > /made\n"
PLUGIN = (
    HEAD
    + """  - name: work
    image: busybox
    entrypoint: [sh, -c, 'echo begun; WAIT; echo end; exit 5']
    commands: [unused]
"""
).replace("WAIT", WAIT)


def once(words: bytes = b"begun", files: tuple[str, ...] = ("go",)) -> Callable[[Pushed], None]:
    def kill(run: Pushed) -> None:
        run.said("work", words)
        run.kill()
        run.let_go_on(*files)

    return kill


def twice(run: Pushed) -> None:
    run.said("work", b"out 2")
    run.kill()
    run.taken_over()
    run.let_go_on("go4")
    run.said("work", b"out 5")
    run.kill()
    run.let_go_on("go6")


def in_the_build(run: Pushed) -> None:
    run.said("image", b"RUN")
    time.sleep(1)
    run.kill()


SCENARIOS: dict[str, tuple[str, Callable[[Pushed], None]]] = {
    "talks": (TALKS, once(b"out 3", ("go4", "go6"))),
    "twice": (TALKS, twice),
    "split": (SPLIT, once()),
    "fails": (FAILS, once()),
    "long": (LONG, once()),
    "helpers": (HELPERS, once()),
    "in the image": (BUILDS, once()),
    "in the build": (BUILDS.replace(f"{WAIT}, ", ""), in_the_build),
    "plugin": (PLUGIN, once()),
}


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory, sqlite_template: Path, engine: Engine) -> Iterator[Machine]:
    with machine_in(tmp_path_factory.mktemp("machine"), sqlite_template, engine) as machine:
        yield machine


@pytest.fixture(scope="module")
def killed(machine: Machine) -> dict[str, Future[Pushed]]:
    """All scenarios at the same time; the ended runs."""

    def play(pipeline: str, act: Callable[[Pushed], None]) -> Pushed:
        run = machine.push(pipeline, {"Dockerfile": DOCKERFILE}, {"token": "s3cretpart"})
        act(run)
        run.ended()
        return run

    with ThreadPoolExecutor(len(SCENARIOS)) as pool:
        return {name: pool.submit(play, *scenario) for name, scenario in SCENARIOS.items()}


@pytest.mark.parametrize("name", ["talks", "twice"])
def test_the_output_is_whole_and_the_shell_the_same(killed: dict[str, Future[Pushed]], name: str) -> None:
    run = killed[name].result()
    assert run.run.state is State.PASSED, run.run.sentence
    out = run.log("work", Stream.STDOUT).splitlines()
    assert out[1] == b"a \xff byte"
    said = [line.split() for line in out if line.startswith(b"out ")]
    assert [line[1] for line in said] == [b"%d" % number for number in range(1, 9)]
    assert len({line[2] for line in said}) == 1
    assert out[-1] == b"s3cret no newline"
    assert run.log("work", Stream.STDERR) == b"".join(b"err %d\n" % number for number in range(1, 9))
    assert b"after" in run.log("after")
    assert run.attempts == (1, 2 if name == "twice" else 1, 0)
    step = run.step("work")
    assert step is not None
    assert step.log_bytes == len(run.log("work"))


def test_a_secret_is_masked_whose_first_half_came_before_the_kill(killed: dict[str, Future[Pushed]]) -> None:
    run = killed["split"].result()
    assert run.log("work", Stream.STDOUT).splitlines()[1:] == [b"begun", b"********", b"******** again"]


def test_verdicts_are_those_of_the_steps(killed: dict[str, Future[Pushed]]) -> None:
    run = killed["fails"].result()
    assert (run.run.state, run.attempts) == (State.FAILED, (1, 1, 0))
    states = {name: step.exit_code for name in ("work", "beside", "never") if (step := run.step(name))}
    assert states == {"work": 7, "beside": 3, "never": None}
    assert killed["plugin"].result().run.state is State.FAILED
    plugin = killed["plugin"].result().step("work")
    assert plugin is not None
    assert plugin.exit_code == 5
    assert killed["plugin"].result().log("work", Stream.STDOUT) == b"begun\nend\n"
    assert killed["plugin"].result().log("work", Stream.STDERR) == b""


def test_the_time_of_a_step_goes_on_meanwhile(killed: dict[str, Future[Pushed]]) -> None:
    run = killed["long"].result()
    step = run.step("work")
    assert step is not None
    assert step.reason is Reason.TIMEOUT
    assert (step.finished_ms or 0) - (step.started_ms or 0) > 19_900
    assert run.attempts == (1, 1, 0)


def test_services_and_detached_steps_go_on(killed: dict[str, Future[Pushed]]) -> None:
    run = killed["helpers"].result()
    assert run.run.state is State.PASSED, run.run.sentence
    assert run.log("work", Stream.STDOUT).splitlines()[-2] == b"hello", run.log("work")
    assert run.log("after", Stream.STDOUT).count(b"ok\n") == 1
    beside = run.step("beside")
    assert beside is not None
    assert beside.message == "ended with the job"
    said = [line for line in run.log("beside", Stream.STDOUT).splitlines() if line.startswith(b"still")]
    assert said == [b"still %d" % number for number in range(1, len(said) + 1)], "nothing is missing or doubled"
    assert said
    assert run.attempts == (1, 1, 0)


@pytest.mark.parametrize("name", ["in the image", "in the build"])
def test_what_was_built_is_known_and_a_build_is_done_again(killed: dict[str, Future[Pushed]], name: str) -> None:
    run = killed[name].result()
    assert run.run.state is State.PASSED, run.run.sentence
    assert b"made" in run.log("work")
    assert b"made" in run.log("again")
    assert run.attempts == (1, 1, 0)


def test_nothing_is_left(machine: Machine, killed: dict[str, Future[Pushed]]) -> None:
    runs = [future.result() for future in killed.values()]
    eventually(lambda: not any(run.containers() for run in runs), 30)
    eventually(lambda: not list((machine.settings.data_dir / "workspaces").iterdir()), 30)
    eventually(lambda: not list(machine.settings.running_dir.iterdir()), 30)


GAP = (
    HEAD
    + """  - {name: work, image: busybox, commands: [echo begun, WAIT, echo end]}
  - {name: after, image: busybox, commands: [echo after]}
"""
).replace("WAIT", WAIT)
ENDLESS = (
    HEAD
    + """  - {name: work, image: busybox, commands: [echo begun, sleep 1000]}
"""
)


def test_while_no_worker_runs_steps_go_on_and_what_people_ask_for_is_not_forgotten(machine: Machine) -> None:
    gap, gone, canceled, rotated, poison = runs = [
        machine.push(pipeline, secrets={"token": "first-value"}) for pipeline in (GAP, GAP, ENDLESS, GAP, GAP)
    ]
    for run in runs:
        run.said("work", b"begun")
    machine.kill_all()
    for container in gone.containers(1):
        machine.engine.remove(container)
    with transaction(machine.database) as session:
        store.request_cancel(session, canceled.id, "ada")
    rotated.set_secret("token", "second-value")
    for run, deaths in ((gap, DEATHS_MAX - 1), (poison, DEATHS_MAX)):
        run.change_lock(deaths=deaths)
    (container,) = gap.containers(1)
    for run in (gap, gone, rotated, poison):
        run.let_go_on("go")
    eventually(lambda: not (machine.engine.inspect(container) or {"State": {}})["State"].get("Running"), 30)
    machine.start()
    assert (gap.ended().state, gap.attempts) == (State.PASSED, (1, 1, 0))
    assert gap.log("work", Stream.STDOUT).splitlines()[1::2] == [b"begun", b"+ echo end"]
    assert (canceled.ended().state, canceled.attempts) == (State.CANCELED, (1, 1, 0))
    for run in (gone, rotated, poison):
        run.starts_over()
        run.let_go_on("go")
    for run, why in (
        (gone, "the container of its step 1 is gone"),
        (rotated, "a secret was changed"),
        (poison, "6 times"),
    ):
        assert (run.ended().state, run.attempts) == (State.PASSED, (2, 1, 1)), why
        assert why in machine.worker_log


def test_a_worker_that_is_stopped_leaves_its_job_to_the_next(machine: Machine) -> None:
    run = machine.push(TALKS, secrets={"token": "s3cretpart"})
    other = machine.push(ENDLESS)
    run.said("work", b"out 2")
    other.said("work", b"begun")
    assert machine.stop() == [0]
    assert run.job.lease_s == 120
    (container,) = run.containers(1)
    assert (machine.engine.inspect(container) or {})["State"]["Running"]
    run.let_go_on("go4", "go6")
    machine.start()
    assert (run.ended().state, run.attempts) == (State.PASSED, (1, 1, 0))
    assert run.log("work", Stream.STDERR) == b"".join(b"err %d\n" % number for number in range(1, 9))
    with transaction(machine.database) as session:
        store.request_cancel(session, other.id, "ada")
    assert (other.ended().state, other.attempts) == (State.CANCELED, (1, 1, 0))
