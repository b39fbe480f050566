"""Building images with BuildKit, on the engine."""

import hashlib
import json
import os
import re
import subprocess
from pathlib import Path

import pytest

from pipelines.plan import BuildStep
from pipelines.state import Outcome, Reason, State
from runner.builds.buildkit import Builder
from runner.cancellation import Cancel
from runner.docker.containers.specs import Login
from runner.events import Event, ImageBuilt, InstructionChanged, StepOutput
from tests.support.engine import JobRunner, image_history
from tests.support.job_result import need_instructions
from tests.support.plans import build, container, secrets_hex, shell
from tests.support.registry import Registry, free_port

pytestmark = [pytest.mark.engine, pytest.mark.both_stores]

PLAIN = {"Dockerfile": "FROM busybox\nCOPY here /\n", "here": "copied\n"}


def test_a_build_tells_of_each_instruction_its_time_and_whether_it_was_cached(ran: JobRunner) -> None:
    files = {"Dockerfile": f"FROM busybox\nRUN sleep 0.3 # {secrets_hex()}\nENV A=b\n"}
    first = ran(build(), files=files)
    texts = [instruction.text.partition("] ")[2].partition("@")[0] for instruction in first.instructions()]
    assert texts == ["FROM docker.io/library/busybox:latest", files["Dockerfile"].splitlines()[1]]
    assert not first.instructions()[1].cached
    assert (first.instructions()[1].seconds or 0) >= 0.3
    second = ran(build(), files=files)
    assert second.instructions()[1].cached
    assert second.built[0].image_id == first.built[0].image_id
    assert first.built[0].size_bytes > 0
    assert f"built {first.built[0].image_id}" in first.log().decode()


def test_a_running_instruction_is_told_before_it_ends(ran: JobRunner) -> None:
    need_instructions(tell=ran.builder.rawjson)
    files = {"Dockerfile": f"FROM busybox\nRUN echo {secrets_hex()}; sleep 0.3\n"}
    job = ran(build(), files=files)
    news = [event for event in job.events if isinstance(event, InstructionChanged) and "sleep" in event.text]
    assert news[0].seconds is None
    assert news[-1].seconds is not None


def test_what_an_instruction_says_is_in_the_log(ran: JobRunner) -> None:
    need_instructions(tell=ran.builder.rawjson)
    files = {"Dockerfile": f"FROM busybox\nRUN echo one {secrets_hex()}; echo two >&2; printf half\n"}
    log = ran(build(), files=files).log().decode()
    number = next(line.split()[0] for line in log.splitlines() if line.endswith(" two"))
    assert f"{number} one " in log
    assert f"{number} half" in log


def test_a_failing_instruction_is_named_with_its_lines(ran: JobRunner) -> None:
    need_instructions(tell=ran.builder.rawjson)
    files = {"Dockerfile": f"FROM busybox\n\nRUN echo about to fail {secrets_hex()} && \\\n    exit 3\nRUN true\n"}
    job = ran(build(), shell("true", box=container(1)), files=files)
    assert job.states == [State.FAILED, State.SKIPPED]
    outcome = job.step()
    assert outcome.reason is Reason.BUILD_FAILED
    assert "about to fail" in outcome.message
    assert "exit code: 3" in outcome.message
    assert "Dockerfile:3" in outcome.message
    assert "exit code: 3" in job.instructions()[1].error
    assert ">>>" in job.log().decode()


def test_an_instruction_that_speaks_of_networks_and_rights_is_still_the_users(ran: JobRunner) -> None:
    words = "connection refused, no such host, access denied, no space left on device, not found"
    job = ran(build(), files={"Dockerfile": f"FROM busybox\nRUN echo '{words}' {secrets_hex()} && false\n"})
    assert (job.step().state, job.step().reason) == (State.FAILED, Reason.BUILD_FAILED)


def test_a_file_that_is_not_there_is_named(ran: JobRunner) -> None:
    job = ran(build(), files={"Dockerfile": "FROM busybox\nCOPY nonesuch.txt /\n"})
    assert job.step().reason is Reason.BUILD_FAILED
    assert "nonesuch.txt" in job.step().message
    assert "not found" in job.step().message


def test_a_syntax_error_is_shown_with_its_place(ran: JobRunner) -> None:
    job = ran(build(), files={"Dockerfile": "FROM busybox\nRUNN echo hi\n"})
    assert job.step().reason is Reason.BUILD_FAILED
    assert "unknown instruction: RUNN" in job.step().message
    assert re.search("Dockerfile:2|line 2", job.step().message)


