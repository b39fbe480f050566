"""What a Dockerfile names is found however it is written, and BuildKit itself has the last word on what it uses."""

import random
from collections.abc import Callable, Iterator
from pathlib import Path
from time import monotonic

import pytest

from pipelines.images.own_images import canonical
from pipelines.plan import BuildStep
from pipelines.state import Reason, State
from runner.builds.buildkit import Builder, Watch
from runner.builds.buildkit import build as run_build
from runner.builds.command import BuildRequest
from runner.builds.dockerfile import images_of
from runner.cancellation import Cancel
from runner.errors import StepError
from runner.execution.job.isolation import Isolation
from tests.support.deceptions import DECEPTIONS
from tests.support.engine import JobRunner
from tests.support.plans import build, container, secrets_hex, shell
from tests.support.registry import Registry

pytestmark = [pytest.mark.engine]


@pytest.fixture
def own_name(ran: JobRunner) -> Iterator[str]:
    """A name of Headway's own, as another job would have it: of busybox."""
    tag = secrets_hex()
    ran.engine.tag("busybox", "headway/build", tag)
    yield f"headway/build:{tag}"
    ran.engine.untag(f"headway/build:{tag}")


@pytest.mark.parametrize("text", DECEPTIONS)
def test_no_spelling_hides_an_image_of_headways_own(ran: JobRunner, own_name: str, text: str) -> None:
    text = text.format(own_name, own_name.removeprefix("headway"))
    job = ran(build(), shell("true", box=container(1)), files={"Dockerfile": f"{text}\n"})
    assert job.states[0] is State.FAILED, job.everything()
    assert job.step().reason in {Reason.INVALID_PIPELINE, Reason.BUILD_FAILED}, job.step()
    assert job.built == []
    if job.step().reason is Reason.BUILD_FAILED:  # BuildKit of this version takes it for an error
        assert "could not be built" in job.step().message
        assert "load metadata" not in job.log().decode()


def test_an_image_that_only_buildkit_can_tell_is_checked_while_it_is_built(ran: JobRunner, own_name: str) -> None:
    ran.need_current_buildkit()
    text = f"ARG X=x{own_name}\nFROM ${{X#?}}\nRUN echo has-run # {secrets_hex()}\n"
    job = ran(build(), shell("true", box=container(1)), files={"Dockerfile": text})
    assert job.states == [State.FAILED, State.SKIPPED]
    assert f"BuildKit uses the image docker.io/{own_name}, which was not found" in job.step().message
    assert "write the name of each image without variables" in job.step().message
    assert "0 has-run" not in job.log().decode()
    assert job.built == []


def test_such_an_image_of_a_registry_needs_the_login_of_the_repository(
    ran: JobRunner, registry: Registry, given_image: Callable[..., str]
) -> None:
    ran.need_current_buildkit()
    name = f"{registry.host}/team/{secrets_hex()}:1"
    ran.engine.tag(given_image(f"FROM busybox\nLABEL a={secrets_hex()}\n"), *name.rsplit(":", 1))
    text = f"ARG X=x{name}\nFROM ${{X#?}}\n"
    try:
        job = ran(build(), files={"Dockerfile": text}, isolation=Isolation(login_hosts=frozenset({registry.host})))
        assert job.step().state is not State.PASSED, "the registry does not have it, so it cannot confirm the access"
        assert ran(build(), files={"Dockerfile": text}).outcome.state is State.PASSED
    finally:
        ran.engine.untag(name)


@pytest.mark.parametrize("rawjson", [True, False])
def test_a_client_that_tells_of_another_image_is_ended_at_once(
    ran: JobRunner, tmp_path: Path, *, rawjson: bool
) -> None:
    step = "[internal] load metadata for docker.io/library/python:3"
    told = f'{{"vertexes":[{{"digest":"d","name":"{step}"}}]}}' if rawjson else f"#1 {step}"
    client = tmp_path / "client"
    client.write_text(f"#!/bin/sh\necho '{told}'\nsleep 60\n")
    client.chmod(0o755)
    own = JobRunner(ran.engine, Builder((str(client),), rawjson=rawjson, metadata=True), tmp_path / "jobs")
    begun = monotonic()
    job = own(build(), files={"Dockerfile": "FROM busybox\n"})
    assert (job.step().state, job.step().reason) == (State.FAILED, Reason.INVALID_PIPELINE)
    assert "docker.io/library/python:3, which was not found in the Dockerfile" in job.step().message
    assert monotonic() - begun < 30


