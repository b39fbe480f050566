"""Every setting with wrong values of each kind: one sentence that names it, and status 3."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Annotated, get_args, get_origin

import pytest

from tests.web.cli.command import Headway
from workers import setting_kinds as kinds
from workers.blob_url import BlobUrl
from workers.setting_names import OF_OTHERS
from workers.settings import Settings

_ADDRESSES = ("nonsense", "host:5432", "mysql://u@h/x", "http://", "redis://h:port/0", "postgresql+psycopg://", "a b")
WRONG: dict[object, tuple[str, ...]] = {
    int: ("eighty", "1.5", "10s", "5m", "1GB", "1_", "0x1f", "", "-1", "9" * 30),
    float: ("half", "1,5", "", "-0.1", "nan", "inf", "0.001"),
    bool: ("perhaps", "", "2"),
    kinds.DatabaseAddress: (*_ADDRESSES, "sqlite://", "sqlite:///:memory:", "redis://h/0", "postgresql+psycopg://h"),
    kinds.RedisAddress: (
        *_ADDRESSES,
        "",
        "unix:///run/redis.sock",
        "redis://h/name",
        "redis://h:0/0",
        "sqlite:////x",
        "redis://h/0?virtual_host=x",
    ),
    kinds.WebAddress: (
        *_ADDRESSES[:4],
        "ci.example.com",
        "ftp://h",
        "https://h:port",
        "https://u:p@h",
        "https://h/x?y",
    ),
    kinds.ListeningHost: ("http://0.0.0.0", "0.0.0.0:8080", "a b", "", "x" * 64, "h/x"),
    kinds.HostNames: ("http://ci.example", "ci.example/x", "a,b c/d", "*.example"),
    kinds.Networks: ("ci.example", "10.0.0.0/33", "10.0.0.1/8", "256.0.0.1"),
    kinds.EngineAddress: (
        "docker.sock",
        "/var/run/docker.sock",
        "unix://docker.sock",
        "npipe://x",
        "http://h",
        "tcp:///x",
    ),
    kinds.PasswordFile: ("/none", "/", "{empty}", "{binary}"),
    kinds.KeyFile: ("/",),
    kinds.Folder: ("~/headway", "https://h/x"),
    kinds.Line: ("two\nlines", "bell\a"),
    BlobUrl: (
        "nonsense",
        "ftp://h",
        "s3://",
        "s3://key:word@bucket",
        "s3://b/../x",
        "s3://b/a b",
        "file://h/x",
        "file:///",
    ),
    "log_format": ("yaml", ""),
    "metrics_token": ("short", "sixteen characters", "\u00e4" * 20),
    "ca_file": ("/none", "/", "{empty}", "{binary}"),
    "secret_keys": ("nonsense", "k1:short", ",", "k1:%%"),
    "worker_labels": ("gpu", "=x", "gpu=", "gpu=true,disk"),
    "builds_reach_host": ("yes", ""),
    "missed_pushes": ("yes", "Run", ""),
}
"""Values that fit no setting of a kind, by the kind or the setting's name."""


def kind_of(name: str) -> object:
    if name in WRONG:
        return name
    return next((kind for kind in WRONG if _is_kind(name, kind)), _plain(name))


def _is_kind(name: str, kind: object) -> bool:
    field = Settings.model_fields[name]
    if get_origin(kind) is not Annotated:
        return False
    base, *marks = get_args(kind)
    return field.annotation == base and all(mark in field.metadata for mark in marks)


def _plain(name: str) -> object:
    return Settings.model_fields[name].annotation


CASES = [(name, value) for name in Settings.model_fields for value in WRONG[kind_of(name)]]


@pytest.fixture
def nowhere(tmp_path: Path) -> Headway:
    """The command with a data directory that does not exist."""
    return Headway(tmp_path / "none")


@pytest.fixture(scope="module")
def refusing(tmp_path_factory: pytest.TempPathFactory) -> Headway:
    folder = tmp_path_factory.mktemp("wrong")
    (folder / "empty").touch()
    (folder / "binary").write_bytes(b"\xff\xfe\x00")
    command = Headway(folder / "data")
    del command.env["HEADWAY_SECRET_KEYS"]
    return command


@pytest.mark.parametrize(("name", "value"), CASES)
def test_a_wrong_value_is_one_sentence_that_names_the_setting(refusing: Headway, name: str, value: str) -> None:
    folder = refusing.folder.parent
    variable = f"HEADWAY_{name.upper()}"
    before = dict(refusing.env)
    refusing.env[variable] = value.format(empty=folder / "empty", binary=folder / "binary") if "{" in value else value
    try:
        # What is sealed is known only beside a database: that of a new installation.
        sentence = refusing.refused("db", "upgrade")
    finally:
        refusing.env.clear()
        refusing.env.update(before)
    assert variable in sentence
    assert sentence.count("\n") == 1


