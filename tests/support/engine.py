"""Tests on a real Docker Engine: what they share. A pytest plugin (see conftest.py).

``ran`` runs steps as a job and returns what happened. After every test marked ``engine`` nothing of its jobs may be
left: no container, network, folder or name of an image.
"""

import json
import os
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

from pipelines.context import FULL_ACCESS, Access
from pipelines.plan import JobPlan, Service, Step
from pipelines.state import Outcome
from runner.artifacts.files import ArtifactStorage
from runner.builds.buildkit import Builder, find_builder
from runner.caches.job_caches import CacheAccess
from runner.cancellation import Cancel
from runner.docker.client import Engine
from runner.docker.containers.specs import JOB_LABEL, Login
from runner.docker.job_network import JobNetwork
from runner.errors import MachineError
from runner.events import Event, StepOutput, Stream
from runner.execution.job.isolation import NO_ISOLATION, Isolation
from runner.execution.job.job import Assignment
from runner.execution.job.options import Options
from runner.execution.job_lifecycle import open_job, run_job
from runner.network.egress import NO_EGRESS_SETTINGS, EgressSettings
from tests.support.job_result import JobResult
from tests.support.plans import Content, LayOut, laid_out, numbered, secrets_hex
from tests.support.registry import Registry, running_registry


def need_limit(engine: Engine, name: str) -> None:
    """Skips a test of a limit that this engine cannot set, as a rootless one with cgroups v1 cannot."""
    if not engine.info()[name]:
        pytest.skip(f"the engine has no {name}")


class JobRunner:
    """Runs jobs and remembers them, so that what they leave can be looked for.

    ``options`` are those of jobs that bring none. Many tests name registries that are not there: they ask once.
    """

    def __init__(self, engine: Engine, builder: Builder, folder: Path) -> None:
        self.engine = engine
        self.builder = builder
        self.folder = folder
        self.jobs: list[JobResult] = []
        self.options = Options(grace_s=1, registry_retry_s=0)

    @property
    def has_current_buildkit(self) -> bool:
        """Whether client and engine have what BuildKit can since Docker 23: private names, host names, ``${X#?}``."""
        return self.builder.metadata and self.engine.connection.version.api != "1.41"

    def need_current_buildkit(self) -> None:
        """Skips the test where they do not."""
        if not self.has_current_buildkit:
            pytest.skip("the BuildKit of this engine, or its client, is older than Docker 23")

    def __call__(
        self,
        *steps: Step,
        files: Mapping[str, Content] | LayOut | None = None,
        services: Sequence[Service] = (),
        secrets: Mapping[str, str] | None = None,
        logins: Mapping[str, Login] | None = None,
        options: Options | None = None,
        cancel: Cancel | None = None,
        on_event: Callable[[Event], None] | None = None,
        engine: Engine | None = None,
        attempt: int = 1,
        key: str = "",
        egress: EgressSettings = NO_EGRESS_SETTINGS,
        access: Access = FULL_ACCESS,
        isolation: Isolation = NO_ISOLATION,
        failed_needs: tuple[str, ...] = (),
        step_url: Callable[[int], str] = lambda _: "",
        bridge_prefix: str = "",
        artifacts: ArtifactStorage | None = None,
        caches: CacheAccess | None = None,
        carried: Mapping[int, Outcome] | None = None,
        take_files: Callable[[Path], None] | None = None,
        **plan: Any,
    ) -> JobResult:
        """Runs the steps as one job, to its end."""
        ran = self.new(on_event, key)
        check_out = files if callable(files) else laid_out(files or {})
        job_plan = JobPlan(
            name="test", file=".headway.yml", number=1, steps=numbered(steps), services=tuple(services), **plan
        )
        assignment = Assignment(
            job_plan,
            ran.key, attempt, ran.folder, check_out, secrets or {}, logins or {}, options or self.options,
            egress=egress, access=access, isolation=isolation, failed_needs=failed_needs, step_url=step_url,
            network=JobNetwork(self.engine, ran.key, attempt, bridge_prefix) if bridge_prefix else None,
            artifacts=artifacts, caches=caches, carried=carried or {}, take_files=take_files,
        )  # fmt: skip
        own = Cancel()
        try:
            with open_job(
                assignment,
                engine or self.engine,
                lambda: self.builder,
                ran,
                own if cancel is None else cancel,
                ran.complaints.append,
            ) as job:
                ran.outcome = run_job(job)
        finally:
            own.close()
        return ran

    def new(self, on_event: Callable[[Event], None] | None = None, key: str = "") -> JobResult:
        """A job that is yet to run."""
        key = key or f"test-{secrets_hex()}"
        ran = JobResult(key, self.folder / key, on_event, tells_of_instructions=self.builder.rawjson)
        self.jobs.append(ran)
        return ran

    def left(self) -> list[str]:
        """What the jobs left behind."""
        found = []
        for ran in self.jobs:
            label = f"{JOB_LABEL}={ran.key}"
            found += [f"container {entry['Names']}" for entry in self.engine.containers_labelled(label)]
            found += [f"network {entry['Name']}" for entry in self.engine.networks_labelled(label)]
            found += [f"image {name}" for name in image_names(self.engine) if ran.names_image(name)]
            found += [f"folder {ran.folder}"] if ran.folder.exists() else []
        return found


