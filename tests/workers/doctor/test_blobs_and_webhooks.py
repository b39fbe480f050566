"""The checks of the blob store and of webhooks."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine

from tests.support.services import free_port
from workers import store
from workers.db.models import Delivery
from workers.db.session import db_now_ms, make_engine, transaction, upgrade
from workers.doctor.blobs import blobs
from workers.doctor.finding import Finding, Level
from workers.doctor.webhooks import REPOS_MAX, webhooks
from workers.settings import Settings

DAY_MS = 86_400_000


def only(found: list[Finding]) -> tuple[Level, str]:
    (finding,) = found
    return finding.level, finding.sentence


def test_a_folder_of_blobs_is_tried_and_left_as_it_was(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path)
    assert only(blobs(settings)) == (Level.OK, f"{tmp_path}/blobs is not there yet; the first log makes it")
    (tmp_path / "blobs").mkdir()
    assert only(blobs(settings)) == (Level.OK, f"{tmp_path}/blobs takes, gives and removes blobs")
    assert [path for path in (tmp_path / "blobs").rglob("*") if path.is_file()] == []
    (tmp_path / "blobs" / "doctor").touch()
    level, sentence = only(blobs(settings))
    assert level is Level.PROBLEM
    assert sentence.endswith("whether the store lets Headway write in it.")


def test_a_bucket_that_does_not_answer_is_a_problem(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    values = {"AWS_ENDPOINT": f"http://127.0.0.1:{free_port()}", "AWS_ACCESS_KEY_ID": "a", "AWS_REGION": "r"}
    for name, value in (values | {"AWS_SECRET_ACCESS_KEY": "b", "AWS_ALLOW_HTTP": "true"}).items():
        monkeypatch.setenv(name, value)
    level, sentence = only(blobs(Settings(data_dir=tmp_path, blob_url="s3://bucket/logs")))
    assert level is Level.PROBLEM
    assert "HEADWAY_BLOB_URL" in sentence


@pytest.fixture
def installed(tmp_path: Path) -> Iterator[Engine]:
    engine = make_engine(Settings(data_dir=tmp_path).database)
    upgrade(engine)
    yield engine
    engine.dispose()


def deliver(engine: Engine, name: str, state: str, age_ms: int, reason: str = "") -> None:
    with transaction(engine) as session:
        repo = store.repo_by_name(session, name) or store.add_repo(session, store.NewRepo(name, "file:///x"))
        at_ms = db_now_ms(session) - age_ms
        session.add(Delivery(repo_id=repo.id, key=f"{at_ms}", state=state, reason=reason, received_ms=at_ms))


def test_each_repository_says_what_came_of_its_last_webhook(installed: Engine, tmp_path: Path) -> None:
    deliver(installed, "accepts", "refused", 2 * DAY_MS)
    deliver(installed, "accepts", "nothing_to_do", DAY_MS)
    deliver(installed, "refuses", "refused", 60_000, "The signature is wrong.")
    deliver(installed, "refused long ago", "refused", 8 * DAY_MS)
    with transaction(installed) as session:
        store.add_repo(session, store.NewRepo("silent", "file:///x"))
        off = store.add_repo(session, store.NewRepo("off", "file:///x"))
        store.switch_off(session, off.id)
    settings = Settings(data_dir=tmp_path, base_url="https://ci.example.com")
    assert [(each.level.value, each.sentence) for each in webhooks(settings)] == [
        ("ok", "forges send webhooks to https://ci.example.com/hooks/"),
        ("ok", "accepts received the last one 24 hours ago: nothing to do"),
        ("ok", "refused long ago received the last one 8 days ago: refused"),
        (
            "warning",
            "refuses refused the last one, less than an hour ago: The signature is wrong. "  # noqa: ISC004 - one sentence
            "headway repo check refuses tests the connection.",
        ),
        ("ok", "silent has received none; headway repo check silent tests the connection"),
    ]


@pytest.mark.parametrize("url", ["", "http://10.0.0.5:8080", "http://127.0.0.1:8080", "http://[fd00::1]"])
def test_an_address_that_only_this_network_reaches_is_a_warning(installed: Engine, tmp_path: Path, url: str) -> None:
    level, sentence = only(webhooks(Settings(data_dir=tmp_path, base_url=url)))
    assert level is Level.WARNING
    assert "HEADWAY_BASE_URL" in sentence


def test_the_first_repositories_are_looked_at(installed: Engine, tmp_path: Path) -> None:
    with transaction(installed) as session:
        for number in range(REPOS_MAX + 1):
            store.add_repo(session, store.NewRepo(f"repo-{number:02}", "file:///x"))
    found = webhooks(Settings(data_dir=tmp_path))
    assert len(found) == REPOS_MAX + 2
    assert found[-1].sentence == "1 more repositories were not looked at"


def test_without_a_database_the_other_check_says_why(tmp_path: Path) -> None:
    (tmp_path / "headway.db").touch()
    assert webhooks(Settings(data_dir=tmp_path)) == []