def test_an_empty_dockerfile_fails(ran: JobRunner) -> None:
    job = ran(build(), files={"Dockerfile": ""})
    assert job.step().reason is Reason.BUILD_FAILED
    assert "empty" in job.step().message


def test_a_missing_dockerfile_is_named_with_the_remedy(ran: JobRunner) -> None:
    job = ran(build(dockerfile="docker/Prod"), files={"README": ""})
    assert job.step() == Outcome(
        State.FAILED, Reason.BUILD_FAILED,
        "there is no file docker/Prod in the repository; add one, or say where it is with `dockerfile:`",
    )  # fmt: skip


def test_a_context_that_is_not_there_is_named(ran: JobRunner) -> None:
    job = ran(build(context="web"), files=PLAIN)
    assert "the build context 'web' is not a folder" in job.step().message


def test_a_dockerfile_may_lie_anywhere_in_the_checkout(ran: JobRunner) -> None:
    files = {
        "ci/Own": "FROM busybox\nCOPY here /\n",
        "app/here": "app's\n",
        "app/Dockerfile": "FROM busybox\nRUN pwd\n",
    }
    job = ran(build(context="app", dockerfile="ci/Own"), shell("cat /here", box=container(1)), files=files)
    assert job.said(2) == ["app's"]
    job = ran(build(context="app"), files=files)
    assert any(each.text.endswith("RUN pwd") for each in job.instructions())


def test_a_dockerfile_may_be_written_in_the_pipeline(ran: JobRunner) -> None:
    job = ran(
        build(dockerfile_inline="FROM busybox\nCOPY here /there\n"), shell("cat /there", box=container(1)), files=PLAIN
    )
    assert job.said(2) == ["copied"], job.everything()


def test_arguments_labels_and_target_reach_the_build(ran: JobRunner) -> None:
    stages = (
        'FROM busybox AS first\nARG GREETING\nRUN echo "$GREETING" > /said\nFROM first AS second\nRUN touch /second\n'
    )
    step = build(args={"GREETING": "a 'b' \"c\" $d"}, labels={"by": "me, myself"}, target="first")
    labels: list[str] = []

    def look(event: Event) -> None:
        if isinstance(event, ImageBuilt):  # the image is untagged when the job ends
            labels.append((ran.engine.image(event.image_id) or {})["Config"]["Labels"]["by"])

    job = ran(step, shell("cat /said", "ls /second 2>/dev/null || echo first only", box=container(1)),
              files={"Dockerfile": stages}, on_event=look)  # fmt: skip
    assert job.said(2) == ["a 'b' \"c\" $d", "first only"]
    assert labels == ["me, myself"]


@pytest.mark.parametrize("step", [
    build(context=".."), build(context="/etc"), build(context="out"), build(context="a/../../.."),
    build(dockerfile="../../../../../../../../etc/passwd"), build(dockerfile="/etc/passwd"), build(dockerfile="passwd"),
    build(dockerfile="out/passwd"), build(context="sub", dockerfile="passwd"),
])  # fmt: skip
def test_what_leads_out_of_the_checkout_is_refused_and_not_shown(ran: JobRunner, step: BuildStep) -> None:
    def lay_out(target: Path) -> None:
        (target / "sub").mkdir(parents=True)
        (target / "Dockerfile").write_text("FROM busybox\n")
        (target / "out").symlink_to("/etc")
        (target / "passwd").symlink_to("/etc/passwd")

    job = ran(step, files=lay_out)
    assert job.step().state is State.FAILED
    assert "leads out of the repository" in job.step().message
    assert "root:" not in job.everything()


def test_a_link_in_the_context_is_copied_as_a_link(ran: JobRunner) -> None:
    def lay_out(target: Path) -> None:
        target.mkdir(parents=True)
        (target / "Dockerfile").write_text("FROM busybox\nCOPY . /here/\nRUN readlink /here/shadow\n")
        (target / "shadow").symlink_to("/etc/shadow")

    job = ran(build(), shell("readlink /here/shadow", box=container(1)), files=lay_out)
    assert job.said(2) == ["/etc/shadow"]


