"""A machine is cleaned: mirrors of repositories that are gone, quotas, the report; by one process at a time."""

import fcntl
import json
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine
from structlog.testing import capture_logs

from pipelines.context import Trust
from pipelines.state import Reason
from runner.caches.store import CacheStore, Wanted
from runner.caches.trimming import stored_versions
from runner.docker.client import Engine as Docker
from runner.errors import MachineError
from runner.source.mirrors.mirror import Mirror
from runner.source.mirrors.mirror_removal import in_use
from tests.support.builders import push
from tests.support.fake_engine import DOCKER, fake_engine
from tests.support.repos import Repo
from tests.support.services import TEST_KEY
from workers import store
from workers.access.caches import caches_for
from workers.access.trust import permissions
from workers.db.models import Repo as RepoRow
from workers.db.session import reading, transaction
from workers.disk import MEASURE_EVERY_S, disk_of
from workers.jobs.machine.cleaner import MachineCleaner, machine_name
from workers.jobs.machine.housekeeping import SOON_S, Housekeeping
from workers.secrets.vault import parse_keys
from workers.settings import Settings
from workers.store.processes.disk_reports import reports


def no_engine() -> Docker:
    raise MachineError(Reason.ENGINE_GONE, "there is no engine")


@dataclass
class Machine:
    """A machine without an engine, and two repositories with a mirror each."""

    database: Engine
    folder: Path
    settings: Settings

    def mirror(self, name: str) -> Mirror:
        with reading(self.database) as session:
            repo = store.repo_by_name(session, name)
        assert repo is not None
        return Mirror(self.settings.mirrors_dir, repo.clone_url, key=repo.key)

    def add(self, name: str) -> Mirror:
        repo = Repo(self.folder / name)
        with transaction(self.database) as session:
            store.add_repo(session, store.NewRepo(name, repo.url))
        mirror = self.mirror(name)
        mirror.fetch(repo.commit({"a": name}))
        with in_use(mirror.path):
            pass
        return mirror

    def idle_for(self, mirror: Mirror, seconds: float) -> None:
        at_s = time.time() - seconds
        os.utime(mirror.path.with_suffix(".used"), (at_s, at_s))

    def clean(self, **settings: Any) -> dict[str, Any]:
        changed = self.settings.model_copy(update=settings)
        MachineCleaner(changed, self.database, no_engine).clean()
        with reading(self.database) as session:
            (report,) = reports(session)
        assert report.name == machine_name(changed.data_dir)
        return report.facts


@pytest.fixture
def machine(sqlite_database: Engine, tmp_path: Path) -> Machine:
    (tmp_path / "data").mkdir()
    return Machine(sqlite_database, tmp_path, Settings(data_dir=tmp_path / "data", disk_high_percent=100))


def test_a_removed_repository_leaves_no_mirror_on_any_machine(machine: Machine) -> None:
    gone, stays = machine.add("gone"), machine.add("stays")
    with transaction(machine.database) as session:
        session.delete(session.query(RepoRow).filter_by(name="gone").one())
    with in_use(gone.path):
        machine.clean()
        assert gone.path.exists(), "its last job still runs"
    facts = machine.clean()
    assert {path.name.partition(".")[0] for path in stays.path.parent.iterdir()} == {stays.path.stem}
    assert list(facts["mirrors"].values()) == [facts["bytes"]["mirrors"]]
    assert facts["problem"] == "there is no engine."
    assert facts["total_bytes"] == disk_of(machine.folder).total_bytes


def test_a_repository_with_another_address_has_no_old_mirror(machine: Machine) -> None:
    mirror = machine.add("moved")
    with transaction(machine.database) as session:
        session.query(RepoRow).update({"clone_url": "file:///elsewhere"})
    machine.clean()
    assert list(mirror.path.parent.iterdir()) == []


def test_the_quota_of_mirrors_takes_the_one_that_was_not_used_for_longest(machine: Machine) -> None:
    old, used, new = machine.add("old"), machine.add("used"), machine.add("new")
    machine.idle_for(old, 100)
    machine.idle_for(used, 200)
    total = machine.clean()["bytes"]["mirrors"]
    assert all(each.path.exists() for each in (old, used, new))
    with in_use(used.path):
        machine.idle_for(used, 200)
        facts = machine.clean(mirror_bytes_max=total - 1)
        assert used.path.exists()
    assert facts["freed_bytes"] == 0
    machine.idle_for(used, 200)
    facts = machine.clean(mirror_bytes_max=total - 1)
    assert [each.path.exists() for each in (used, old, new)] == [False, True, True]
    assert facts["freed_bytes"] > 0
    assert len(facts["mirrors"]) == 2
    machine.clean(mirror_bytes_max=1)
    assert [each.path.exists() for each in (used, old, new)] == [False, False, False]


def test_a_full_disk_takes_idle_mirrors_alone(machine: Machine) -> None:
    idle, busy = machine.add("idle"), machine.add("busy")
    machine.idle_for(idle, 4000)
    machine.clean(disk_high_percent=1, disk_low_percent=0)
    assert (idle.path.exists(), busy.path.exists()) == (False, True)


def keep_cache(machine: Machine, name: str, key: str, used_s: float, size_bytes: int = 1000) -> CacheStore:
    """A repository's step has kept a cache, and its job has ended."""
    with reading(machine.database) as session:
        repo = store.repo_by_name(session, name)
    allowed = permissions(push(), Trust(), on_branch=True)
    access = caches_for(
        parse_keys([TEST_KEY], "the test"), machine.settings, (repo.id, repo.key) if repo else (99, ""), allowed
    )
    owner = machine.folder / f"job-{key}"
    owner.mkdir()
    access.store.open_job(owner)
    view = access.store.open_view(owner, Wanted("c", 1, f"{access.scope}/family", key, (), 1))
    access.store.save(view, size_bytes, None)
    owner.rmdir()
    for each in stored_versions(access.store):
        if each.version.key == key:
            os.utime(access.store.versions / each.name, (used_s, used_s))
    return access.store


