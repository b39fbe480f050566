"""JobImages of several platforms: built, tested and pushed as one index where the engine's image store can keep it."""

import struct

import pytest

from pipelines.images import platforms
from pipelines.state import Reason, State
from runner.docker.client import Engine
from runner.docker.compatibility import CONTAINERD_STORE
from tests.support.engine import JobRunner
from tests.support.plans import Content, build, container, push, secrets_hex, shell
from tests.support.registry import Registry

BOTH = ("linux/amd64", "linux/arm64")
S390 = 22
"""The machine's number in an ELF header (elf(5))."""
FOREIGN_PROGRAM = struct.pack("<16sHHI", b"\x7fELF\x02\x01\x01", 2, S390, 1) + bytes(100)
INDEX = "application/vnd.docker.distribution.manifest.list.v2+json"


@pytest.mark.parametrize(
    ("names", "several"),
    [
        ((), False),
        (("linux/amd64",), False),
        (("linux/amd64", "Linux/x86_64", "amd64", "linux/amd64/v1"), False),
        (("linux/arm64", "arm64", "aarch64", "linux/arm64/v8", "linux/aarch64/8"), False),
        (("linux/arm", "armhf", "linux/arm/v7", "linux/arm/7"), False),
        (("linux/arm/v6", "armel"), False),
        (("linux/386", "i386"), False),
        (("linux/amd64", "linux/amd64/v3"), True),
        (("linux/arm/v6", "linux/arm"), True),
        (BOTH, True),
    ],
)
def test_one_platform_in_several_spellings_is_one(names: tuple[str, ...], several: bool) -> None:
    assert platforms.are_several(names) is several
    assert all(map(platforms.canonical, names))


@pytest.mark.parametrize(
    ("names", "missing"),
    [((), False), (("arm64",), True), (("arm64", "s390x"), True), (("x86_64", "arm64"), False), (("amd64/v2",), True),
     (("linux/amd64/v2",), False), (("windows/amd64",), True)],
)  # fmt: skip
def test_an_image_may_lack_the_platform_of_its_tests(names: tuple[str, ...], missing: bool) -> None:
    assert platforms.lack(names, "linux/amd64") is missing


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("linux/amd46", "did you mean linux/amd64?"),
        ("arm46", "did you mean linux/arm/v6?"),
        ("lunix/arm64", "did you mean linux/arm64?"),
        ("windows/amd46", "did you mean windows/amd64?"),
        ("local", "leave 'platforms' out to build for the machine's own, or write for example linux/arm64"),
        ("/", "write for example linux/arm64"),
    ],
)
def test_what_is_no_platform_gets_the_nearest_one(name: str, hint: str) -> None:
    assert (platforms.canonical(name), platforms.hint_for(name)) == ("", hint)


@pytest.fixture
def dockerfile() -> dict[str, str]:
    """An image of nothing but a shell; which platform it is for can be read in it. Nothing is run while it is built."""
    text = (
        "FROM --platform=$BUILDPLATFORM busybox AS programs\n"
        "FROM scratch\n"
        "ARG TARGETARCH\n"
        "COPY --from=programs /bin/ /bin/\n"
        f"ENV MADE_FOR=$TARGETARCH MARK={secrets_hex()}\n"
    )
    return {"Dockerfile": text}


@pytest.fixture
def containerd_store(engine: Engine) -> None:
    """Skips a test where the engine has its own image store."""
    if (store := engine.image_store()) != CONTAINERD_STORE:
        pytest.skip(f"the engine keeps its images in {store}")


@pytest.mark.engine
@pytest.mark.both_stores
def test_an_engine_that_cannot_keep_it_says_what_to_switch_on(ran: JobRunner, dockerfile: dict[str, str]) -> None:
    if (store := ran.engine.image_store()) == CONTAINERD_STORE:
        pytest.skip("the engine has the containerd image store")
    outcome = ran(build(platforms=BOTH), files=dockerfile).step()
    assert (outcome.state, outcome.reason) == (State.FAILED, Reason.INVALID_PIPELINE)
    assert f"this one has {store}" in outcome.message
    assert '{"features": {"containerd-snapshotter": true}}' in outcome.message


@pytest.mark.engine
@pytest.mark.both_stores
@pytest.mark.usefixtures("containerd_store")
def test_the_native_image_is_tested_and_the_index_is_pushed(
    ran: JobRunner, registry: Registry, dockerfile: dict[str, str]
) -> None:
    where = f"{registry.host}/team/{secrets_hex()}"
    tests = shell('echo "$MADE_FOR $MARK"', box=container(1))
    job = ran(
        build(platforms=("x86_64", *BOTH, "linux/arm64/v8")), tests, push(1, where, tags=("1", "2")), files=dockerfile
    )
    assert job.outcome.state is State.PASSED, job.everything()
    architecture, mark = job.said(2)[0].split()
    assert len(job.pushed) == 2
    for event in job.pushed:
        digest, index = registry.manifest(where, event.tag)
        assert event.digest == event.image_id == digest
        assert index["mediaType"] == INDEX
        found = {each["platform"]["architecture"]: each["digest"] for each in index["manifests"]}
        assert set(found) == {"amd64", "arm64"}
        configs = {name: registry.config(where, digest) for name, digest in found.items()}
        assert {name: config["architecture"] for name, config in configs.items()} == {name: name for name in found}
        assert f"MARK={mark}" in configs[architecture]["config"]["Env"]


