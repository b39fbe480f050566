"""Jobs of different repositories on one engine: names, images, build caches and logins of one are not the other's."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pipelines.context import Access
from pipelines.plan import Step
from pipelines.state import Reason, State
from runner.cleanup.borrowed_tags import borrow_tag, return_borrowed_tag
from runner.execution.job.isolation import Isolation
from tests.support.engine import JobRunner
from tests.support.job_result import JobResult
from tests.support.plans import build, container, push, secrets_hex, shell
from tests.support.registry import LOGIN, Registry

pytestmark = [pytest.mark.engine, pytest.mark.both_stores]
REPO = Isolation(build_scope="one")
OTHER = Isolation(build_scope="two")
FORK = Isolation(build_scope="one fork")
UNTRUSTED = Access(untrusted="it comes from a fork")


@pytest.fixture
def borrowed_name(ran: JobRunner, given_image: Callable[..., str], tmp_path: Path) -> Iterator[str]:
    """A name of busybox, which a push of another job, of an image with the file /evil, has taken for now."""
    evil, name = given_image("FROM busybox\nRUN touch /evil\n"), f"headway-test/{secrets_hex()}:1"
    ran.engine.tag("busybox", *name.split(":"))
    (tmp_path / "scratch").mkdir()
    borrowed = borrow_tag(ran.engine, tmp_path, str((ran.engine.image(evil) or {})["Id"]), name)
    yield name
    assert borrowed is not None
    return_borrowed_tag(ran.engine, borrowed)
    ran.engine.untag(name)


def test_a_step_gets_the_image_that_its_name_meant_before_another_job_took_the_name(
    ran: JobRunner, borrowed_name: str
) -> None:
    job = ran(shell("ls /evil 2>/dev/null || echo clean", box=container(borrowed_name)))
    assert job.said() == ["clean"]


@pytest.mark.parametrize(
    "text",
    [
        "FROM {0}\nRUN test ! -e /evil\n",
        "ARG BASE={0}\nFROM $BASE AS x\nFROM x\nRUN test ! -e /evil\n",
        "FROM busybox\nCOPY --from={0} / /other/\nRUN test ! -e /other/evil\n",
        "FROM busybox\nRUN --mount=type=bind,from={0},target=/other test ! -e /other/evil\n",
    ],
)
@pytest.mark.parametrize("isolation", [REPO, FORK], ids=["repository", "fork"])
def test_a_build_gets_the_image_that_its_name_meant_before(
    ran: JobRunner, borrowed_name: str, text: str, isolation: Isolation
) -> None:
    ran.need_current_buildkit()
    text = f"{text.format(borrowed_name)}# {secrets_hex()}"
    job = ran(build(), files={"Dockerfile": text}, isolation=isolation)
    assert job.outcome.state is State.PASSED, job.everything()


def test_a_stage_with_the_name_of_its_image_stays_a_stage(ran: JobRunner) -> None:
    text = f"FROM busybox AS busybox\nRUN touch /x # {secrets_hex()}\nFROM busybox\nRUN test -e /x\n"
    for isolation in (REPO, FORK):
        job = ran(build(), files={"Dockerfile": text}, isolation=isolation)
        assert job.outcome.state is State.PASSED, job.everything()


def test_a_fork_may_use_the_arguments_of_its_platform(ran: JobRunner) -> None:
    arch = ran.engine.connection.version.arch
    text = f"FROM busybox AS base-{arch}\nFROM --platform=$BUILDPLATFORM base-$TARGETARCH\n"
    job = ran(build(), files={"Dockerfile": text}, isolation=FORK, access=UNTRUSTED)
    assert job.outcome.state is State.PASSED, job.everything()


def test_an_id_of_an_image_is_no_name(ran: JobRunner, given_image: Callable[..., str]) -> None:
    image_id = str((ran.engine.image(given_image(f"FROM busybox\nLABEL a={secrets_hex()}\n")) or {})["Id"])
    for name in (image_id.removeprefix("sha256:")[:12], image_id):
        job = ran(shell("true", box=container(name)))
        assert job.outcome.state is not State.PASSED


@pytest.mark.parametrize(
    "steps",
    [
        (shell("true", box=container("headway/sandbox:1")),),
        (build(dockerfile_inline="FROM headway/build:x\n"),),
        (build(dockerfile_inline="FROM busybox\nCOPY --from=docker.io/headway/build:x / /\n"),),
        (build(dockerfile_inline="FROM busybox\n", cache_from=("type=registry,ref=headway/build:x",)),),
        (build(dockerfile_inline="FROM busybox\n"), push(1, "headway/sandbox", tags=("1",))),
    ],
    ids=["step", "from", "copy", "cache", "push"],
)
def test_images_of_headways_own_are_refused(ran: JobRunner, steps: tuple[Step, ...]) -> None:
    job = ran(*steps, files={"x": ""})
    last = job.step(len(steps))
    assert (last.state, last.reason) == (State.FAILED, Reason.INVALID_PIPELINE)
    assert "Headway's own" in last.message


def test_the_name_of_a_build_cannot_be_guessed(ran: JobRunner) -> None:
    names: list[str] = []
    files = {"Dockerfile": "FROM busybox\n"}
    ran(
        build(),
        shell("true", box=container(1)),
        files=files,
        on_event=lambda _: names.extend(ran.engine.image_names("headway/build:*")),
    )
    mine = {name for name in names if ran.jobs[-1].key in name}
    assert mine
    assert all(len(name.rpartition("-")[2]) >= 16 for name in mine)


# Pushes


def test_a_fork_pushes_nothing_and_says_so(ran: JobRunner, registry: Registry) -> None:
    where = f"{registry.host}/team/{secrets_hex()}"
    job = ran(build(), push(1, where), files={"Dockerfile": "FROM busybox\n"}, isolation=FORK, access=UNTRUSTED)
    assert (job.step(2).state, job.step(2).reason) == (State.FAILED, Reason.PUSH_REFUSED)
    assert "an untrusted run pushes nothing (it comes from a fork)" in job.step(2).message
    assert not registry.has(where, "latest")
    assert job.pushed == []


def test_a_fork_writes_no_cache_of_its_builds(ran: JobRunner) -> None:
    step = build(cache_to=("type=registry,ref=registry.test/cache",), dockerfile_inline="FROM busybox\n")
    job = ran(step, files={"x": ""}, isolation=FORK, access=UNTRUSTED)
    assert "writes no shared cache: this run is untrusted" in job.log().decode()


# Build caches


def who(ran: JobRunner, isolation: Isolation, value: str) -> str:
    """Writes a value to the cache mount x, and returns what it held before."""
    run = f"touch /c/v; cat /c/v > /held; echo {value} > /c/v # {secrets_hex()}"
    files = {"Dockerfile": f"FROM busybox\nRUN --mount=type=cache,id=x,target=/c {run}\n"}
    job = ran(build(), shell("cat /held", box=container(1)), files=files, isolation=isolation)
    return "".join(job.said(2))


def test_cache_mounts_are_shared_within_a_repository_only(ran: JobRunner) -> None:
    name = secrets_hex()
    mine, others = Isolation(build_scope=name), Isolation(build_scope=f"{name} other")
    fork = Isolation(build_scope=f"{name} fork")
    assert who(ran, mine, "first") == ""
    assert who(ran, others, "others") == ""
    assert who(ran, fork, "forks") == ""
    assert who(ran, mine, "second") == "first"
    assert who(ran, others, "x") == "others"


@pytest.mark.parametrize("name", ["BUILDKIT_CACHE_MOUNT_NS", "BUILDKIT_SANDBOX_HOSTNAME"])
def test_a_build_argument_cannot_choose_another_repositorys_cache(ran: JobRunner, name: str) -> None:
    scope = secrets_hex()
    run = f"hostname > /held; ls /c >> /held; touch /c/{{}} # {scope}"
    text = f"FROM busybox\nRUN --mount=type=cache,id=x,target=/c {run}\n"
    held = []
    for isolation, args in ((REPO, {}), (OTHER, {name: "one"}), (FORK, {name: "one"})):
        own = Isolation(isolation.build_scope + scope)
        step = build(args=args)
        files = {"Dockerfile": text.format(isolation.build_scope.replace(" ", ""))}
        held.append(ran(step, shell("cat /held", box=container(1)), files=files, isolation=own).said(2))
    assert [len(lines) for lines in held] == [1, 1, 1], "the cache mount was empty each time"
    names = len({lines[0] for lines in held})
    assert names == (3 if ran.has_current_buildkit else 1), "each has a host name of its own"


def test_what_a_fork_put_into_its_cache_reaches_no_other_build_as_the_cached_result_of_the_same_instruction(
    ran: JobRunner,
) -> None:
    name = secrets_hex()
    mount, scope = "--mount=type=cache,id=y,target=/c", Isolation(build_scope=name)
    fork = Isolation(build_scope=f"{name} fork")
    honest = {"Dockerfile": f"FROM busybox\nRUN {mount} cp /c/tool /tool 2>/dev/null || echo good > /tool # {name}\n"}
    evil = {"Dockerfile": f"FROM busybox\nRUN {mount} echo evil > /c/tool # {name}\n"}

    def tool(isolation: Isolation) -> JobResult:
        return ran(build(), shell("cat /tool", box=container(1)), files=honest, isolation=isolation)

    ran(build(), files=evil, isolation=fork)
    assert tool(fork).said(2) == ["evil"]
    assert tool(scope).said(2) == ["good"]
    again = tool(scope)
    assert again.said(2) == ["good"]
    if again.tells_of_instructions:
        assert again.instructions()[-1].cached, "a repository's own builds share their results"


# Frontends


@pytest.mark.parametrize("first", ["# syntax=evil.test/frontend:1", "# syntax=docker/dockerfile:1.0-experimental",
                                   '{"syntax": "evil.test/frontend"}', "// syntax=evil.test/frontend"])  # fmt: skip
def test_a_fork_cannot_choose_a_frontend(ran: JobRunner, first: str) -> None:
    job = ran(build(), files={"Dockerfile": f"{first}\nFROM busybox\n"}, isolation=FORK, access=UNTRUSTED)
    assert (job.step(1).state, job.step(1).reason) == (State.FAILED, Reason.INVALID_PIPELINE)
    assert re.search("an untrusted build cannot use the frontend|needs trust in 'security'", job.step(1).message)


def test_a_fork_cannot_choose_a_frontend_by_a_build_argument(ran: JobRunner) -> None:
    step = build(args={"BUILDKIT_SYNTAX": "evil.test/frontend"})
    job = ran(step, files={"Dockerfile": "FROM busybox\n"}, isolation=FORK, access=UNTRUSTED)
    assert "needs trust in 'security'" in job.outcome.message


def test_a_fork_names_its_images_plainly(ran: JobRunner) -> None:
    job = ran(build(), files={"Dockerfile": "ARG A=xbusybox\nFROM ${A#?}\n"}, isolation=FORK, access=UNTRUSTED)
    assert "an untrusted build cannot use the image ${A#?}; write its name without variables" in job.step(1).message


def test_an_old_frontend_that_would_share_cache_mounts_is_refused(ran: JobRunner) -> None:
    text = "# syntax=docker/dockerfile:experimental\nFROM busybox\nRUN --mount=type=cache,target=/c true\n"
    job = ran(build(), files={"Dockerfile": text}, isolation=REPO)
    assert "shares cache mounts with other repositories; use `# syntax=docker/dockerfile:1`" in job.step(1).message


# Images that others have a login for


def test_an_image_that_another_repository_pulled_with_its_login_is_no_image_of_mine(
    ran: JobRunner, locked_registry: Registry
) -> None:
    name, host = f"{locked_registry.host}/team/{secrets_hex()}:1", locked_registry.host
    files = {"Dockerfile": f"FROM busybox\nLABEL a={secrets_hex()}\n"}
    repo, _, tag = name.rpartition(":")
    assert ran(build(), push(1, repo, tags=(tag,)), files=files, logins={host: LOGIN}).outcome.state is State.PASSED
    step, base = shell("echo ran", box=container(name)), build(dockerfile_inline=f"FROM {name}\n")
    assert ran(step, logins={host: LOGIN}).said() == ["ran"]
    guarded = Isolation(login_hosts=frozenset({host}))
    try:
        assert ran(step, logins={host: LOGIN}, isolation=guarded).said() == ["ran"]
        assert ran(base, files={"x": ""}, logins={host: LOGIN}, isolation=guarded).outcome.state is State.PASSED
        for refused in (ran(step, isolation=guarded), ran(base, files={"x": ""}, isolation=guarded)):
            assert (refused.step(1).state, refused.step(1).reason) == (State.FAILED, Reason.IMAGE_NOT_FOUND)
            assert f"log in: headway registry login {host}" in refused.step(1).message
        assert ran(step).said() == ["ran"], "without other logins for the host there is nothing to guard"
    finally:
        ran.engine.untag(name)
