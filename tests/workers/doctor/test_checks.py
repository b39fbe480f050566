"""Each check, on what is well and on what is not."""

from pathlib import Path

import pytest
from pydantic import SecretStr
from pytest_httpserver import HTTPServer
from redis import Redis
from sqlalchemy import text

from tests.support.fake_engine import fake_engine
from tests.support.services import TEST_KEY, free_port
from workers import store
from workers.db.session import make_engine, transaction
from workers.doctor import database, machine, services
from workers.doctor.finding import Finding, Level
from workers.secrets.vault import Vault, hook_place, new_key, parse_keys
from workers.settings import Settings
from workers.store.processes import leaders

DOCKER = {"Version": "27.0.1", "ApiVersion": "1.46", "MinAPIVersion": "1.24", "Os": "linux", "Arch": "amd64"}
INFO = '{"Driver": "overlay2", "MemoryLimit": true, "CpuCfsQuota": true, "PidsLimit": true}'


def of(findings: list[Finding], subject: str) -> tuple[Level, str]:
    (found,) = [each for each in findings if each.subject == subject]
    return found.level, found.sentence


def without_file_key(settings: Settings, keys: str = "") -> Settings:
    return settings.model_copy(update={"secret_keys": SecretStr(keys)})


def test_an_engine_that_answers_is_named_and_one_that_does_not_is_a_problem(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path, docker_host=f"unix://{tmp_path}/no.sock")
    level, sentence = of(machine.engine(settings), "engine")
    assert level is Level.PROBLEM
    assert str(tmp_path) in sentence
    with fake_engine(tmp_path, DOCKER, info=INFO) as engine:
        settings = Settings(data_dir=tmp_path, docker_host=engine.host)
        assert of(machine.engine(settings), "engine")[0] is Level.OK


def test_an_engine_without_limits_is_a_warning(tmp_path: Path) -> None:
    with fake_engine(tmp_path, DOCKER, info=INFO.replace('"PidsLimit": true', '"PidsLimit": false')) as engine:
        found = machine.engine(Settings(data_dir=tmp_path, docker_host=engine.host))
    assert [each.level for each in found] == [Level.OK, Level.WARNING]
    assert "cannot limit the processes" in found[1].sentence