def test_secrets_come_by_mount_and_stay_out_of_the_image(ran: JobRunner) -> None:
    mounts = "--mount=type=secret,id=npm-token --mount=type=secret,id=npm_token"
    read = "cat /run/secrets/npm-token /run/secrets/npm_token | md5sum > /sum"
    text = f"FROM busybox\nRUN {mounts} {read} # {secrets_hex()}\n"
    secrets = {"one": "first-secret", "two": "second-secret"}
    images: list[str] = []

    def look(event: Event) -> None:
        if isinstance(event, ImageBuilt):  # the image is untagged when the job ends
            history = image_history(ran.engine, event.image_id)
            images.append(json.dumps(ran.engine.image(event.image_id)) + history)

    job = ran(
        build(secrets={"npm-token": "one", "npm_token": "two"}), shell("cat /sum", box=container(1)),
        files={"Dockerfile": text}, secrets=secrets, on_event=look,
    )  # fmt: skip
    (kept,) = images
    assert job.said(2)[0].split()[0] == hashlib.md5(b"first-secretsecond-secret").hexdigest()
    assert "first-secret" not in kept
    assert "second-secret" not in kept


NOT_IDS = [
    "x,src=/etc/hostname", 'x",src=/etc/hostname,"', "x,env=HOME", "../docker/config.json\nx", "../../docker\r\nx",
    "/etc/hostname\nx", "PATH\nx", "HOME\rx", "x\ty", "x\u2028y", "x\x85y", "x\0y", '"x"', "'x'", "/etc/hostname",
    "../dockerfile/Dockerfile", "-x", ".x", "x y", "@x", "", "x" * 65, "PATH", "HOME", "DOCKER_CONFIG",
]  # fmt: skip


@pytest.mark.parametrize("identity", NOT_IDS)
def test_a_secrets_name_cannot_ask_for_a_file_of_the_worker(ran: JobRunner, identity: str) -> None:
    asked = identity.splitlines()[0] if identity else "x"
    mounts = f"--mount=type=secret,id=x,target=/x '--mount=type=secret,\"id={asked}\",target=/y'"
    files = {"Dockerfile": f"FROM busybox\nRUN {mounts} cat /x /y; true # {secrets_hex()}\n"}
    logins = {"registry.test": Login("ada", "the-login")}
    job = ran(build(secrets={identity: "t"}), files=files, secrets={"t": "the-secret"}, logins=logins)
    for private in (Path("/etc/hostname").read_text().strip(), "auths", os.environ["PATH"], str(ran.folder)):
        assert private not in job.log().decode()
    assert (job.step().state, job.step().reason) == (State.FAILED, Reason.INVALID_PIPELINE)
    assert "cannot be the id of a build secret" in job.step().message


def test_where_the_client_starts_no_path_leads_to_its_settings(ran: JobRunner, tmp_path: Path) -> None:
    client = tmp_path / "client"
    client.write_text(
        '#!/bin/sh\ntest -e "$DOCKER_CONFIG/config.json" && echo has-config\necho "here: $(ls -A .)."\n'
        "for up in . .. ../.. ../../..; do cat $up/config.json $up/docker/config.json $up/*/config.json; done\nexit 1\n"
    )
    client.chmod(0o755)
    own = JobRunner(ran.engine, Builder((str(client),), rawjson=False), tmp_path / "jobs")
    job = own(build(), files=PLAIN, logins={"registry.test": Login("ada", "the-login")})
    said = job.log().decode()
    assert "has-config" in said
    assert "here: ." in said
    assert "auths" not in said


@pytest.mark.parametrize("step", [
    build(ssh=("default=/root/.ssh/id_rsa",)), build(cache_from=("type=local,src=/etc",)),
    build(cache_to=("type=local,dest=/tmp/out",)), build(cache_to=("dest=/tmp/out,type=local",)),
    build(cache_from=('type=registry,"type=local",src=/etc',)),
])  # fmt: skip
def test_a_build_cannot_ask_for_paths_of_the_worker(ran: JobRunner, step: BuildStep) -> None:
    job = ran(step, files=PLAIN)
    assert (job.step().state, job.step().reason) == (State.FAILED, Reason.INVALID_PIPELINE)
    assert "on the worker" in job.step().message


def test_values_that_look_like_options_stay_values(ran: JobRunner, tmp_path: Path) -> None:
    steps = [build(target=f"--output={tmp_path}/out"), build(network=f"--output={tmp_path}/out"),
             build(dockerfile=f"--output={tmp_path}/out"), build(context=f"--output={tmp_path}/out")]  # fmt: skip
    for step in steps:
        assert ran(step, files=PLAIN).step().state is State.FAILED
    assert not (tmp_path / "out").exists()


