"""What the build client is given of the worker."""

from pathlib import Path

import pytest

from pipelines.plan import BuildStep
from runner.builds.command import Builder, BuildRequest, environment_of


def given(tmp_path: Path) -> dict[str, str]:
    step = BuildStep(number=1, name="build", secrets={"token": "npm"})
    secrets = {"npm": "the-secret", "other": "not-for-builds"}
    request = BuildRequest(step, tmp_path, tmp_path, tmp_path, tmp_path, "tcp://engine:2376", secrets, "app:1")
    return environment_of(Builder(("docker-buildx", "build"), rawjson=True), request)


def test_it_finds_an_engine_behind_certificates(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DOCKER_TLS_VERIFY", "1")
    monkeypatch.setenv("DOCKER_CERT_PATH", "/certificates")
    environment = given(tmp_path)
    assert environment["DOCKER_HOST"] == "tcp://engine:2376"
    assert (environment["DOCKER_TLS_VERIFY"], environment["DOCKER_CERT_PATH"]) == ("1", "/certificates")


def test_it_gets_the_steps_secrets_and_none_of_the_workers(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HEADWAY_SECRET_KEY", "the-workers")
    environment = given(tmp_path)
    assert [name for name, value in environment.items() if value == "the-secret"] == ["HEADWAY_BUILD_SECRET_0"]
    assert not {"the-workers", "not-for-builds"} & set(environment.values())