def test_a_missing_git_is_a_problem(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert of(machine.git(), "git")[0] is Level.OK
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "apt-get install git" in of(machine.git(), "git")[1]


def test_the_data_folder_is_there_private_writable_and_has_room(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    settings = Settings(data_dir=folder)
    assert "No such file" in of(machine.data_folder(settings), "data")[1]
    folder.touch(0o600)
    assert "is not a folder that user" in of(machine.data_folder(settings), "data")[1]
    folder.unlink()
    folder.mkdir(mode=0o750)
    assert f"chmod 700 {folder}" in of(machine.data_folder(settings), "data")[1]
    folder.chmod(0o700)
    assert of(machine.data_folder(settings), "data")[0] is Level.OK


def test_a_server_at_rest_has_neither_scheduler_nor_workers(settings: Settings) -> None:
    found = database.database(settings)
    assert [of(found, subject)[0] for subject in ("database", "clock")] == [Level.OK, Level.OK]
    assert "headway scheduler" in of(found, "scheduler")[1]
    assert "headway worker" in of(found, "workers")[1]


def test_a_server_that_works_is_well_until_its_parts_say_otherwise(settings: Settings) -> None:
    engine = make_engine(settings.database)
    with transaction(engine) as session:
        leaders.take_lead(session, "scheduler", "host-1", 60)
        store.record_heartbeat(session, "w1", {}, 2, 60)
    assert {each.level for each in database.database(settings)} == {Level.OK}
    with transaction(engine) as session:
        store.note_failed_duty(session, "old logs", "It is a file.")
        store.record_heartbeat(session, "w1", {}, 2, 60, "The disk is full.")
    found = database.database(settings)
    assert of(found, "scheduler") == (Level.WARNING, "old logs: It is a file.")
    assert of(found, "workers") == (Level.WARNING, "w1: The disk is full.")
    engine.dispose()


@pytest.mark.parametrize(("revision", "words"), [("0001", "headway db upgrade"), ("9999", "Use a newer one")])
def test_another_schema_is_a_problem(settings: Settings, revision: str, words: str) -> None:
    engine = make_engine(settings.database)
    with transaction(engine) as session:
        session.execute(text("UPDATE alembic_version SET version_num = :it"), {"it": revision})
    engine.dispose()
    assert words in of(database.database(settings), "database")[1]
    assert of(database.key(settings), "key")[0] is Level.OK


def test_a_database_that_is_not_there_is_a_problem_and_is_not_made(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path, database_url=f"sqlite:///{tmp_path}/no.db")
    assert "there is no database" in of(database.database(settings), "database")[1]
    away = Settings(data_dir=tmp_path, database_url=f"postgresql+psycopg://u:pw@127.0.0.1:{free_port()}/x")
    assert of(database.database(away), "database")[0] is Level.PROBLEM
    assert list(tmp_path.iterdir()) == []


def test_clocks_may_be_two_seconds_apart() -> None:
    assert database.clock(2_000).level is Level.OK
    assert database.clock(2_001).level is Level.WARNING


def seal_a_hook(settings: Settings, vault: Vault) -> None:
    engine = make_engine(settings.database)
    with transaction(engine) as session:
        repo = store.add_repo(session, store.NewRepo("acme/roof", "file:///srv/roof.git"))
        repo.hook_secret_sealed = vault.seal(hook_place(repo.id), "word")
    engine.dispose()


def test_the_key_is_the_one_that_sealed(settings: Settings) -> None:
    assert "the server makes one" in of(database.key(without_file_key(settings)), "key")[1]
    vault = parse_keys([TEST_KEY], "here")
    seal_a_hook(settings, vault)
    assert of(database.key(settings), "key") == (Level.OK, "1 there, and they fit")
    assert f"sealed with key {vault.newest}: put it back" in of(database.key(without_file_key(settings)), "key")[1]
    other = without_file_key(settings, new_key())
    assert f"sealed with key {vault.newest}, which is not among" in of(database.key(other), "key")[1]
    same_name = without_file_key(settings, f"{vault.newest}:{new_key().partition(':')[2]}")
    assert "is another key than it was" in of(database.key(same_name), "key")[1]


def test_a_key_file_that_others_can_read_is_a_problem(settings: Settings) -> None:
    mine = without_file_key(settings)
    mine.key_file.write_text(new_key())
    mine.key_file.chmod(0o644)
    assert "chmod 600" in of(database.key(mine), "key")[1]
    mine.key_file.chmod(0o600)
    assert of(database.key(mine), "key")[0] is Level.OK
    mine.key_file.write_text("no key")
    assert of(database.key(mine), "key")[0] is Level.PROBLEM


def test_redis_answers_and_keeps_the_queue(settings: Settings) -> None:
    assert of(services.redis(settings), "redis") == (Level.OK, "answers")
    with Redis.from_url(settings.redis_url) as client:
        client.config_set("maxmemory", "100mb")
        client.config_set("maxmemory-policy", "allkeys-lru")
        try:
            assert of(services.redis(settings), "redis")[0] is Level.WARNING
        finally:
            client.config_set("maxmemory", "0")
            client.config_set("maxmemory-policy", "noeviction")
    away = Settings(data_dir=settings.data_dir, redis_url=f"redis://127.0.0.1:{free_port()}/0")
    assert "It is HEADWAY_REDIS_URL" in of(services.redis(away), "redis")[1]


def test_the_private_redis_is_found_by_its_configuration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HEADWAY_REDIS_URL", raising=False)
    settings = Settings(data_dir=tmp_path)
    settings.redis_dir.mkdir()
    port = free_port()
    (settings.redis_dir / "redis.conf").write_text(f"bind 127.0.0.1\nport {port}\nrequirepass word\nhz 1\n")
    level, sentence = of(services.redis(settings), "redis")
    assert level is Level.PROBLEM
    assert f"127.0.0.1:{port}" in sentence
    assert "the private one of headway serve" in sentence
    assert "word" not in sentence


@pytest.fixture
def address(httpserver: HTTPServer) -> str:
    httpserver.expect_request("/healthz").respond_with_json({"status": "ok"})
    return httpserver.url_for("").rstrip("/")


def test_the_address_answers(address: str, httpserver: HTTPServer) -> None:
    assert of(services.base_url(Settings(base_url=address)), "url")[0] is Level.OK
    unset = Settings(base_url="", port=httpserver.port)
    assert of(services.base_url(unset), "url")[0] is Level.WARNING
    httpserver.clear()
    assert "something else" in of(services.base_url(Settings(base_url=address)), "url")[1]
    nowhere = Settings(base_url=f"http://127.0.0.1:{free_port()}")
    assert of(services.base_url(nowhere), "url")[0] is Level.PROBLEM


def test_only_this_machine_may_be_asked_without_tls() -> None:
    where = {"localhost": Level.OK, "127.0.0.9": Level.OK, "::1": Level.OK, "ci.example.com": Level.WARNING}
    assert {host: services.scheme(f"http://{host}", host).level for host in where} == where
    assert services.scheme("https://ci.example.com", "ci.example.com").level is Level.OK
