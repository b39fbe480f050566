"""The engine downloads what ADD names, in its host's own network: jobs may not have it ask the host for them."""

import subprocess
from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path

import pytest

from pipelines.context import Access, Trust
from pipelines.state import Reason, State
from runner.builds.add_sources import Base, Variables, add_sources
from runner.builds.buildkit import Builder
from runner.builds.remote_files import remote_files
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
        check_downloads(remote_files(text), TRUSTED, engine)

    check(DOWNLOAD_HOSTS_COUNT_MAX)
    with pytest.raises(StepError, match="ADD from more than 20 hosts needs trust in 'network'"):
        check(DOWNLOAD_HOSTS_COUNT_MAX + 1)


def test_a_build_argument_cannot_name_the_host_either(ran: JobRunner, server: int) -> None:
    job = built(ran, "ARG H\nADD http://$H/x /y", TRUSTED, H=f"127.0.0.1:{server}")
    assert "ADD from 127.0.0.1, an address of the engine's host" in job.outcome.message


def test_an_untrusted_build_downloads_only_what_it_knows_and_says_how(ran: JobRunner) -> None:
    for source in ("http://192.0.2.1/x", "$FILE/x", "$FILE.1/x.git", "192.0.2.1/x.git", "git@192.0.2.1:x", "a/x.git"):
        job = built(ran, f"ARG FILE=http://192.0.2\nADD {source} /y", UNTRUSTED)
        assert job.outcome.reason is Reason.INVALID_PIPELINE
        assert "write `ADD --checksum=sha256:... URL`" in job.outcome.message
    assert built(ran, "ARG FILE=x\nADD x /y\nADD $FILE /z", TRUSTED).outcome.state is State.PASSED
    assert built(ran, "ARG X=x\nADD ./$X /y\nADD $X /z", UNTRUSTED).outcome.state is State.PASSED


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


# Ways to write an address of the host: HOST is its address, HALF and REST are the two parts of it.
SPELLINGS = [
    'ENV U=http://HALF\nADD "${U}REST:PORT/x" /y', "ADD http://HALF$R:PORT/x /y",
    "ENV U=xhttp:// H=HOST\nADD ${U#x}$H:PORT/x /y",
    "ENV U=http://HOST:PORTq\nADD ${U//q//x} /y", "ENV H=HOST\nADD ${H:+http://}$H:PORT/x /y",
    "FROM busybox\nARG A\nENV B=://HOST\nADD $A$B:PORT/x /y", "ENV H=HOST\nFROM first\nADD http://$H:PORT/x /y",
    "ADD //HOST:PORT/x.git /y", "ADD HOST:PORT/x.git#a /y", 'ADD ["HOST:PORT/x.git", "/y"]', "ADD HOST:PORT/x.gi%74 /y",
    "ADD github.com:x@HOST:PORT/u.git /y",
]  # fmt: skip


@pytest.mark.parametrize("text", SPELLINGS)
def test_no_spelling_reaches_the_host(ran: JobRunner, engine: Engine, text: str) -> None:
    host, asked = gateway_of(engine), list[str]()
    half, rest = host[:3], host[3:]
    with hello_server(asked) as port:
        for word, value in (("HOST", host), ("HALF", half), ("REST", rest), ("PORT", str(port))):
            text = text.replace(word, value)
        text = f"ARG A=http\nFROM busybox AS first\nARG R={rest}\n{text}\n"
        job = ran(build(dockerfile_inline=text), files={"x": ""}, access=TRUSTED)
    assert (job.outcome.state, job.outcome.reason) == (State.FAILED, Reason.INVALID_PIPELINE), job.everything()
    assert f"ADD from {host}, an address of the engine's host" in job.outcome.message
    assert asked == []


@pytest.mark.parametrize("inherited", [True, False])
def test_variables_of_a_base_image_are_known(
    ran: JobRunner, given_image: Callable[..., str], server: int, *, inherited: bool
) -> None:
    base = given_image(f"FROM busybox\nENV U=127.0.0.1:{server} FILE=x\nONBUILD ENV V=http://$U\n")
    text = f"FROM {base} AS first\nFROM first\n" if inherited else f"FROM {base}\n"
    job = ran(build(dockerfile_inline=f"{text}ADD http://$U/x /y\n"), files={"x": ""}, access=TRUSTED)
    assert "ADD from 127.0.0.1, an address of the engine's host" in job.outcome.message
    assert ran(build(dockerfile_inline=f"{text}ADD $FILE /y\n"), files={"x": ""}, access=UNTRUSTED).states == [
        State.PASSED
    ]
    if not inherited:
        job = ran(build(dockerfile_inline=f"{text}ADD $V/x /y\n"), files={"x": ""}, access=TRUSTED)
        assert "ADD from 127.0.0.1" in job.outcome.message


