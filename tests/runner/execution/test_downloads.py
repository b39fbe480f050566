"""The engine downloads what ADD names, in its host's own network: jobs may not have it ask the host for them."""

import subprocess
from collections.abc import Callable, Iterator
from hashlib import sha256

import pytest

from pipelines.context import Access, Trust
from pipelines.state import Reason, State
from runner.docker.client import Engine
from runner.errors import StepError
from runner.execution.host_access import DOWNLOAD_HOSTS_COUNT_MAX, check_downloads
from tests.support.engine import JobRunner
from tests.support.forward_proxy import gateway_of
from tests.support.host_rules import hello_server
from tests.support.job_result import JobResult
from tests.support.plans import build, secrets_hex
from tests.support.registry import Registry

pytestmark = pytest.mark.engine

TRUSTED = Access(push=True, shared_caches=True)
UNTRUSTED = Access(untrusted="it comes from a fork")
WITH_TRUST = Access(Trust(network=True))
CONTENT = "sha256:" + sha256(b"reached").hexdigest()


@pytest.fixture
def server() -> Iterator[int]:
    with hello_server() as port:
        yield port


def built(ran: JobRunner, text: str, access: Access, **args: str) -> JobResult:
    return ran(build(dockerfile_inline=f"FROM busybox\n{text}\n", args=args), files={"x": "here"}, access=access)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "GATEWAY", "[::ffff:127.0.0.1]"])
@pytest.mark.parametrize("form", ["ADD http://{}/x /y", "ARG H={}\nADD http://$H/x /y", "ENV U=http://{}/x\nADD $U /y"])
def test_a_build_downloads_from_the_host_only_with_trust(
    ran: JobRunner, engine: Engine, server: int, host: str, form: str
) -> None:
    text = form.format(f"{host.replace('GATEWAY', gateway_of(engine))}:{server}")
    for access in (TRUSTED, UNTRUSTED):
        job = built(ran, text, access)
        assert (job.outcome.state, job.outcome.reason) == (State.FAILED, Reason.INVALID_PIPELINE)
        assert "ADD" in job.outcome.message
    assert "needs trust in 'network'" in built(ran, text, TRUSTED).outcome.message
    assert built(ran, f"{text}\nRUN grep reached /y", WITH_TRUST).outcome.state is State.PASSED


def test_the_number_of_hosts_is_bounded(engine: Engine) -> None:
    def check(count: int) -> None:
        text = "\n".join(f"ADD http://198.51.100.{number}/x /y" for number in range(count))
        check_downloads(text, TRUSTED, engine, {})

    check(DOWNLOAD_HOSTS_COUNT_MAX)
    with pytest.raises(StepError, match="ADD from more than 20 hosts needs trust in 'network'"):
        check(DOWNLOAD_HOSTS_COUNT_MAX + 1)


def test_a_build_argument_cannot_name_the_host_either(ran: JobRunner, server: int) -> None:
    job = built(ran, "ARG H\nADD http://$H/x /y", TRUSTED, H=f"127.0.0.1:{server}")
    assert "where one names the engine's host" in job.outcome.message


def test_an_untrusted_build_downloads_only_what_it_knows_and_says_how(ran: JobRunner) -> None:
    for source in ("http://192.0.2.1/x", "$FILE"):
        job = built(ran, f"ARG FILE=x\nADD {source} /y", UNTRUSTED)
        assert job.outcome.reason is Reason.INVALID_PIPELINE
        assert "write `ADD --checksum=sha256:... URL`" in job.outcome.message
    assert built(ran, "ARG FILE=x\nADD x /y\nADD $FILE /z", TRUSTED).outcome.state is State.PASSED
    assert built(ran, "ADD x /y", UNTRUSTED).outcome.state is State.PASSED


def test_an_untrusted_build_with_a_checksum_is_stopped_by_the_host_alone(ran: JobRunner, server: int) -> None:
    job = built(ran, f"ADD --checksum={CONTENT} http://127.0.0.1:{server}/x /y", UNTRUSTED)
    assert "ADD from 127.0.0.1, an address of the engine's host" in job.outcome.message


@pytest.fixture
def downloading_base(ran: JobRunner, given_image: Callable[..., str], registry: Registry, server: int) -> Iterator[str]:
    """A base image, in the engine and in a registry, that has every build on it download from the engine's host."""
    base = f"{registry.host}/hostrules-base-{secrets_hex()}:1"
    ran.engine.tag(given_image(f"FROM busybox\nONBUILD ADD http://127.0.0.1:{server}/x /y\n"), *base.rsplit(":", 1))
    subprocess.run(["docker", "push", "--quiet", base], check=True)
    yield base
    ran.engine.untag(base)


@pytest.mark.parametrize("pull", [False, True])
def test_a_base_image_cannot_download_for_the_build(ran: JobRunner, downloading_base: str, *, pull: bool) -> None:
    text = f"FROM {downloading_base}\n"
    for access in (TRUSTED, UNTRUSTED):
        job = ran(build(dockerfile_inline=text, pull=pull), files={"x": ""}, access=access)
        assert job.outcome.reason is Reason.INVALID_PIPELINE, job.everything()
        assert "ADD" in job.outcome.message
    step = build(dockerfile_inline=f"{text}RUN grep reached /y\n", pull=pull)
    assert ran(step, files={"x": ""}, access=WITH_TRUST).outcome.state is State.PASSED


def test_a_base_image_that_only_buildkit_can_tell_cannot_either(ran: JobRunner, downloading_base: str) -> None:
    ran.need_current_buildkit()
    text = f"ARG X=x{downloading_base}\nFROM ${{X#?}}\nRUN grep reached /y\n"
    job = ran(build(dockerfile_inline=text), files={"x": ""}, access=TRUSTED)
    assert (job.outcome.state, job.outcome.reason) == (State.FAILED, Reason.INVALID_PIPELINE), job.everything()
    assert "ADD from 127.0.0.1, an address of the engine's host" in job.outcome.message
    assert ran(build(dockerfile_inline=text), files={"x": ""}, access=WITH_TRUST).outcome.state is State.PASSED
