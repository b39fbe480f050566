"""A registry that cannot serve for a moment is asked again by all that talk to it. With a real registry behind."""

import re
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from pipelines.plan import Container, NamedImage
from pipelines.state import Outcome, Reason, State
from runner.cancellation import Cancel
from runner.docker.client import Engine
from runner.docker.compatibility import CONTAINERD_STORE
from runner.events import Event, JobNote, StepOutput
from runner.execution.job.isolation import Isolation
from runner.execution.job.options import Options
from runner.images.retry import RETRY_S
from tests.support.engine import JobRunner, to_all
from tests.support.plans import build, container, push, secrets_hex, service, shell
from tests.support.registry import Registry, free_port, running_registry
from tests.support.registry_images import put_image
from tests.support.registry_proxy import Fault, RegistryProxy, rate_limit

pytestmark = [pytest.mark.engine, pytest.mark.both_stores, pytest.mark.slow]

BUSY = Fault(503, "<html>down for maintenance</html>")
FILES = {"Dockerfile": "FROM busybox\nRUN echo made > /word\n"}
RATE = rate_limit("Rate exceeded")
RESET = Fault(end="reset")
MANIFEST, BLOB, TOKEN = "(GET|HEAD) .*/manifests/", "GET .*/blobs/", "(GET|POST) /token"
SHORT = Options(grace_s=1, registry_retry_s=2)


@pytest.fixture
def ran(ran: JobRunner) -> JobRunner:
    """Its jobs ask a registry that cannot serve again, for as long as a server's jobs do."""
    ran.options = replace(ran.options, registry_retry_s=RETRY_S)
    return ran


@pytest.fixture
def stored(engine: Engine, registry: Registry, front: RegistryProxy) -> str:
    """The name of an image in the registry behind the proxy. Its file ``/word`` says ``made``."""
    repo = f"given/{secrets_hex()}"
    put_image(engine, f"{registry.host}/{repo}")
    return f"{front.host}/{repo}:1"


def until_retried(front: RegistryProxy, asked: str, fault: Fault) -> Callable[[Event], None]:
    """The proxy has this fault until a log says that Headway tries again. For ``on_event``.

    Engines send some requests again by themselves, so a number of faults would not do.
    """
    front.fail(asked, fault, 1000)

    def listen(event: Event) -> None:
        text = event.data if isinstance(event, StepOutput) else b""
        text = event.text.encode() if isinstance(event, JobNote) else text
        if b"; trying again in 1 s (try 2)" in text:
            front.recover()

    return listen


def box(name: str) -> Container:
    return container().model_copy(update={"image": NamedImage(name=name, pull=False)})


@pytest.mark.parametrize(
    ("asked", "fault", "said"),
    [
        (MANIFEST, RATE, "answered 429 Too Many Requests"),
        (MANIFEST, BUSY, "answered 503 Service Unavailable"),
        (MANIFEST, RESET, "ended the connection"),
        (MANIFEST, Fault(end="close"), "ended the connection"),
        (BLOB, RATE, "answered 429 Too Many Requests"),
        (TOKEN, BUSY, "answered 503 Service Unavailable"),
    ],
)
def test_an_image_is_pulled_all_the_same(
    ran: JobRunner, front: RegistryProxy, stored: str, asked: str, fault: Fault, said: str
) -> None:
    front.tokens = asked == TOKEN
    job = ran(shell("cat /word", box=box(stored)), on_event=until_retried(front, asked, fault))
    assert job.said() == ["made"], job.everything()
    assert f"the registry {front.host} {said}" in job.log().decode()
    assert "; trying again in 1 s (try 2)" in job.log().decode()


def test_a_services_image_is_pulled_all_the_same(ran: JobRunner, front: RegistryProxy, stored: str) -> None:
    db = service("db", "sleep 100", box=box(stored))
    job = ran(shell("true"), services=[db], on_event=until_retried(front, MANIFEST, BUSY))
    assert job.outcome.state is State.PASSED, job.everything()
    assert f"db: the registry {front.host} answered 503 Service Unavailable; trying again" in job.notes


@pytest.mark.parametrize(("fault", "pull"), [(RATE, True), (RESET, False)])
def test_a_base_image_is_fetched_all_the_same(
    ran: JobRunner, front: RegistryProxy, stored: str, fault: Fault, *, pull: bool
) -> None:
    files = {"Dockerfile": f"FROM {stored}\nRUN cat /word\n"}
    job = ran(build(pull=pull), files=files, on_event=until_retried(front, MANIFEST, fault))
    assert job.outcome.state is State.PASSED, job.everything()
    assert "; trying again in 1 s" in job.log().decode()


