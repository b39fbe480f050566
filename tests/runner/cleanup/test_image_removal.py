"""Removal of image names while other jobs build images with the same content."""

import subprocess
import threading
import time
from collections.abc import Iterator

import pytest

from pipelines.images.own_images import BUILD_REPO, SANDBOX_REPO
from runner.cleanup.image_removal import REMOVAL_S_MAX, announced, remove_image_names, wait_for_removals
from runner.cleanup.leftovers import Leftovers, remove_leftovers
from runner.docker.client import Engine
from runner.docker.images.sandbox_image import SANDBOX_IMAGE, ensure_sandbox_image
from tests.support.engine import JobRunner
from tests.support.plans import BUSYBOX, build, container, secrets_hex, shell

pytestmark = [pytest.mark.engine, pytest.mark.both_stores]


def announcements(engine: Engine) -> list[str]:
    return engine.image_names(f"{SANDBOX_REPO}:removing-*")


def built_with(engine: Engine, variable: str) -> list[str]:
    """The names of images that jobs built and that have this variable: other tests build at the same time."""
    names = engine.image_names(f"{BUILD_REPO}:*")
    return [name for name in names if variable in str((engine.image(name) or {}).get("Config"))]


def announce(engine: Engine, age_ms: int) -> str:
    """An announcement of a process that was killed so long ago."""
    ensure_sandbox_image(engine)
    name = f"{SANDBOX_REPO}:removing-{time.time_ns() // 1_000_000 - age_ms}-{secrets_hex()}"
    engine.tag(SANDBOX_IMAGE, *name.split(":"))
    return name


@pytest.fixture
def waiting(ran: JobRunner) -> Iterator[threading.Thread]:
    """Waits for the removals that are announced when it starts."""
    thread = threading.Thread(target=wait_for_removals, args=[ran.engine])
    yield thread
    thread.join()


def test_a_build_waits_for_a_removal_and_builds_again_what_it_removed(ran: JobRunner) -> None:
    variable = f"A={secrets_hex()}"
    files = {"Dockerfile": f"FROM busybox\nENV {variable}\nRUN echo copied >/here\n"}
    done: list[object] = []
    job = threading.Thread(target=lambda: done.append(ran(build(), shell("cat /here", box=container(1)), files=files)))
    with announced(ran.engine):
        job.start()
        while not (names := built_with(ran.engine, variable)):
            time.sleep(0.02)
        time.sleep(0.5)
        assert job.is_alive()
        # The engine forgets all names of an image that it deletes, also those that it was given a moment before.
        for name in names:
            ran.engine.untag(name)
    job.join()
    (result,) = done
    assert result.said(2) == ["copied"]  # type: ignore[attr-defined]
    assert result.log().count(b"building it again") == 1  # type: ignore[attr-defined]


def test_a_removal_is_announced_while_it_lasts(ran: JobRunner, waiting: threading.Thread) -> None:
    with announced(ran.engine):
        assert announcements(ran.engine)
        waiting.start()
        time.sleep(0.2)
        assert waiting.is_alive()
    waiting.join(REMOVAL_S_MAX)
    assert not waiting.is_alive()


def test_only_removals_that_began_before_are_waited_for(ran: JobRunner, waiting: threading.Thread) -> None:
    with announced(ran.engine):
        waiting.start()
        time.sleep(0.1)
        later = announce(ran.engine, 0)
    waiting.join(REMOVAL_S_MAX)
    assert not waiting.is_alive()
    ran.engine.untag(later)


def test_the_announcement_of_a_killed_process_is_waited_for_for_a_time_and_then_removed(ran: JobRunner) -> None:
    young, old = announce(ran.engine, 0), announce(ran.engine, REMOVAL_S_MAX * 1000 + 1)
    ran.engine.untag(young)
    began = time.monotonic()
    wait_for_removals(ran.engine)
    assert time.monotonic() - began < REMOVAL_S_MAX / 2
    # A removal of another test, on the same engine, may have removed the old announcement already.
    name = f"headway-test/{secrets_hex()}:1"
    ran.engine.tag(BUSYBOX, *name.split(":"))
    remove_image_names(ran.engine, [name])
    assert ran.engine.image(name) is None
    assert ran.engine.image(BUSYBOX)
    assert old not in announcements(ran.engine)


def test_the_image_of_a_container_that_is_a_leftover_too_is_removed_after_it(ran: JobRunner) -> None:
    """The engine refuses to take the last name of an image from it while a container uses it."""
    name = f"{BUILD_REPO}:{secrets_hex()}-1-1-x"
    containers = [subprocess.check_output(["docker", "create", "busybox"], text=True).strip()]
    subprocess.run(["docker", "commit", containers[0], name], check=True, capture_output=True)
    run = ["docker", "run", "--detach", name, "sleep", "100"]
    containers += [subprocess.check_output(run, text=True).strip() for _ in range(2)]
    leftovers = Leftovers(containers=frozenset(containers), image_names=frozenset([name]))
    assert remove_leftovers(ran.engine, leftovers) == []
    assert ran.engine.image_names(name) == []
