"""What the build client is given of the worker."""

from pathlib import Path
from typing import Any

import pytest

from pipelines.context import Access, Trust
from pipelines.plan import BuildStep
from runner.builds.command import Builder, BuildRequest, ResultFiles, Separation, command_of, environment_of
from runner.docker.client import Engine
from runner.errors import StepError
from runner.execution.host_access import check_dockerfile
from runner.network.ca_certificates import CaCertificates
from runner.network.egress import EgressSettings, JobEgress

ENGINE = {"DOCKER_CONTEXT": "headway"}


def given(tmp_path: Path) -> dict[str, str]:
    step = BuildStep(number=1, name="build", secrets={"token": "npm"})
    secrets = {"npm": "the-secret", "other": "not-for-builds"}
    request = BuildRequest(step, tmp_path, tmp_path, tmp_path, tmp_path, ENGINE, secrets, "app:1")
    return environment_of(Builder(("docker-buildx", "build"), rawjson=True), request)


def test_it_is_told_of_the_jobs_engine_and_not_of_the_environments(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in ("DOCKER_HOST", "DOCKER_TLS_VERIFY", "DOCKER_CERT_PATH"):
        monkeypatch.setenv(name, "/others")
    environment = given(tmp_path)
    assert environment["DOCKER_CONTEXT"] == "headway"
    assert "/others" not in environment.values()


def test_it_gets_the_steps_secrets_and_none_of_the_workers(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HEADWAY_SECRET_KEY", "the-workers")
    environment = given(tmp_path)
    (name,) = [name for name, value in environment.items() if value == "the-secret"]
    assert name not in given(tmp_path), "each build has its own name for it: no Dockerfile can know that"
    assert not {"the-workers", "not-for-builds"} & set(environment.values())


def test_the_ssh_agent_is_borrowed_only_to_a_step_that_asks_for_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("SSH_AUTH_SOCK", "/agent")
    builder = Builder(("docker-buildx", "build"), rawjson=True)
    for ssh in ((), ("default",)):
        step = BuildStep(number=1, name="build", ssh=ssh)
        request = BuildRequest(step, tmp_path, tmp_path, tmp_path, tmp_path, ENGINE, {}, "app:1")
        assert environment_of(builder, request).get("SSH_AUTH_SOCK") == ("/agent" if ssh else None)


def secret_options(tmp_path: Path, step: BuildStep, secrets: dict[str, str], **keys: Any) -> list[str]:
    (tmp_path / "Dockerfile").write_text("FROM busybox\n")
    request = BuildRequest(step, tmp_path, tmp_path, tmp_path, tmp_path, ENGINE, secrets, "app:1", **keys)
    builder = Builder(("docker-buildx", "build"), rawjson=True)
    command = command_of(builder, request, ResultFiles(tmp_path, tmp_path))
    environment = environment_of(builder, request)
    found = [word.removeprefix("--secret=") for word in command if word.startswith("--secret=")]
    assert all(environment[word.partition(",env=")[2]] in secrets.values() for word in found if ",env=" in word)
    return [word.partition(",")[0] for word in found]


def test_a_secrets_id_says_where_its_value_is(tmp_path: Path) -> None:
    names = ("npm-token", "a.b_c", "x" * 64)
    step = BuildStep(number=1, name="build", secrets=dict.fromkeys(names, "t"))
    assert secret_options(tmp_path, step, {"t": "the-secret"}) == [f"id={name}" for name in names]


@pytest.mark.parametrize(
    "name", ["x" * 65, "", "a b", "../config.json", "/etc/passwd", "a\nb", "a\u2028b", 'a"b', "a,b"]
)
def test_another_id_is_refused_even_in_an_older_plan(tmp_path: Path, name: str) -> None:
    with pytest.raises(StepError, match="cannot be the id of a build secret"):
        secret_options(tmp_path, BuildStep(number=1, name="build", secrets={name: "t"}), {"t": "the-secret"})


@pytest.mark.parametrize("name", ["PATH", "HOME", "DOCKER_CONFIG", "DOCKER_CONTEXT", "BUILDX_GIT_INFO"])
def test_an_id_cannot_be_the_name_of_a_variable_of_the_client(tmp_path: Path, name: str) -> None:
    with pytest.raises(StepError, match="has a variable of that name; give the secret another id"):
        secret_options(tmp_path, BuildStep(number=1, name="build", secrets={name: "t"}), {"t": "the-secret"})


def test_no_option_of_the_client_has_a_line_break(tmp_path: Path) -> None:
    broken = JobEgress(EgressSettings(ca=CaCertificates("", "")), tmp_path / "a\nb")
    with pytest.raises(StepError, match="has a line break or a control character; write it in one line"):
        secret_options(tmp_path, BuildStep(number=1, name="build"), {}, egress=broken)


def checked_command(folder: Path, step: BuildStep, trust: Trust) -> list[str]:
    workspace, scratch = folder / "workspace", folder / "scratch"
    scratch.mkdir(exist_ok=True)
    request = BuildRequest(
        step, workspace, workspace / "src", scratch, folder, ENGINE, {}, "app:1",
        check=lambda text: check_dockerfile(text, Access(trust), Engine(connect=False)),
    )  # fmt: skip
    results = ResultFiles(scratch / "id", scratch / "metadata")
    return command_of(Builder(("docker-buildx", "build"), rawjson=True), request, results)


def test_the_dockerfile_that_was_checked_is_the_one_that_is_built(tmp_path: Path) -> None:
    source = tmp_path / "workspace" / "src" / "server"
    source.mkdir(parents=True)
    (source / "App.Dockerfile").write_text("FROM busybox")
    (source / "App.Dockerfile.dockerignore").write_text("*.log")
    step = BuildStep(number=1, name="build", dockerfile="server/App.Dockerfile")
    command = checked_command(tmp_path, step, Trust())
    (built,) = [Path(word.partition("=")[2]) for word in command if word.startswith("--file=")]
    (source / "App.Dockerfile").write_text("# syntax=evil/frontend")
    assert (built.name, built.read_text()) == ("App.Dockerfile", "FROM busybox")
    assert built.with_name("App.Dockerfile.dockerignore").read_text() == "*.log"
    assert not built.is_relative_to(tmp_path / "workspace")


@pytest.mark.parametrize("inline", [True, False])
def test_a_foreign_frontend_needs_trust_at_the_last_moment_too(tmp_path: Path, *, inline: bool) -> None:
    text = "# syntax=evil/frontend\nFROM busybox"
    source = tmp_path / "workspace" / "src"
    source.mkdir(parents=True)
    (source / "Dockerfile").write_text(text)
    step = BuildStep(number=1, name="build", dockerfile_inline=text if inline else "")
    with pytest.raises(StepError, match="needs trust in 'security'"):
        checked_command(tmp_path, step, Trust(network=True, volumes=True, ssh=True))
    assert checked_command(tmp_path, step, Trust(security=True))


@pytest.mark.parametrize("name", ["BUILDKIT_CACHE_MOUNT_NS", "BUILDKIT_SANDBOX_HOSTNAME", "BUILDKIT_SYNTAX"])
def test_a_step_cannot_replace_what_separates_its_build(tmp_path: Path, name: str) -> None:
    (tmp_path / "Dockerfile").write_text("FROM busybox\n")

    def given(scope: str, **args: str) -> list[str]:
        step = BuildStep(number=1, name="build", args=args)
        own = Separation(
            scope=scope, syntax="headway/build:x" if scope else "", contexts={"busybox": "headway/build:y"}
        )
        paths = (tmp_path, tmp_path, tmp_path, tmp_path)
        request = BuildRequest(step, *paths, ENGINE, {}, "app:1", separation=own)
        return command_of(Builder(("docker-buildx", "build"), rawjson=True), request, ResultFiles(tmp_path, tmp_path))

    assert f"--build-arg={name}=mine" in given("", **{name: "mine"}), "on a laptop it is the user's own"
    command = given("one", **{name: "mine"})
    (argument,) = [each for each in command if each.startswith(f"--build-arg={name}=")]
    assert "mine" not in argument
    assert "one" not in argument.partition("=")[2].partition("=")[2].split("-")
    assert command != given("two")
    assert "--build-context=busybox=docker-image://headway/build:y" in command