def test_what_a_trigger_of_a_base_image_names_is_checked_too(
    ran: JobRunner, given_image: Callable[..., str], own_name: str
) -> None:
    base = f"headway-test/{secrets_hex()}:1"
    ran.engine.tag(given_image(f"FROM busybox\nONBUILD COPY\t--from={own_name} /bin/true /o/\n"), *base.split(":"))
    job = ran(build(), files={"Dockerfile": f"FROM {base}\n"})
    ran.engine.untag(base)
    assert (job.step().state, job.step().reason) == (State.FAILED, Reason.INVALID_PIPELINE)
    assert f"{own_name}, an image of Headway's own" in job.step().message


# Our reading and BuildKit's


def resolved(ran: JobRunner, folder: Path, text: str) -> tuple[set[str], str]:
    """The images that BuildKit looks up for a Dockerfile, and the error if the build fails."""
    folder.mkdir()
    for name in ("scratch", "config", "context"):
        (folder / name).mkdir()
    (folder / "context" / "Dockerfile").write_text(text)
    found: set[str] = set()
    context, engine = folder / "context", ran.engine.connection.transport.variables()
    tag = f"headway-test/{secrets_hex()}:1"
    request = BuildRequest(
        BuildStep(number=1, name="b"), context, context, folder / "scratch", folder / "config", engine, {}, tag,
        check_image=lambda name: found.add(canonical(name)),
    )  # fmt: skip
    cancel = Cancel()
    try:
        run_build(ran.builder, request, Watch(lambda _: None, lambda _: None, cancel, monotonic() + 60.0))
    except StepError as error:
        return found, str(error)
    finally:
        cancel.close()
        if ran.engine.image(tag):
            ran.engine.untag(tag)
    return found, ""


LINES = [
    "COPY\t--from={0} /bin/true /o/", "copy --chown=0 --from={0} /bin/true /o/", "RUN\f--mount=from={0},target=/x true",
    "RUN --mount=type=cache,target=/y --mount=fr\\om={0},target=/x true", 'RUN echo "<<E"', "RUN echo x<<E",
    "RUN cat <<E\nCOPY --from={0} a b\nE", "RUN cat <<'E'F\nFROM {0}\nEF", "RUN cat <<E <<-F\nE\n\tF",
    'RUN ["echo","<<E"]',
    "COPY <<E /f\nFROM {0}\nE", "RUN echo \\\n# a comment\n\n  a", "RUN : $((1 <<2)); true", "ENV A=b\\\n c=d",
    "LABEL a='<<E'",
    "RUN echo \\\\", "ONBUILD COPY --from=none x y", "RUN echo '\\' # \\\nCOPY --from={0} /bin/true /o/",
]  # fmt: skip
FROMS = [
    "FROM {0}", "from\t{0} as\ts{1}", "ARG V{1}={0}\nFROM {0}", "FROM --platform=$BUILDPLATFORM {0} AS t{1}",
    "FROM \\\n {0}",
    "FROM '{0}'", "FROM ${{NONE:-{0}}}",
]  # fmt: skip


def generated(chance: random.Random, names: list[str]) -> str:
    heads = ["", "# escape=`\n", "# a comment\n# escape=`\n", "\ufeff", "ARG A={0}\nFROM $A AS first\n"]
    parts = [chance.choice(heads)]
    for number in range(chance.randint(1, 2)):
        parts.append(chance.choice(FROMS).format("{0}", number) + "\n")
        parts += [chance.choice(LINES) + "\n" for _ in range(chance.randint(1, 3))]
    text = "".join(part.replace("{0}", chance.choice(names)).replace("{{", "{").replace("}}", "}") for part in parts)
    return text.replace("\n", "\r\n") if chance.random() < 0.2 else text


def test_our_reading_has_all_images_that_buildkit_looks_up(ran: JobRunner, tmp_path: Path) -> None:
    chance = random.Random(37)
    names = [f"headway-test/{secrets_hex()}:{number}" for number in range(3)]
    for name in names:
        ran.engine.tag("busybox", *name.split(":"))
    built = 0
    try:
        for number in range(40):
            text = generated(chance, names)
            found, error = resolved(ran, tmp_path / str(number), text)
            ours = {canonical(image.name) for image in images_of(text, {}).images} - {"none:latest"}
            built += not error
            assert found <= ours, text
            if not error and ran.has_current_buildkit:
                assert found == ours, text
    finally:
        for name in names:
            ran.engine.untag(name)
    assert built >= 10