def image_names(engine: Engine) -> list[str]:
    """All names of images in the engine, those by digest included."""
    return [name for entry in engine.images() for key in ("RepoTags", "RepoDigests") for name in entry.get(key) or ()]


def image_id(engine: Engine, name: str) -> str:
    """The id of an image that the engine has."""
    image = engine.image(name)
    assert image, f"there is no image {name}"
    return str(image["Id"])


def image_history(engine: Engine, image: str) -> str:
    """The build history of an image, as text."""
    return json.dumps(engine._api.history(image))  # type: ignore[no-untyped-call]  # the SDK has no types


# Waiting


def in_thread(work: Callable[[], object]) -> threading.Thread:
    """Starts ``work`` in a background thread."""
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    return thread


def eventually(ask: Callable[[], Any], within_s: float = 60.0) -> Any:
    """The first answer that is true; fails with the last one when the time is over."""
    deadline_s = time.monotonic() + within_s
    while not (answer := ask()):
        if time.monotonic() > deadline_s:
            pytest.fail(f"still {answer!r} after {within_s:g} s")
        time.sleep(0.01)
    return answer


def need_host_users(engine: Engine, why: str) -> None:
    """Skips the test on an engine whose containers' root is an ordinary user of the host, or none of its users."""
    options = " ".join(engine.info().get("SecurityOptions") or ())
    if "name=userns" in options or "name=rootless" in options:
        pytest.skip(f"a step's root is not the host's: {why}")


def when_said(words: bytes, do: Callable[[], None], step: int = 1) -> Callable[[Event], None]:
    """Calls ``do`` once a step has written ``words``, from a thread of its own. For ``on_event``."""
    said, done = bytearray(), threading.Event()

    def listen(event: Event) -> None:
        if isinstance(event, StepOutput) and event.step == step and event.stream is not Stream.NOTE:
            said.extend(event.data)
            if b"\n" + words in said and not done.is_set():
                done.set()
                threading.Thread(target=do, daemon=True).start()

    return listen


def to_all(listeners: Sequence[Callable[[Event], None]]) -> Callable[[Event], None]:
    """Calls several listeners for each event."""

    def listen(event: Event) -> None:
        for each in listeners:
            each(event)

    return listen


# Fixtures


def pytest_configure(config: pytest.Config) -> None:
    """No property is judged by its time: the machine may be busy."""
    settings.register_profile("headway", deadline=None)
    settings.load_profile("headway")


def absent(sentence: str) -> None:
    """A part that tests need is not here: they are skipped, or fail where CI is set."""
    if os.environ.get("CI"):
        pytest.fail(sentence)
    pytest.skip(sentence)


@pytest.fixture(scope="session")
def engine() -> Iterator[Engine]:
    """The machine's Docker Engine."""
    try:
        found = Engine()
    except MachineError as error:
        absent(str(error))
        raise
    yield found
    found.close()


@pytest.fixture(scope="session")
def builder() -> Builder:
    """The machine's client that builds."""
    return find_builder(os.environ["PATH"], os.environ.get("HOME", "/"))


@pytest.fixture
def ran(engine: Engine, builder: Builder, tmp_path: Path) -> JobRunner:
    """Runs jobs."""
    return JobRunner(engine, builder, tmp_path / "jobs")


@pytest.fixture(autouse=True)
def nothing_is_left(request: pytest.FixtureRequest) -> Iterator[None]:
    """After a test on the engine, nothing of its jobs is left."""
    runner = request.getfixturevalue("ran") if request.node.get_closest_marker("engine") else None
    yield
    if runner:
        assert runner.left() == []


@pytest.fixture(scope="session")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    """A registry that asks for no credentials."""
    with running_registry(tmp_path_factory.mktemp("registry")) as found:
        yield found


@pytest.fixture(scope="session")
def locked_registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    """A registry that asks for ``tests.registry.LOGIN``."""
    with running_registry(tmp_path_factory.mktemp("locked-registry"), locked=True) as found:
        yield found


@pytest.fixture
def given_image(engine: Engine, builder: Builder, tmp_path: Path) -> Iterator[Callable[..., str]]:
    """Makes images for a test from a Dockerfile's text, and takes them away after it."""
    made: list[str] = []
    yield partial(_make_image, engine, builder, tmp_path, made)
    for name in made:
        engine.untag(name)


def _make_image(
    engine: Engine, builder: Builder, folder: Path, made: list[str], dockerfile: str, name: str = "",
    files: Mapping[str, Content] | None = None,
) -> str:  # fmt: skip
    name = name or f"headway-test/{secrets_hex()}:1"
    place = folder / f"image-{len(made)}"
    laid_out({"Dockerfile": dockerfile, **(files or {})})(place)
    command = [*builder.command, "--quiet", "--tag", name, str(place)]
    subprocess.run(command, check=True, capture_output=True, env={**os.environ, **builder.environment})
    made.append(name)
    return name
