"""The images of a job: when they are pulled, how often, and what is said of it."""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pipelines.plan import Container, NamedImage
from pipelines.state import Outcome, Reason, State
from runner.cancellation import Cancel
from runner.docker.client import Engine
from runner.errors import MachineError
from runner.events import Event, StepFinished, StepStarted
from runner.execution.job.options import Options
from runner.images.interruptible import interruptible
from tests.support.engine import JobRunner, eventually, in_thread
from tests.support.engine_proxy import EngineProxy
from tests.support.job_result import JobResult
from tests.support.plans import build, container, laid_out, push, secrets_hex, service, shell
from tests.support.registry import Registry
from tests.support.registry_images import put_image, untag_matching
from tests.support.registry_proxy import RegistryProxy
from tests.support.remote_engine import socket_of

pytestmark = [pytest.mark.engine, pytest.mark.both_stores]

NOT_AHEAD = Options(grace_s=1, steps_ahead_max=0)
NO_SUCH_REPOSITORY = (404, json.dumps({"errors": [{"code": "NAME_UNKNOWN", "message": "repository name not known"}]}))
TOO_MANY = (
    429,
    json.dumps({"errors": [{"code": "TOOMANYREQUESTS", "message": "You have reached your pull rate limit."}]}),
)
DENIED = (403, json.dumps({"errors": [{"code": "DENIED", "message": "requested access to the resource is denied"}]}))


@pytest.fixture
def given(engine: Engine, registry: Registry, front: RegistryProxy) -> Callable[..., str]:
    """Puts an image into the registry behind the proxy; returns its name there."""

    def put(repo: str = "", tag: str = "1", **more: Any) -> str:
        repo = repo or f"given/{secrets_hex()}"
        put_image(engine, f"{registry.host}/{repo}", tag=tag, **more)
        return f"{front.host}/{repo}:{tag}"

    return put


def box(name: str, *, pull: bool = False) -> Container:
    return container().model_copy(update={"image": NamedImage(name=name, pull=pull)})


def source_comes_after(ask: Callable[[], object], then: Callable[[], object]) -> Callable[[Path], None]:
    """A source that is laid out only once something is true; then something more is done."""

    def lay_out(target: Path) -> None:
        eventually(ask)
        then()
        laid_out({})(target)

    return lay_out


def after_step(number: int, do: Callable[[], object]) -> Callable[[Event], None]:
    """Does something between the end of a step and whatever comes next. For ``on_event``."""

    def listen(event: Event) -> None:
        if isinstance(event, StepFinished) and event.step == number:
            do()

    return listen


def test_images_are_pulled_while_the_source_is_laid_out(
    ran: JobRunner, front: RegistryProxy, given: Callable[..., str]
) -> None:
    front.hold()
    lay_out = source_comes_after(front.waiting.is_set, front.go.set)
    job = ran(shell("true"), shell("cat /word", box=box(given(word="early"))), files=lay_out)
    assert job.said(2) == ["early"], job.everything()


def test_a_step_that_was_started_ahead_tells_how_its_image_came(ran: JobRunner, given: Callable[..., str]) -> None:
    name = given()
    job = ran(shell("sleep 1"), shell("true", box=box(name)), shell("true", box=box(name)))
    assert f"pulling {name}\n" in job.log(2).decode()
    assert "Digest: sha256:" in job.log(2).decode()
    assert b"pulling" not in job.log(3)


def test_a_step_that_waits_shows_the_pull_from_its_beginning_though_another_pulls(
    ran: JobRunner, front: RegistryProxy, registry: Registry, given: Callable[..., str]
) -> None:
    name = given(layer_bytes=(2_000_000,))
    repo = name.removeprefix(front.host).removesuffix(":1")
    _, manifest = registry.manifest(f"{registry.host}{repo}", "1")
    large = max(manifest["layers"], key=lambda layer: layer["size"])["digest"].removeprefix("sha256:")[:12]
    front.hold()
    started: list[int] = []

    def listen(event: Event) -> None:
        started.extend([event.step] if isinstance(event, StepStarted) else [])
        if len(started) == 2:
            front.go.set()

    job = ran(*(shell("true", box=box(name), needs=()) for _ in range(2)), on_event=listen)
    for number in (1, 2):
        lines = job.log(number).decode().splitlines()
        assert lines[0] == f"pulling {name}"
        assert sum(line.startswith(f"  {large}: pull complete") for line in lines) == 1
        assert len(lines) < 10


