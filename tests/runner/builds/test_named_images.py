"""A FROM means what an earlier step of the job has given its name to, and a cache is written where the engine can."""

from collections.abc import Callable
from typing import Any

import pytest

from pipelines.context import Access
from pipelines.plan import BuildStep, Step
from pipelines.state import Reason, State
from runner.docker.client import Engine
from runner.docker.compatibility import CONTAINERD_STORE
from runner.execution.job.options import Options
from tests.support.engine import JobRunner, need_host_users
from tests.support.plans import build, container, push, secrets_hex, shell
from tests.support.registry import Registry
from tests.support.registry_images import untag_matching

pytestmark = pytest.mark.engine

SOCKET = container("python:3.13-slim", volumes=("/var/run/docker.sock:/var/run/docker.sock",))
TAG = """python - <<'EOF'
import http.client, socket
class Here(http.client.HTTPConnection):
    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect("/var/run/docker.sock")
here = Here("docker")
here.request("POST", "/images/%s/tag?repo=%s&tag=1", headers={"Content-Length": "0"})
assert here.getresponse().status == 201
EOF"""


def made(word: str, **keys: Any) -> BuildStep:
    return build(dockerfile_inline=f"FROM busybox\nRUN echo {word} > /word\n", **keys)


def on(name: str) -> BuildStep:
    return build(dockerfile_inline=f"FROM {name}\nRUN cat /word # {secrets_hex()}\n")


def test_a_from_means_what_an_earlier_step_built_or_would_push(ran: JobRunner) -> None:
    ran.need_current_buildkit()
    one, two = f"team/{secrets_hex()}", f"r.example.test/team/{secrets_hex()}"
    job = ran(
        made("plugin", names=(f"{one}:1", f"docker.io/{one}:latest")),
        on(f"{one}:1"),
        made("pushed"),
        push(3, two, tags=("1",)),
        on(f"{two}:1"),
        on(one),
        shell("cat /word", box=container(f"{two}:1")),
        options=Options(push=False),
    )
    assert job.outcome.state is State.PASSED, job.everything()
    logs = {number: job.log(number).decode() for number in (2, 5, 6, 7)}
    words = {number: [word for word in ("plugin", "pushed") if word in log] for number, log in logs.items()}
    assert words == {2: ["plugin"], 5: ["pushed"], 6: ["plugin"], 7: ["pushed"]}


def test_a_from_means_what_a_step_with_the_engine_has_tagged(
    ran: JobRunner, engine: Engine, given_image: Callable[..., str]
) -> None:
    need_host_users(engine, "the engine's socket is not for it")
    name = f"headway-test/{secrets_hex()}"
    steps: list[Step] = []
    for word in ("first", "second"):
        tagged = given_image(f"FROM busybox\nRUN echo {word} > /word\n")
        steps += [shell(TAG % (tagged, name), box=SOCKET), on(f"{name}:1")]
    try:
        job = ran(*steps)
        assert job.outcome.state is State.PASSED, job.everything()
        assert ("first" in job.log(2).decode(), "second" in job.log(4).decode()) == (True, True)
    finally:
        engine.untag(f"{name}:1")


@pytest.mark.both_stores
def test_a_cache_that_the_engine_cannot_write_is_told_with_what_can_be_done(ran: JobRunner, registry: Registry) -> None:
    cache = f"type=registry,ref={registry.host}/cache/{secrets_hex()}"
    step = made(secrets_hex(), cache_to=(cache,))
    outcome = ran(step).step()
    if (store := ran.engine.image_store()) == CONTAINERD_STORE:
        assert outcome.state is State.PASSED
        return
    assert (outcome.state, outcome.reason) == (State.FAILED, Reason.INVALID_PIPELINE)
    assert f"this one has {store}; write `cache_to: type=inline` and `cache_from: IMAGE`" in outcome.message
    untrusted = Access(untrusted="a fork")
    assert ran(step, access=untrusted).step().state is State.PASSED


@pytest.mark.both_stores
def test_what_is_told_to_do_instead_works(ran: JobRunner, registry: Registry) -> None:
    ran.need_current_buildkit()
    name, word = f"{registry.host}/app/{secrets_hex()}", secrets_hex()
    step = made(word, cache_to=("type=inline",), cache_from=(name,))
    assert ran(step, push(1, name)).outcome.state is State.PASSED
    again = ran(step)
    assert f"RUN echo {word} > /word" in [news.text.partition("] ")[2] for news in again.instructions() if news.cached]
    untag_matching(ran.engine, name)
