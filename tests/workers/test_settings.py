"""Settings: read from the environment, frozen, each with a description for docs/settings.md."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from workers.errors import StartError
from workers.setting_values import with_password
from workers.settings import Settings, load_settings
from workers.startup import read_settings


def test_every_setting_has_a_description() -> None:
    for name, field in Settings.model_fields.items():
        assert field.description, name
        assert field.description.endswith((".", "`.")), name


def test_settings_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADWAY_PORT", "9090")
    monkeypatch.setenv("HEADWAY_DATA_DIR", "/srv/headway")
    monkeypatch.setenv("HEADWAY_BASE_URL", "https://ci.example/")
    settings = load_settings()
    assert (settings.port, settings.data_dir, settings.url) == (9090, Path("/srv/headway"), "https://ci.example")
    assert load_settings(port=1).port == 1


def test_defaults_are_derived_from_other_settings(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path, port=9090)
    assert settings.database == f"sqlite:///{tmp_path}/headway.db"
    assert settings.url == "http://localhost:9090"
    assert settings.key_file == tmp_path / "secret.key"
    assert {settings.logs_dir, settings.mirrors_dir, settings.workspaces_dir} == {
        tmp_path / "logs",
        tmp_path / "mirrors",
        tmp_path / "workspaces",
    }
    assert Settings(data_dir=tmp_path, database_url="postgresql+psycopg://x/y").database == "postgresql+psycopg://x/y"


def test_settings_cannot_be_changed() -> None:
    with pytest.raises(ValidationError):
        Settings().port = 1  # type: ignore[misc]


def test_an_invalid_setting_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADWAY_PORT", "eighty")
    with pytest.raises(ValidationError, match="port"):
        load_settings()


def test_keys_are_not_shown_with_the_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADWAY_SECRET_KEYS", "k1:very-secret")
    settings = load_settings()
    assert "very-secret" not in repr(settings) + settings.model_dump_json()


def test_an_authority_that_cannot_be_used_is_refused_at_the_start(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HEADWAY_CA_FILE", str(tmp_path / "none.pem"))
    with pytest.raises(StartError, match=r"HEADWAY_CA_FILE: .*the file .*/none.pem cannot be read: No such file"):
        read_settings()
    monkeypatch.setenv("HEADWAY_CA_FILE", "")
    assert read_settings().ca_file is None


def test_a_proxy_that_cannot_be_used_is_refused_at_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("https_proxy", "http://proxy.corp:port")
    with pytest.raises(StartError, match=r"^HTTPS_PROXY is not the URL of a proxy"):
        read_settings()


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("redis://redis:6379/0", "redis://:p%40ss%2Fword@redis:6379/0"),
        ("redis://:old@redis:6379/0", "redis://:p%40ss%2Fword@redis:6379/0"),
        ("postgresql+psycopg://headway@db/headway?a=b", "postgresql+psycopg://headway:p%40ss%2Fword@db/headway?a=b"),
        ("postgresql+psycopg://u:old@[::1]:5/x", "postgresql+psycopg://u:p%40ss%2Fword@[::1]:5/x"),
    ],
)
def test_a_url_gets_the_password_of_its_file(url: str, expected: str) -> None:
    assert with_password(url, "p@ss/word") == expected


def test_passwords_come_from_files(tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text("hunter2\n")
    settings = Settings(data_dir=tmp_path, redis_password_file=file, database_password_file=file)
    assert settings.redis_url == "redis://:hunter2@127.0.0.1:6379/0"
    assert settings.database.startswith("sqlite:///"), "SQLite has no password"
    settings = Settings(database_url="postgresql://headway@db/x", database_password_file=file)
    assert settings.database == "postgresql://headway:hunter2@db/x"
    assert Settings(database_url="postgresql://headway:own@db/x").database == "postgresql://headway:own@db/x"


@pytest.mark.parametrize("name", ["redis", "database"])
def test_a_password_file_that_cannot_be_used_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    variable = f"HEADWAY_{name.upper()}_PASSWORD_FILE"
    monkeypatch.setenv(variable, str(tmp_path / "none"))
    with pytest.raises(StartError, match=f"{variable}: .*the file .*/none cannot be read: No such file"):
        read_settings()
    (tmp_path / "none").touch()
    with pytest.raises(StartError, match=f"{variable}: .*the file .*/none is empty"):
        read_settings()
    monkeypatch.setenv(variable, "")
    read_settings()
