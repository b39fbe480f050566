"""A secret is nowhere but in the container that asked for it."""

import base64
import hashlib
import json
from pathlib import Path

import pytest

from pipelines.plan import SecretRef
from pipelines.state import Reason, State
from pipelines.step_options.ready import PortCheck
from runner.docker.containers.specs import JOB_LABEL
from runner.events import Stream
from tests.support.engine import JobRunner, when_said
from tests.support.plans import build, container, push, service, shell
from tests.support.registry import LOGIN, Registry

pytestmark = pytest.mark.engine

SECRET = "s3cr3t&valüe'of\"mine"
BOX = container(environment={"TOKEN": (SecretRef(secret="token"),)})


def forms(secret: str) -> list[str]:
    """What must not be seen of a secret."""
    return [secret, base64.b64encode(secret.encode()).decode().rstrip("=")[:-1], json.dumps(secret)[1:-1]]


def test_a_secret_reaches_the_command_and_not_the_log(ran: JobRunner) -> None:
    look = ('printf %s "$TOKEN" | sha256sum', 'echo "<$TOKEN>"', 'echo "$TOKEN" >&2', 'printf %s "$TOKEN" | base64')
    job = ran(shell(*look, box=BOX), secrets={"token": SECRET})
    said = job.said()
    assert said[0].split()[0] == hashlib.sha256(SECRET.encode()).hexdigest()
    assert said[1] == "<********>"
    assert job.log(1, Stream.STDERR) == b"********\n"
    assert said[2].startswith("********")
    for form in forms(SECRET):
        assert form not in job.everything()


def test_a_secret_that_comes_in_two_pieces_is_masked(ran: JobRunner) -> None:
    job = ran(shell('printf %s "${TOKEN%??????}"; sleep 0.2; echo "${TOKEN#${TOKEN%??????}}."', box=BOX),
              secrets={"token": SECRET})  # fmt: skip
    assert job.said() == ["********."]


def test_a_secret_inside_a_larger_value_is_put_in_its_place(ran: JobRunner) -> None:
    box = container(environment={"URL": ("https://u:", SecretRef(secret="token"), "@h/")})
    job = ran(shell('echo "$URL"', 'printf %s "$URL" | wc -c', box=box), secrets={"token": "12345678"})
    assert job.said() == ["https://u:********@h/", str(len("https://u:12345678@h/"))]


def test_a_missing_secret_is_named(ran: JobRunner) -> None:
    job = ran(shell("echo never", box=BOX), secrets={"other": SECRET})
    assert job.step().reason is Reason.SECRET_MISSING
    assert "'token'" in job.step().message
    assert "headway secret set" in job.step().message


def test_missing_secrets_of_a_build_a_push_and_a_service_are_named(ran: JobRunner) -> None:
    files = {"Dockerfile": "FROM busybox\n"}
    assert "'npm'" in ran(build(secrets={"id": "npm"}), files=files).step().message
    needy = push(1, "127.0.0.1:1/a", password=(SecretRef(secret="registry"),))
    assert "'registry'" in ran(build(), needy, files=files).step(2).message
    job = ran(shell("true"), services=[service("db", "sleep 1000", box=BOX)])
    assert (job.outcome.state, job.outcome.reason) == (State.FAILED, Reason.SECRET_MISSING)


def test_a_secret_in_a_message_is_masked(ran: JobRunner, registry: Registry) -> None:
    job = ran(shell("true", box=container(f"{registry.host}/secretname")), secrets={"t": "secretname"})
    assert "/********" in job.step().message
    assert "secretname" not in job.everything()


def test_a_secret_in_the_build_is_masked_everywhere(ran: JobRunner) -> None:
    files = {"Dockerfile": "FROM busybox\nRUN echo topsecret-77 && echo again topsecret-77 >&2 && false\n"}
    job = ran(build(), files=files, secrets={"t": "topsecret-77"})
    assert job.step().state is State.FAILED
    assert "********" in job.instructions()[1].text
    assert "topsecret-77" not in job.everything()


def test_a_service_tells_its_last_words_without_the_secret(ran: JobRunner) -> None:
    dying = service("db", 'echo "bad: $TOKEN"', "exit 4", box=BOX, ready=PortCheck(port=5432))
    job = ran(shell("true"), services=[dying], secrets={"token": SECRET})
    assert "bad: ********" in job.outcome.message
    assert SECRET not in job.everything()


def test_while_a_step_runs_its_secret_is_in_no_label_and_no_command_line(ran: JobRunner) -> None:
    seen: list[str] = []
    running = ran.new()

    def look() -> None:
        for entry in ran.engine.containers_labelled(f"{JOB_LABEL}={running.key}"):
            found = ran.engine.inspect(entry["Id"]) or {}
            seen.append(json.dumps([found["Config"]["Labels"], found["Config"]["Cmd"], found["Config"]["Entrypoint"],
                                    found["Name"], found["Args"], found["HostConfig"]["Binds"]]))  # fmt: skip
        seen.extend(_command_lines())
        (running.folder / "workspace/src/go").touch()

    files = {"Dockerfile": "FROM busybox\nRUN --mount=type=secret,id=token sleep 1\n"}
    job = ran(
        shell("echo up", "while [ ! -e go ]; do sleep 0.02; done", "echo $TOKEN", box=BOX),
        build(secrets={"token": "token"}),
        files=files, secrets={"token": SECRET}, key=running.key, on_event=when_said(b"up", look),
    )  # fmt: skip
    assert job.outcome.state is State.PASSED
    assert len(seen) > 3
    for form in forms(SECRET):
        assert form not in "\n".join(seen)


def test_the_registries_passwords_are_where_no_step_sees_them(ran: JobRunner) -> None:
    look = f"grep -rlsF -e {LOGIN.password} -e {LOGIN.basic()[:16]} / --exclude-dir=proc --exclude-dir=sys || echo none"
    job = ran(build(), shell(look), files={"Dockerfile": "FROM busybox\n"}, logins={"127.0.0.1:5": LOGIN})
    assert job.said(2) == ["none"]


def _command_lines() -> list[str]:
    lines = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            lines.append(path.read_bytes().replace(b"\0", b" ").decode(errors="replace"))
        except OSError:
            continue
    return lines
