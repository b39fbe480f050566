"""A registry that takes a request and then says nothing: a cancel and the job's time are heard all the same."""

import threading
from collections.abc import Iterator
from functools import partial
from http.server import ThreadingHTTPServer

import pytest

from pipelines.state import Outcome, Reason, State
from runner.cancellation import Cancel
from runner.docker.streams.progress_stream import Message
from runner.errors import CanceledError, MachineError
from runner.events import Event, StepStarted
from runner.images.interruptible import interruptible
from tests.support.background_server import running
from tests.support.engine import JobRunner, in_thread
from tests.support.plain_http import PlainHandler
from tests.support.plans import build, container, push, secrets_hex, shell

CANCELED = Outcome(State.CANCELED, Reason.CANCELED, "canceled by ada")


class Hanging(ThreadingHTTPServer):
    """The registry. ``asked`` is set once it is asked for an image; it answers when ``over`` is set."""

    daemon_threads = False

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.asked = threading.Event()
        self.over = threading.Event()
        self.host = f"127.0.0.1:{self.server_port}"


class _Handler(PlainHandler):
    server: Hanging

    def _answer(self) -> None:
        if self.path.rstrip("/") != "/v2":
            self.server.asked.set()
            self.server.over.wait(100)
        self.send_response(200 if self.path.rstrip("/") == "/v2" else 404)
        self.send_header("Content-Length", "0")
        self.send_header("Connection", "close")
        self.end_headers()
        self.close_connection = True

    do_GET = do_HEAD = do_POST = do_PUT = _answer  # noqa: N815 - the names are the standard library's

    def log_message(self, *_: object) -> None:
        """Says nothing."""


@pytest.fixture
def hanging() -> Iterator[Hanging]:
    with running(Hanging()) as server:
        yield server
        server.over.set()


def cancel_when_asked(hanging: Hanging, cancel: Cancel) -> None:
    if hanging.asked.wait(100):
        cancel.set("ada")


@pytest.fixture
def cancel(hanging: Hanging) -> Iterator[Cancel]:
    """Set as soon as the registry hangs."""
    made = Cancel()
    in_thread(partial(cancel_when_asked, hanging, made))
    yield made
    hanging.asked.set()
    made.close()


@pytest.mark.engine
def test_cancel_in_mid_pull_ends_the_step(ran: JobRunner, hanging: Hanging) -> None:
    cancel = Cancel()

    def listen(event: Event) -> None:
        if isinstance(event, StepStarted):
            in_thread(partial(cancel_when_asked, hanging, cancel))

    job = ran(shell("true", box=container(f"{hanging.host}/a:1")), cancel=cancel, on_event=listen)
    cancel.close()
    assert job.step() == CANCELED
    assert job.outcome == CANCELED


@pytest.mark.engine
def test_cancel_in_mid_push_ends_the_step(ran: JobRunner, hanging: Hanging, cancel: Cancel) -> None:
    files = {"Dockerfile": "FROM busybox\n"}
    job = ran(build(), push(1, f"{hanging.host}/a", f"{hanging.host}/b"), files=files, cancel=cancel)
    assert job.step(2) == CANCELED
    assert job.pushed == []


@pytest.mark.engine
@pytest.mark.both_stores
def test_while_a_push_hangs_the_name_means_to_other_jobs_what_it_meant_before(ran: JobRunner, hanging: Hanging) -> None:
    name, cancel = f"{hanging.host}/a", Cancel()
    ran.engine.tag("busybox", name, "latest")
    files = {"Dockerfile": f"FROM busybox\nRUN touch /evil # {secrets_hex()}\n"}
    pushing = in_thread(lambda: ran(build(), push(1, name), files=files, cancel=cancel))
    try:
        assert hanging.asked.wait(100)
        evil = (ran.engine.image(name) or {})["Id"]
        assert evil != (ran.engine.image("busybox") or {})["Id"], "the push has the name now"
        step = shell("ls /evil 2>/dev/null || echo clean", box=container(name))
        assert ran(step).said() == ["clean"]
        base = build(dockerfile_inline=f"FROM {name}\nRUN test ! -e /evil # {secrets_hex()}\n")
        if ran.has_current_buildkit:
            assert ran(base, files={"x": ""}).outcome.state is State.PASSED
    finally:
        cancel.set("ada")
        pushing.join(100)
        cancel.close()
    kept = (ran.engine.image(name) or {})["Id"]
    ran.engine.untag(name)
    assert kept == (ran.engine.image("busybox") or {})["Id"]


@pytest.mark.engine
def test_the_time_of_the_job_ends_a_pull(ran: JobRunner, hanging: Hanging) -> None:
    job = ran(shell("true", box=container(f"{hanging.host}/a:1")), timeout_s=2)
    assert (job.step().state, job.step().reason) == (State.FAILED, Reason.TIMEOUT)
    assert "the job's time of 2 s" in job.step().message


def test_messages_come_through_in_their_order() -> None:
    asked: list[int] = []
    messages: list[Message] = [{"id": number} for number in range(5)]
    assert list(interruptible(iter(messages), lambda: asked.append(1))) == messages
    assert asked


def test_an_error_among_the_messages_is_raised_where_they_are_read() -> None:
    def messages() -> Iterator[Message]:
        yield {"id": 1}
        raise MachineError(Reason.ENGINE_GONE, "gone")

    heard = interruptible(messages(), lambda: None)
    assert next(heard) == {"id": 1}
    with pytest.raises(MachineError):
        next(heard)


def test_a_check_that_raises_ends_the_wait() -> None:
    never = threading.Event()

    def messages() -> Iterator[Message]:
        never.wait(60)
        yield {}

    def check() -> None:
        raise CanceledError(Reason.CANCELED, "canceled by ada")

    with pytest.raises(CanceledError):
        next(interruptible(messages(), check))
    never.set()
