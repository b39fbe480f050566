"""Each setting with its value and its source, and no secret."""

from pathlib import Path

import pytest

from tests.support.services import TEST_KEY
from web.operations.settings_in_force import SettingInForce, Source, settings_in_force, without_login
from workers.settings import Settings

SECRET = "hunter2-is-long-enough"


def in_force(monkeypatch: pytest.MonkeyPatch, folder: Path, **environment: str) -> dict[str, SettingInForce]:
    values = {"HEADWAY_DATA_DIR": str(folder), **environment}
    for name, value in values.items():
        monkeypatch.setenv(name, value)
    found = settings_in_force(Settings(port=8443), values)
    assert len(found) == len(Settings.model_fields)
    return {each.name.removeprefix("HEADWAY_").lower(): each for each in found}


def test_a_value_has_its_source(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    found = in_force(monkeypatch, tmp_path, HEADWAY_WORKER_SLOTS="3", HEADWAY_STEP_PROXY="true", headway_lease_s="9")
    said = {name: (each.value, each.source) for name, each in found.items()}
    assert said["worker_slots"] == ("3", Source.ENVIRONMENT)
    assert said["step_proxy"] == ("true", Source.ENVIRONMENT)
    assert said["lease_s"] == ("9", Source.ENVIRONMENT)
    assert said["port"] == ("8443", Source.COMMAND)
    assert said["attempts_max"] == ("2", Source.DEFAULT)
    assert said["ca_file"] == ("", Source.DEFAULT)
    assert said["database_url"] == (f"sqlite:///{tmp_path}/headway.db", Source.DEFAULT)
    assert said["base_url"] == ("http://localhost:8443", Source.DEFAULT)
    assert said["secret_keys"] == ("not set", Source.DEFAULT)
    assert "[" not in found["worker_labels"].meaning + found["ca_file"].meaning
    assert found["system_name"].meaning == "The name of this installation, in CI_SYSTEM_NAME."


def test_a_key_in_a_file_is_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "secret.key").write_text(TEST_KEY)
    found = in_force(monkeypatch, tmp_path)["secret_keys"]
    assert (found.value, found.source) == ("set", Source.FILE)


def test_no_secret_is_shown(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text(SECRET)
    found = in_force(
        monkeypatch,
        tmp_path,
        HEADWAY_SECRET_KEYS=TEST_KEY,
        HEADWAY_METRICS_TOKEN=SECRET,
        HEADWAY_DATABASE_URL=f"postgresql://me:{SECRET}@db/headway?sslpassword={SECRET}",
        HEADWAY_REDIS_URL="redis://cache:6379/0",
        HEADWAY_REDIS_PASSWORD_FILE=str(file),
    )
    assert found["metrics_token"].value == found["secret_keys"].value == "set"
    assert found["database_url"].value.endswith("://********@db/headway?********")
    assert found["redis_url"].value == "redis://********@cache:6379/0"
    text = repr(found)
    assert SECRET not in text
    assert TEST_KEY not in text


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("", ""),
        ("gpu=true,mail=a@b", "gpu=true,mail=a@b"),
        ("unix:///run/docker.sock", "unix:///run/docker.sock"),
        ("sqlite:////srv/headway.db", "sqlite:////srv/headway.db"),
        ("redis://:p@ss/w?rd@cache/0", "redis://********@cache/0"),
        ("ssh://me@host", "ssh://********@host"),
        ("https://ci.example.com/?a=b", "https://ci.example.com/?********"),
        ("redis://cache/0?password=a@b", "redis://********@b"),
    ],
)
def test_an_address_is_shown_without_its_login(address: str, shown: str) -> None:
    assert without_login(address) == shown