def cached(caches: CacheStore) -> list[str]:
    return [each.version.key for each in stored_versions(caches)]


def test_caches_have_a_quota_and_go_with_their_repository(machine: Machine) -> None:
    machine.add("stays")
    now_s = time.time()
    for age, key in enumerate(["new", "old"]):
        caches = keep_cache(machine, "stays", key, now_s - age)
    keep_cache(machine, "gone", "gone", now_s)
    assert (caches.root / "views").is_dir()
    facts = machine.clean()
    assert cached(caches) == ["new", "old"]
    assert facts["bytes"]["caches"] == sum(facts["caches"].values()) == 2000
    assert [list(folder.iterdir()) for folder in (caches.views, caches.gone)] == [[], []]
    assert len(list(caches.layers.iterdir())) == 2
    machine.clean(cache_bytes_max=1999)
    assert cached(caches) == ["new"]
    assert [each.version.boot for each in stored_versions(caches)] == [""], "it is certainly on the disk"


def test_a_full_disk_takes_idle_caches_alone(machine: Machine) -> None:
    machine.add("repo")
    keep_cache(machine, "repo", "idle", time.time() - 4000)
    caches = keep_cache(machine, "repo", "busy", time.time())
    facts = machine.clean(disk_high_percent=1, disk_low_percent=0)
    assert cached(caches) == ["busy"]
    assert facts["freed_bytes"] >= 1000
    assert len(list(caches.layers.iterdir())) == 1


def test_one_process_cleans_at_a_time_and_every_ten_minutes(machine: Machine) -> None:
    calls: list[int] = []
    lock = machine.settings.housekeeping_lock
    first, second = (Housekeeping(machine.settings, lambda: calls.append(1)) for _ in range(2))
    assert first.clean_if_due()
    assert not second.clean_if_due()
    passed_s = time.time() - MEASURE_EVERY_S - 1
    os.utime(lock, (passed_s, passed_s))
    with lock.open() as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        assert not second.clean_if_due()
    assert second.clean_if_due()
    assert len(calls) == 2


def test_a_full_disk_is_cleaned_sooner(machine: Machine) -> None:
    calls: list[int] = []
    full = machine.settings.model_copy(update={"disk_high_percent": 1, "disk_low_percent": 0})
    keeping = Housekeeping(full, lambda: calls.append(1))
    assert keeping.clean_if_due()
    assert not keeping.clean_if_due()
    passed_s = time.time() - SOON_S - 1
    os.utime(full.housekeeping_lock, (passed_s, passed_s))
    assert keeping.clean_if_due()


def test_what_fails_is_logged_and_tried_again(machine: Machine) -> None:
    def fails() -> None:
        raise OSError("no room")

    keeping = Housekeeping(machine.settings, fails)
    with capture_logs() as logs:
        keeping.start()
        keeping.stop()
    assert [each["error"] for each in logs] == ["OSError: no room"]


def test_a_build_cache_above_its_limit_is_pruned_and_what_fails_is_reported(machine: Machine, tmp_path: Path) -> None:
    usage = '{"Images": [], "Containers": [], "BuildCache": [{"Size": 51}]}'
    with fake_engine(tmp_path, DOCKER, df=usage, info="{}") as fake:
        database, engine = machine.database, Docker(fake.host)

        def clean(most: int) -> str:
            settings = machine.settings.model_copy(update={"build_cache_bytes_max": most})
            MachineCleaner(settings, database, lambda: engine).clean()
            with reading(database) as session:
                return str(reports(session)[0].facts["problem"])

        assert (clean(0), clean(51)) == ("", "")
        assert not [path for path in fake.asked if path.endswith("/prune")]
        assert "cannot remove build cache: page not found" in clean(50)


def test_images_beyond_their_quota_go_and_others_stay(machine: Machine, tmp_path: Path) -> None:
    ours, other = "a" * 64, "b" * 64
    images = [{"Id": f"sha256:{ours}", "Size": 60}, {"Id": f"sha256:{other}", "Size": 999}]
    usage = json.dumps({"Images": images, "BuildCache": []})
    folder = machine.settings.image_records_dir
    folder.mkdir()
    (folder / ours).touch()
    with fake_engine(tmp_path, DOCKER, df=usage, info="{}") as fake:
        engine = Docker(fake.host)
        for most, left in ((60, [ours]), (59, [])):
            settings = machine.settings.model_copy(update={"image_bytes_max": most})
            MachineCleaner(settings, machine.database, lambda: engine).clean()
            # The fake engine has no image of any id: for it, the image is gone already.
            assert [path.name for path in folder.iterdir()] == left


def test_a_mirror_that_cannot_be_removed_keeps_no_other_from_it(machine: Machine) -> None:
    folder = machine.settings.mirrors_dir
    folder.mkdir(exist_ok=True)
    for letter, stuck in (("a", True), ("b", False), ("c", True)):
        (folder / f"{letter * 24}.git").mkdir()
        if stuck:
            (folder / f"{letter * 24}.used").mkdir()
    with capture_logs() as logs:
        machine.clean()
    assert sorted(path.name for path in folder.glob("*.git")) == [f"{each * 24}.git" for each in "ac"]
    assert sum("could not be removed" in str(line["event"]) for line in logs) == 2