@pytest.mark.engine
@pytest.mark.both_stores
@pytest.mark.usefixtures("containerd_store")
def test_the_same_index_is_what_a_later_step_gets_from_the_registry(
    ran: JobRunner, registry: Registry, dockerfile: dict[str, str]
) -> None:
    where = f"{registry.host}/team/{secrets_hex()}"
    job = ran(
        build(platforms=BOTH),
        push(1, where),
        shell('echo "$MADE_FOR"', box=container(f"{where}:latest", directory="/")),
        files=dockerfile,
    )
    assert job.outcome.state is State.PASSED, job.everything()
    assert job.said(3)[0] in {"amd64", "arm64"}
    ran.engine.untag(f"{where}:latest")


@pytest.mark.engine
@pytest.mark.both_stores
def test_a_program_for_another_processor_says_what_to_install(ran: JobRunner) -> None:
    files: dict[str, Content] = {
        "Dockerfile": "FROM scratch\nCOPY --chmod=755 sh /bin/sh\nRUN true\n",
        "sh": FOREIGN_PROGRAM,
    }
    outcome = ran(build(platforms=("linux/s390x",)), files=files).step()
    assert outcome.reason is Reason.BUILD_FAILED
    assert "cannot run programs of that platform: install emulation" in outcome.message


@pytest.mark.engine
@pytest.mark.both_stores
def test_the_machines_own_platform_in_several_spellings_is_built_as_without_it(ran: JobRunner) -> None:
    arch = ran.engine.connection.version.arch
    job = ran(build(dockerfile_inline="FROM busybox\nLABEL a=b\n", platforms=(arch, f"Linux/{arch}", f"linux/{arch}")))
    assert job.outcome.state is State.PASSED, job.everything()
    pinned = "[image] FROM docker.io/library/busybox"
    bare = ran(build(dockerfile_inline="FROM busybox\nLABEL a=b\n"))
    assert (pinned in job.everything()) is (pinned in bare.everything())


@pytest.mark.engine
@pytest.mark.both_stores
@pytest.mark.usefixtures("containerd_store")
def test_a_base_image_without_the_platform_is_named(
    ran: JobRunner, registry: Registry, dockerfile: dict[str, str]
) -> None:
    base = f"{registry.host}/team/{secrets_hex()}"
    other = build(dockerfile_inline=f"FROM {base}\nLABEL a=b\n", platforms=("s390x",), pull=True)
    outcome = ran(build(platforms=BOTH), push(1, base), other, files=dockerfile).step(3)
    assert outcome.reason is Reason.IMAGE_NOT_FOUND
    assert "a base image does not exist for a platform of the build (Dockerfile:1): " in outcome.message


@pytest.mark.engine
@pytest.mark.both_stores
@pytest.mark.usefixtures("containerd_store")
def test_an_image_of_several_platforms_may_be_empty(ran: JobRunner) -> None:
    """Newer versions of buildx build it."""
    outcome = ran(build(dockerfile_inline="FROM scratch\nLABEL a=b\n", platforms=BOTH)).step()
    needs = "an image of several platforms needs a file in it: add a COPY, or upgrade docker's buildx plugin"
    assert outcome.state is State.PASSED or needs in outcome.message


@pytest.mark.engine
@pytest.mark.both_stores
@pytest.mark.usefixtures("containerd_store")
def test_no_image_of_an_index_may_be_the_machines_own(ran: JobRunner) -> None:
    files: dict[str, Content] = {"Dockerfile": "FROM scratch\nCOPY --chmod=755 sh /bin/sh\n", "sh": FOREIGN_PROGRAM}
    job = ran(build(platforms=("s390x", "linux/ppc64le")), shell("true", box=container(1)), files=files)
    assert "not built for this machine's own platform, linux/" in job.everything()
    assert job.step(2).reason is Reason.BAD_COMMAND
    assert "install emulation" in job.step(2).message


@pytest.mark.engine
@pytest.mark.both_stores
def test_a_step_in_an_image_for_another_processor_says_so(ran: JobRunner) -> None:
    files: dict[str, Content] = {"Dockerfile": "FROM scratch\nCOPY --chmod=755 sh /bin/sh\n", "sh": FOREIGN_PROGRAM}
    outcome = ran(build(platforms=("linux/s390x",)), shell("true", box=container(1)), files=files).step(2)
    assert outcome.reason is Reason.BAD_COMMAND
    assert "its image is for linux/s390x" in outcome.message
    assert "install emulation" in outcome.message


@pytest.mark.engine
@pytest.mark.both_stores
def test_an_image_of_one_other_platform_is_built_and_pushed(
    ran: JobRunner, registry: Registry, dockerfile: dict[str, str]
) -> None:
    where = f"{registry.host}/team/{secrets_hex()}"
    job = ran(build(platforms=("linux/s390x",)), push(1, where), files=dockerfile)
    assert job.outcome.state is State.PASSED, job.everything()
    assert registry.config(where, "latest")["architecture"] == "s390x"