@pytest.mark.parametrize("fault", [BUSY, RESET])
def test_a_base_image_that_buildkit_fetches_is_fetched_all_the_same(
    ran: JobRunner, front: RegistryProxy, stored: str, fault: Fault
) -> None:
    # Headway leaves images for other platforms than the engine's to BuildKit.
    files = {"Dockerfile": f"FROM --platform=linux/s390x {stored}\nCOPY Dockerfile /\n"}
    job = ran(build(), files=files, on_event=until_retried(front, MANIFEST, fault))
    assert f"the registry {front.host} " in job.log().decode()
    assert "; trying again in 1 s (try 2)" in job.log().decode(), job.everything()
    assert job.step().reason is not Reason.REGISTRY_UNREACHABLE


PUSHES = [
    ("POST .*/uploads", RATE),
    ("PUT .*/manifests/", BUSY),
    ("PUT .*/manifests/", RESET),
    ("PUT .*/manifests/", Fault(end="cut")),
    (TOKEN, BUSY),
]


@pytest.mark.parametrize(("asked", "fault"), PUSHES)
def test_an_image_is_pushed_all_the_same_and_is_the_one_that_was_tested(
    ran: JobRunner, front: RegistryProxy, registry: Registry, asked: str, fault: Fault
) -> None:
    repo = f"team/{secrets_hex()}"
    front.tokens = asked == TOKEN
    if front.tokens and ran.engine.image_store() != CONTAINERD_STORE:
        pytest.skip("Docker's own image store tries again by itself first, for 50 s")
    retried = until_retried(front, asked, fault)
    job = ran(build(), push(1, f"{front.host}/{repo}", tags=("1", "2")), files=FILES, on_event=retried)
    assert job.outcome.state is State.PASSED, job.everything()
    assert [event.tag for event in job.pushed] == ["1", "2"]
    digests = {registry.manifest(repo, tag)[0] for tag in ("1", "2")}
    assert digests == {event.digest for event in job.pushed}, "the same image under both names"
    assert job.built[0].image_id in registry.ids(repo, "1")


def test_during_the_pause_of_a_push_the_name_is_given_back(ran: JobRunner, front: RegistryProxy) -> None:
    name, seen = f"{front.host}/team/{secrets_hex()}", list[str]()
    ran.engine.tag("busybox", name, "latest")
    before = (ran.engine.image("busybox") or {})["Id"]

    def look(event: Event) -> None:
        if isinstance(event, StepOutput) and b"trying again" in event.data:
            seen.append((ran.engine.image(name) or {})["Id"])

    retried = until_retried(front, "PUT .*/manifests/", BUSY)
    job = ran(build(), push(1, name), files=FILES, on_event=to_all([look, retried]))
    assert job.outcome.state is State.PASSED, job.everything()
    assert seen == [before]


@pytest.mark.parametrize("fault", [BUSY, RATE])
def test_the_access_check_is_done_all_the_same(
    ran: JobRunner, engine: Engine, front: RegistryProxy, stored: str, fault: Fault
) -> None:
    engine_has_it = ran(shell("true", box=box(stored)))
    assert engine_has_it.outcome.state is State.PASSED
    guarded = Isolation(login_hosts=frozenset({front.host}))
    retried = until_retried(front, MANIFEST, fault)
    job = ran(shell("cat /word", box=box(stored)), isolation=guarded, on_event=retried)
    assert job.said() == ["made"], job.everything()
    assert "; trying again in 1 s" in job.log().decode()


def test_a_cache_in_a_registry_is_written_all_the_same(ran: JobRunner, front: RegistryProxy) -> None:
    if ran.engine.image_store() != CONTAINERD_STORE:
        pytest.skip("this image store writes no caches")
    cache = f"type=registry,ref={front.host}/cache/{secrets_hex()}:1"
    job = ran(build(cache_to=(cache,)), files=FILES, on_event=until_retried(front, "POST .*/uploads", RATE))
    assert job.outcome.state is State.PASSED, job.everything()
    assert "; trying again in 1 s" in job.log().decode()