def test_a_host_that_only_buildkit_can_tell_needs_trust(ran: JobRunner, server: int) -> None:
    text = f"ENV U=xhttp://127.0.0.1:{server}/x\nADD ${{U#?}} /y"
    message = built(ran, text, TRUSTED).outcome.message
    assert "ADD ${U#?} in the Dockerfile needs trust in 'network'" in message
    assert "write the host out, without variables that the base image sets or patterns, or write ./FILE" in message


def test_the_variant_of_a_platform_cannot_name_the_host(ran: JobRunner, engine: Engine) -> None:
    front, _, last = gateway_of(engine).rpartition(".")
    text = f"FROM busybox\nARG TARGETVARIANT\nADD http://{front}.$TARGETVARIANT/x /y"
    for platform in (f"linux/arm/{last}", "linux/arm/v7"):
        job = ran(build(dockerfile_inline=text, platforms=(platform,)), files={"x": ""}, access=TRUSTED)
        assert (job.outcome.reason is Reason.INVALID_PIPELINE) is (platform != "linux/arm/v7"), job.everything()


@pytest.mark.parametrize("source", ["http://127.0.0.1:9/x", "127.0.0.1:9/x.git", "git@localhost:x", "u:p@127.1/x.git"])
def test_a_client_that_tells_of_a_download_from_the_host_is_ended(ran: JobRunner, tmp_path: Path, source: str) -> None:
    """The second check: of the instruction as BuildKit runs it."""
    client = tmp_path / "client"
    step = f"[stage-0 2/3] ADD {source} /y"
    client.write_text(f"#!/bin/sh\necho '#5 {step}'\nsleep 60\n")
    client.chmod(0o755)
    own = JobRunner(ran.engine, Builder((str(client),), rawjson=False, metadata=True), tmp_path / "jobs")
    job = own(build(), files={"Dockerfile": "FROM busybox\n"}, access=TRUSTED)
    assert job.outcome.reason is Reason.INVALID_PIPELINE
    assert "an address of the engine's host" in job.outcome.message


# Our expansion and BuildKit's

EXPANDED = """ARG M=m
FROM {base} AS first
ARG M
ARG K=k L='l' TARGETARCH
ENV A=a B="b c" C=c\\ d E=e$A F=${{A}}f
ENV A=x G=$A H=${{NONE:-$A}}
ENV I j $A "k"
ENV N$K=n
ADD ./$A-1 ./${{B}}-2 /e/
ADD ["./$C-3", "./${{E}}$F-4", "/e/"]
ADD ./$G$H-5 ./$I-6 ./"$Nk"-7 ./'$A'-8 ./\\$A-9 /e/
ADD ./$M$K$L$TARGETARCH-10 ./$BASE$ONB-11 /e/
ADD ./${{A:+y}}${{NONE+z}}${{NONE:-w}}-12 ./${{F%f}}${{E#e}}-13 ./${{F//f/g}}-14 /e/
ARG A=arg
ADD ./$A-15 /e/
ONBUILD ADD ./$A-16 /e/
FROM first
ADD ./$A$K-17 /e/
ENV K=env
ARG K=arg
ARG GIVEN=no
ADD ./$K$GIVEN-18 /e/
FROM scratch
COPY --from=1 /e /e
ADD ./$A-19 ./$A$K$M-20 /e/
"""


def test_our_expansion_is_that_of_buildkit(ran: JobRunner, given_image: Callable[..., str]) -> None:
    ran.need_current_buildkit()
    base = given_image("FROM busybox\nENV BASE=base\nONBUILD ENV ONB=$BASE+\n")
    text = EXPANDED.format(base=base)
    arch = ran.engine.connection.version.arch
    known = Variables(
        {"GIVEN": "given"}, {"TARGETARCH": arch}, {(base, ""): Base({"BASE": "base"}, ("ENV ONB=$BASE+",))}
    )
    sources = add_sources(text, known)
    assert [source for source in sources if not source.known] == []
    files = {source.front.removeprefix("./"): "" for source in sources}
    assert {name.rpartition("-")[2] for name in files} == {str(number) for number in range(1, 21)}
    job = ran(build(dockerfile_inline=text, args={"GIVEN": "given"}), files=files, access=TRUSTED)
    assert job.outcome.state is State.PASSED, job.everything()
