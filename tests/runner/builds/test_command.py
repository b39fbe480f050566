"""What the build client is given of the worker."""

from pathlib import Path

import pytest

from pipelines.plan import BuildStep
from runner.builds.command import Builder, BuildRequest, ResultFiles, Separation, command_of, environment_of

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
    assert [name for name, value in environment.items() if value == "the-secret"] == ["HEADWAY_BUILD_SECRET_0"]
    assert not {"the-workers", "not-for-builds"} & set(environment.values())


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