def test_jobs_that_want_the_same_image_at_the_same_time_fetch_each_layer_once(
    ran: JobRunner, front: RegistryProxy, registry: Registry, given: Callable[..., str]
) -> None:
    name = given(layer_bytes=(3_000_000, 1_000_000))
    repo = name.removeprefix(front.host).removesuffix(":1")
    _, manifest = registry.manifest(f"{registry.host}{repo}", "1")
    front.hold()
    jobs: list[JobResult] = []
    threads = [in_thread(lambda: jobs.append(ran(shell("cat /word", box=box(name))))) for _ in range(2)]
    eventually(lambda: sum(path.endswith("/manifests/1") for path in front.asked) == 2 and front.waiting.is_set())
    front.go.set()
    for thread in threads:
        thread.join()
    assert [job.said() for job in jobs] == [["made"]] * 2
    layers = [layer["digest"] for layer in manifest["layers"][1:]]
    assert max(front.fetched("blobs").count(layer) for layer in layers) == 1


def test_no_more_pulls_run_at_once_than_the_option_allows_and_services_come_first(
    ran: JobRunner, front: RegistryProxy, given: Callable[..., str]
) -> None:
    last, first = given("given/last"), given("given/first")
    front.hold()
    asked: list[str] = []

    def let_go() -> None:
        asked.extend(front.asked)
        front.go.set()

    lay_out = source_comes_after(front.waiting.is_set, let_go)
    job = ran(
        shell("true", box=box(last)), services=[service("db", "sleep 100", box=box(first))], files=lay_out,
        options=Options(grace_s=1, pulls_at_once_max=1),
    )  # fmt: skip
    assert job.outcome.state is State.PASSED, job.everything()
    assert any("/given/first/" in path for path in asked)
    assert not any("/given/last/" in path for path in asked)


def test_a_failed_pull_is_the_failure_of_the_step_that_needs_it(
    ran: JobRunner, front: RegistryProxy, given: Callable[..., str]
) -> None:
    steps = [shell("true", box=box(name), needs=()) for name in (f"{front.host}/none/such:1", given())]
    job = ran(*steps, shell("true", needs=(2,), on_failure=True))
    assert job.states == [State.FAILED, State.PASSED, State.PASSED]
    assert job.step(1).reason is Reason.IMAGE_NOT_FOUND


def test_the_image_of_a_step_for_failures_is_not_pulled_in_a_run_that_goes_well(
    ran: JobRunner, front: RegistryProxy, given: Callable[..., str]
) -> None:
    job = ran(shell("true"), shell("true", box=box(given()), on_success=False, on_failure=True))
    assert job.states == [State.PASSED, State.SKIPPED]
    assert front.asked == []


def test_an_image_that_was_not_there_when_the_job_began_is_asked_for_again(
    ran: JobRunner, front: RegistryProxy, given: Callable[..., str]
) -> None:
    name = given()
    front.answer = NO_SUCH_REPOSITORY

    def put_it_there() -> None:
        time.sleep(0.5)  # for the engine to tell what it was answered
        front.answer = None

    lay_out = source_comes_after(lambda: any("/manifests/" in path for path in front.asked), put_it_there)
    job = ran(shell("true"), shell("cat /word", box=box(name)), files=lay_out)
    assert job.said(2) == ["made"], job.everything()


@pytest.mark.parametrize("pull", [False, True])
def test_a_tag_that_moves_gives_all_steps_of_a_job_the_same_image(
    ran: JobRunner, given: Callable[..., str], pull: bool
) -> None:
    name = given("given/moves", word="first")

    def move() -> None:
        given("given/moves", word="second")
        list(ran.engine.pull(name, None))

    steps = [shell("cat /word", box=box(name, pull=pull)) for _ in range(2)]
    job = ran(*steps, on_event=after_step(1, move), options=NOT_AHEAD)
    assert [job.said(number) for number in (1, 2)] == [["first"]] * 2
    assert ran(steps[0]).said() == ["second"]