def test_a_base_image_that_does_not_exist_is_named(ran: JobRunner, registry: Registry) -> None:
    job = ran(build(), files={"Dockerfile": f"FROM {registry.host}/none/such:1\n"})
    assert (job.step().state, job.step().reason) == (State.FAILED, Reason.IMAGE_NOT_FOUND)
    assert f"{registry.host}/none/such:1" in job.step().message


def test_a_base_image_behind_a_login_says_so(ran: JobRunner, locked_registry: Registry) -> None:
    job = ran(build(), files={"Dockerfile": f"FROM {locked_registry.host}/base:1\n"})
    assert (job.step().state, job.step().reason) == (State.FAILED, Reason.IMAGE_NOT_FOUND)
    assert "headway registry login" in job.step().message


def test_a_base_images_registry_that_does_not_answer_is_the_machines_fault(ran: JobRunner) -> None:
    job = ran(build(), files={"Dockerfile": f"FROM 127.0.0.1:{free_port()}/base:1\n"})
    assert (job.step().state, job.step().reason) == (State.BROKEN, Reason.REGISTRY_UNREACHABLE)


def test_a_build_that_takes_too_long_is_ended(ran: JobRunner) -> None:
    files = {"Dockerfile": f"FROM busybox\nRUN echo begun {secrets_hex()}; sleep 1000\n"}
    job = ran(build(timeout_s=2), files=files)
    assert (job.step().state, job.step().reason) == (State.FAILED, Reason.TIMEOUT)
    assert "2 s" in job.step().message


def test_cancel_in_mid_build_ends_it(ran: JobRunner) -> None:
    cancel = Cancel()

    def listen(event: Event) -> None:
        if isinstance(event, StepOutput) and b" begun" in event.data and b"RUN" not in event.data:
            cancel.set("ada")

    files = {"Dockerfile": f"FROM busybox\nRUN echo begun {secrets_hex()}; sleep 1000\n"}
    job = ran(build(), shell("true", box=container(1)), files=files, cancel=cancel, on_event=listen)
    cancel.close()
    assert job.step() == Outcome(State.CANCELED, Reason.CANCELED, "canceled by ada")
    assert job.outcome.state is State.CANCELED


def test_the_checkouts_git_settings_run_nothing_on_the_worker(ran: JobRunner, tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    trap = tmp_path / "trap"
    trap.write_text(f"#!/bin/sh\ntouch {mark}\n")
    trap.chmod(0o755)

    def lay_out(target: Path) -> None:
        target.mkdir(parents=True)
        (target / "Dockerfile").write_text("FROM busybox\nCOPY Dockerfile /\n")
        at = ["git", "-C", str(target)]
        for command in (
            ["init", "-q"],
            ["add", "."],
            ["-c", "user.name=a", "-c", "user.email=a@b", "commit", "-qm", "m"],
        ):
            subprocess.run([*at, *command], check=True, env={"PATH": os.environ["PATH"]})
        for key in (
            "core.fsmonitor",
            "core.sshCommand",
            "diff.external",
            "core.pager",
            "gpg.program",
            "core.hooksPath",
        ):
            subprocess.run([*at, "config", key, str(trap)], check=True)
        subprocess.run([*at, "config", "remote.origin.url", f"ext::{trap}"], check=True)

    assert ran(build(), files=lay_out).outcome.state is State.PASSED
    assert not mark.exists()


def test_parallel_builds_get_an_image_each(ran: JobRunner) -> None:
    files = {name: f"FROM busybox\nRUN echo {name} > /name # {secrets_hex()}\n" for name in ("a", "b", "c")}
    job = ran(
        *(build(dockerfile=name, needs=()) for name in files),
        *(shell("cat /name", box=container(number), needs=(number,)) for number in (1, 2, 3)), files=files,
    )  # fmt: skip
    assert job.outcome.state is State.PASSED
    assert [job.said(number) for number in (4, 5, 6)] == [["a"], ["b"], ["c"]]


def test_a_dockerignore_counts(ran: JobRunner) -> None:
    files = {"Dockerfile": "FROM busybox\nCOPY . /all/\n", ".dockerignore": "no*\n", "no": "", "yes": ""}
    job = ran(build(), shell("ls /all", box=container(1)), files=files)
    assert job.said(2) == ["Dockerfile", "yes"]