def test_a_registry_that_restarts_is_waited_for(ran: JobRunner, tmp_path: Path) -> None:
    port, started = free_port(), threading.Event()

    def start(event: Event) -> None:
        if isinstance(event, StepOutput) and b"accepts no connection; trying again" in event.data:
            started.set()

    def serve(done: threading.Event) -> None:
        started.wait(60)
        with running_registry(tmp_path, port=port):
            done.wait(60)

    done = threading.Event()
    thread = threading.Thread(target=serve, args=(done,))
    thread.start()
    try:
        job = ran(build(), push(1, f"127.0.0.1:{port}/a"), files=FILES, on_event=start)
    finally:
        started.set()
        done.set()
        thread.join()
    assert job.outcome.state is State.PASSED, job.everything()


def without_seconds(message: str) -> str:
    """The message without how long it took: a busy machine takes longer."""
    return re.sub(r"over \d+ s\b", "over N s", message)


def test_trouble_that_lasts_is_the_machines_and_names_the_answer(
    ran: JobRunner, front: RegistryProxy, stored: str
) -> None:
    front.fail("", BUSY, 1000)
    pulled = ran(shell("true", box=box(stored)), options=SHORT).step()
    assert (pulled.state, pulled.reason) == (State.BROKEN, Reason.REGISTRY_UNREACHABLE)
    answered = (
        f"the registry {front.host} answered 503 Service Unavailable after 3 tries over N s; look at the registry"
    )
    assert without_seconds(pulled.message).startswith(f"the image {stored} cannot be pulled: {answered}")
    based = ran(build(), files={"Dockerfile": f"FROM {stored}\n"}, options=SHORT).step()
    assert (based.state, based.reason) == (State.BROKEN, Reason.REGISTRY_UNREACHABLE)
    assert answered in without_seconds(based.message)


def test_a_registry_that_is_away_is_asked_once_for_the_other_names(ran: JobRunner) -> None:
    repo = f"127.0.0.1:{free_port()}/a"
    job = ran(build(), push(1, repo, tags=("1", "2", "3")), files=FILES, options=SHORT)
    assert (job.step(2).state, job.step(2).reason) == (State.BROKEN, Reason.REGISTRY_UNREACHABLE)
    assert "accepts no connection after 3 tries over N s" in without_seconds(job.step(2).message)
    log = job.log(2).decode()
    assert log.count("trying again") == 2
    assert [f"{repo}:{tag} was not pushed" in log for tag in "123"] == [True] * 3


def test_the_steps_time_ends_the_retries(ran: JobRunner) -> None:
    away = f"127.0.0.1:{free_port()}/a:1"
    for job, number in (
        (ran(shell("true", box=box(away), timeout_s=1)), 1),
        (ran(build(timeout_s=1), files={"Dockerfile": f"FROM {away}\n"}), 1),
        (ran(build(), push(1, away.removesuffix(":1"), timeout_s=1), files=FILES), 2),
        (ran(shell("true", box=box(away)), timeout_s=2), 1),
    ):
        outcome = job.step(number)
        assert (outcome.state, outcome.reason) == (State.BROKEN, Reason.REGISTRY_UNREACHABLE)
        assert "accepts no connection" in outcome.message


def test_a_cancel_ends_the_pause(ran: JobRunner) -> None:
    away = f"127.0.0.1:{free_port()}/a"
    for steps in (
        (shell("true", box=box(away)),),
        (build(), push(1, away)),
        (build(dockerfile_inline=f"FROM {away}\n"),),
    ):
        cancel = Cancel()

        def listen(event: Event, cancel: Cancel = cancel) -> None:
            if isinstance(event, StepOutput) and b"; trying again in 1 s" in event.data:
                cancel.set("ada")

        job = ran(*steps, files=FILES, cancel=cancel, on_event=listen)
        cancel.close()
        assert job.outcome == Outcome(State.CANCELED, Reason.CANCELED, "canceled by ada")


def test_a_clear_no_is_not_asked_again(ran: JobRunner, locked_registry: Registry, front: RegistryProxy) -> None:
    for name in (f"{locked_registry.host}/a:1", f"{front.host}/none/such:1"):
        job = ran(shell("true", box=box(name)))
        assert job.step().reason is Reason.IMAGE_NOT_FOUND
        assert "trying again" not in job.everything()
    job = ran(build(), push(1, f"{locked_registry.host}/a"), files=FILES)
    assert job.step(2).reason is Reason.PUSH_REFUSED
    assert "trying again" not in job.everything()