def test_what_the_job_itself_pushed_is_what_later_steps_get(ran: JobRunner, engine: Engine, registry: Registry) -> None:
    repo = f"{registry.host}/given/{secrets_hex()}"
    put_image(engine, repo, tag="latest", word="old")
    look = shell("cat /word", box=box(f"{repo}:latest", pull=True))
    job = ran(look, build(dockerfile_inline="FROM busybox\nRUN echo new > /word\n"), push(2, repo), look)
    assert [job.said(number) for number in (1, 4)] == [["old"], ["new"]], job.everything()
    untag_matching(engine, repo)


def test_an_image_that_is_removed_in_mid_job_comes_back_as_the_same(
    ran: JobRunner, engine: Engine, given: Callable[..., str]
) -> None:
    name = given("given/removed", word="first")

    def remove() -> None:
        given("given/removed", word="second")
        engine.untag(name)

    job = ran(shell("true"), shell("cat /word", box=box(name)), on_event=after_step(1, remove), options=NOT_AHEAD)
    assert "removed from the engine meanwhile" in job.log(2).decode()
    assert job.said(2) == ["first"]


def test_a_cancel_ends_the_pulls_of_later_steps_in_the_engine_too(
    ran: JobRunner, front: RegistryProxy, registry: Registry
) -> None:
    repo, cancel = f"given/{secrets_hex()}", Cancel()
    *_, big = put_image(ran.engine, f"{registry.host}/{repo}", layer_bytes=(8_000_000,))
    front.hold()

    def cancel_during_the_pull() -> None:
        eventually(lambda: big in front.fetched("blobs"))
        cancel.set("ada")

    in_thread(cancel_during_the_pull)
    job = ran(shell("sleep 100"), shell("true", box=box(f"{front.host}/{repo}:1")), cancel=cancel)
    cancel.close()
    assert job.outcome == Outcome(State.CANCELED, Reason.CANCELED, "canceled by ada")
    front.go.set()
    eventually(front.hung_up.is_set)
    assert ran.engine.image(f"{front.host}/{repo}:1") is None


def test_an_engine_that_goes_away_in_mid_pull_is_told(
    front: RegistryProxy, given: Callable[..., str], engine: Engine, tmp_path: Path
) -> None:
    proxy = EngineProxy(tmp_path, socket_of(engine))
    far = Engine(proxy.host)
    front.hold()

    def cut_during_the_pull() -> None:
        if front.waiting.wait(20):
            proxy.cut()

    in_thread(cut_during_the_pull)
    with pytest.raises(MachineError) as gone:
        list(interruptible(far.pull(given(), None), lambda: None))
    assert gone.value.reason is Reason.ENGINE_GONE
    far.close()
    proxy.close()


@pytest.mark.parametrize(
    ("answer", "state", "reason", "hint"),
    [
        (TOO_MANY, State.BROKEN, Reason.REGISTRY_UNREACHABLE, "log in: headway registry login 127.0.0.1"),
        (DENIED, State.FAILED, Reason.IMAGE_NOT_FOUND, "denies access to the image"),
        (NO_SUCH_REPOSITORY, State.FAILED, Reason.IMAGE_NOT_FOUND, "does not exist; check its name"),
        (
            (503, "busy"),
            State.BROKEN,
            Reason.REGISTRY_UNREACHABLE,
            "answered 503 Service Unavailable; look",
        ),
    ],
)
def test_why_an_image_cannot_be_had_is_told(
    ran: JobRunner, front: RegistryProxy, answer: tuple[int, str], state: State, reason: Reason, hint: str
) -> None:
    front.answer = answer
    name = f"{front.host}/any/image:1"
    outcome = ran(shell("true", box=box(name))).step()
    assert (outcome.state, outcome.reason) == (state, reason)
    assert hint in outcome.message
    assert name in outcome.message


def test_a_registry_that_cannot_serve_now_is_asked_again(
    ran: JobRunner, front: RegistryProxy, given: Callable[..., str]
) -> None:
    name = given()
    front.answer = (503, "busy")

    def recover() -> None:
        eventually(lambda: front.asked)
        front.answer = None

    in_thread(recover)
    job = ran(shell("cat /word", box=box(name)))
    # (An engine with containerd's client tries again by itself first.)
    assert job.said() == ["made"], job.everything()


def test_an_image_for_other_machines_only_is_told(ran: JobRunner, given: Callable[..., str]) -> None:
    outcome = ran(shell("true", box=box(given(architecture="s390x", index=True)))).step()
    assert outcome.reason is Reason.IMAGE_NOT_FOUND
    assert "does not exist for this machine's platform: no match" in outcome.message