def test_every_setting_is_walked_through() -> None:
    assert {name for name, _ in CASES} == set(Settings.model_fields)


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("HEADWAY_DATABSE_URL", "HEADWAY_DATABASE_URL"),
        ("HEADWAY_DATABASE", "HEADWAY_DATABASE_URL"),
        ("HEADWAY_SECRET_KEY", "HEADWAY_SECRET_KEYS"),
        ("HEADWAY_DATADIR", "HEADWAY_DATA_DIR"),
        ("HEADWAY_REDIS", "HEADWAY_REDIS_URL"),
        ("headway_worker_slot", "HEADWAY_WORKER_SLOTS"),
        ("HEADWAY_LEASE", "HEADWAY_LEASE_S"),
        ("HEADWAY_QQQQ", "docs/running/settings.md"),
    ],
)
def test_a_name_that_is_no_setting_is_refused_with_the_one_that_is_meant(
    nowhere: Headway, name: str, meant: str
) -> None:
    nowhere.env[name] = "x"
    sentence = nowhere.refused("repo", "list")
    assert f"{name} is no setting" in sentence
    assert meant in sentence


KUBERNETES = ("HEADWAY_SERVICE_HOST", "HEADWAY_SERVICE_PORT", "HEADWAY_SERVICE_PORT_HTTP", "HEADWAY_PORT_8080_TCP_ADDR")


@pytest.mark.parametrize("name", [*KUBERNETES, *sorted(OF_OTHERS), "headway_system_name"])
def test_variables_of_others_are_left_alone(nowhere: Headway, name: str) -> None:
    nowhere.env[name] = "x"
    assert "There is no installation here" in nowhere.refused("repo", "list")


def test_what_kubernetes_sets_for_a_service_named_headway_is_explained(nowhere: Headway) -> None:
    nowhere.env["HEADWAY_PORT"] = "tcp://10.96.0.7:8080"
    assert "enableServiceLinks: false" in nowhere.refused("repo", "list")


@pytest.mark.parametrize(
    ("kind", "limit"),
    [("lease_s", kinds.SECONDS_MAX), ("audit_days", kinds.DAYS_MAX), ("worker_slots", kinds.SLOTS_MAX),
     ("attempts_max", kinds.COUNT_MAX), ("step_files_max", kinds.FILES_MAX), ("log_bytes_max", kinds.BYTES_MAX)],
)  # fmt: skip
def test_a_number_is_no_larger_than_its_limit(nowhere: Headway, kind: str, limit: int) -> None:
    variable = f"HEADWAY_{kind.upper()}"
    for value, sentence in ((limit, "There is no installation here"), (limit + 1, f"{variable}: it is {limit:,}")):
        nowhere.env[variable] = str(value)
        assert sentence in nowhere.refused("repo", "list")
        del nowhere.env[variable]


def test_memory_and_cpus_that_no_container_can_have_are_refused(nowhere: Headway) -> None:
    for variable, values in {
        "HEADWAY_STEP_MEMORY_BYTES_MAX": ("6291456", "6291455"), "HEADWAY_STEP_CPUS_MAX": ("0.01", "0.009"),
    }.items():  # fmt: skip
        for value, sentence in zip(values, ("There is no installation", "no less than"), strict=True):
            nowhere.env[variable] = value
            assert sentence in nowhere.refused("repo", "list")
        del nowhere.env[variable]


def test_an_option_is_named_as_it_was_written(nowhere: Headway) -> None:
    assert "--port: it is 65,535 at most" in nowhere.refused("serve", "--port", "65536")
    assert "--host: " in nowhere.refused("web", "--host", "http://h")


@pytest.fixture
def in_a_process(tmp_path: Path) -> dict[bytes, bytes]:
    return {**os.environb, b"HEADWAY_DATA_DIR": str(tmp_path / "data").encode()}


def run(env: dict[bytes, bytes], *arguments: str | bytes, stdin: bytes = b"") -> str:
    code = "from runner.cli.main import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], env=env, input=stdin, capture_output=True, timeout=60, check=False
    )
    assert done.returncode == 3, done.stderr
    assert b"Traceback" not in done.stderr
    return done.stderr.decode()


@pytest.mark.slow
def test_what_is_no_text_is_refused_in_variables_arguments_and_on_standard_input(
    in_a_process: dict[bytes, bytes],
) -> None:
    assert "HEADWAY_SYSTEM_NAME: its value is no text" in run(
        {**in_a_process, b"HEADWAY_SYSTEM_NAME": b"\xff"}, "worker"
    )
    assert "The argument \\udcff is no text in UTF-8" in run(in_a_process, "repo", "add", b"\xff")
    said = run(in_a_process, "secret", "set", "a/b", "key", stdin=b"\xff\xfe\x00hunter2")
    assert "standard input is no text in UTF-8" in said
    assert "hunter2" not in said
