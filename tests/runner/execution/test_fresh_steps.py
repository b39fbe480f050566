"""Every step is fresh: nothing that one left shows in another, whichever way, whenever its container was started."""

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from pipelines.plan import Container
from pipelines.state import State
from pipelines.step_options.ready import PortCheck
from runner.execution.job.options import Options
from tests.support.engine import JobRunner
from tests.support.plans import container, service, shell
from tests.support.pollution import (
    FIREWALL,
    FIREWALL_VOLUME,
    IMAGE,
    PRIVILEGED_IMAGE,
    SCRIPT,
    WAYS,
    Way,
    clean,
    privileged_ways,
    script,
)
from tests.support.repos import WHO

pytestmark = pytest.mark.engine

ROUNDS = 20
HOLD_S = 0.2
RUN = f". ./{SCRIPT}"
AHEAD = Options(grace_s=1, steps_ahead_max=4, parallel_steps_max=4)
HEADWAY = str(Path(sys.executable).with_name("headway"))


def leaks(ran: JobRunner, ways: Sequence[Way], box: Container, *, parallel: bool) -> list[str]:
    """Runs one more step than there are rounds; what one of them found of another."""
    steps = [shell(RUN, box=box) for _ in range(ROUNDS + 1)]
    if parallel:
        steps = [shell(RUN, box=box, needs=()) for _ in steps]
    job = ran(*steps, files={SCRIPT: script(ways, HOLD_S if parallel else 0)}, options=AHEAD, timeout_s=300)
    said = {step: job.said(step) for step in range(1, ROUNDS + 2)}
    if found := [f"step {step} {line}" for step, lines in said.items() for line in lines if line.startswith("found ")]:
        return found
    assert job.outcome.state is State.PASSED, job.everything()[-2000:]
    assert list(said.values()) == [clean(ways)] * (ROUNDS + 1)
    return []


def need_privileged(ran: JobRunner) -> None:
    """Skips a test where the engine has remapped users, or fewer rights itself: it has no privileged containers."""
    tried = ran(shell("true", box=container(PRIVILEGED_IMAGE, privileged=True)))
    if "user namespaces" in tried.outcome.message or "unable to apply caps" in tried.outcome.message:
        pytest.skip(tried.outcome.message)


@pytest.mark.both_stores
@pytest.mark.parametrize("parallel", [False, True], ids=["in order", "in parallel"])
def test_nothing_that_a_step_leaves_shows_in_another(ran: JobRunner, *, parallel: bool) -> None:
    assert leaks(ran, WAYS, container(IMAGE), parallel=parallel) == []


@pytest.mark.parametrize("parallel", [False, True], ids=["in order", "in parallel"])
def test_nothing_that_a_step_changes_in_its_network_shows_in_another(ran: JobRunner, *, parallel: bool) -> None:
    need_privileged(ran)
    ways = privileged_ways()
    volumes = (FIREWALL_VOLUME,) if FIREWALL in ways else ()
    box = container(PRIVILEGED_IMAGE, privileged=True, volumes=volumes)
    assert leaks(ran, ways, box, parallel=parallel) == []


def test_a_name_that_a_step_gave_to_a_service_means_the_service_in_the_next(ran: JobRunner) -> None:
    ask = "perl -MIO::Socket::INET -e 'IO::Socket::INET->new(\"web:8080\") or die $!'"
    spoil = "echo 127.0.0.1 web >> /etc/hosts"
    serve = service("web", "httpd -f -p 8080", ready=PortCheck(port=8080))
    job = ran(*(shell(ask, spoil, box=container(IMAGE)) for _ in range(6)), services=[serve], options=AHEAD)
    assert job.states == [State.PASSED] * 6, job.everything()[-2000:]


def test_names_are_those_of_services_and_detached_steps_alone(ran: JobRunner) -> None:
    """A step that waits for its turn, or runs beside another, has no name in the network."""
    wait = "until nslookup web 127.0.0.11 >/dev/null 2>&1; do sleep 0.1; done"
    ask = "nslookup -timeout=1 -retry=1 $name 127.0.0.11 >/dev/null 2>&1"
    look = f"for name in first beside later; do {ask} && echo $name; done; true"
    job = ran(
        shell("sleep 30", name="web", detach=True, needs=()),
        shell(wait, look, name="first", needs=(1,)),
        shell("sleep 1", name="beside", needs=(1,)),
        shell(wait, look, name="later", needs=(2, 3)),
        options=AHEAD,
    )
    assert job.outcome.state is State.PASSED, job.everything()[-2000:]
    assert (job.said(2), job.said(4)) == ([], [])


def test_a_file_of_the_host_that_a_step_makes_is_there_for_the_next(ran: JobRunner, tmp_path: Path) -> None:
    """Started ahead, the container would have had a folder made there, and the verdict depended on time."""
    folder, made = tmp_path / "host", tmp_path / "host" / "made"
    folder.mkdir()
    folder.chmod(0o777)
    make = shell("sleep 1", "echo right > /host/made", box=container(volumes=(f"{folder}:/host",)))
    job = ran(make, shell("cat /made", box=container(volumes=(f"{made}:/made:ro",))), options=AHEAD)
    assert job.said(2) == ["right"], job.everything()


@pytest.mark.parametrize("count", [1, 3])
def test_on_a_laptop_steps_are_fresh(tmp_path: Path, count: int) -> None:
    """Also the first one, for which the command prepares things before it has read the pipeline."""
    lines = [f"  - {{name: s{number}, image: {IMAGE}, commands: ['{RUN}']}}\n" for number in range(count)]
    folder, left = tmp_path / "app", tmp_path / "left"
    folder.mkdir()
    left.mkdir()
    (folder / ".headway.yml").write_text(f"steps:\n{''.join(lines)}")
    (folder / SCRIPT).write_text(script(WAYS))
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "DOCKER_HOST") if name in os.environ}
    environment = {**kept, **WHO, "TMPDIR": str(left)}
    done = subprocess.run([HEADWAY, "run"], cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    for number in range(count):
        said = [line.partition(f"s{number} | ")[2] for line in done.stdout.splitlines() if f"s{number} | " in line]
        assert [line for line in said if not line.startswith("+ ")] == clean(WAYS)
