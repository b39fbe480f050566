"""The store of caches: versions, views, layers, and what is removed."""

import os
import threading
from pathlib import Path

import pytest

from runner.caches.store import CacheStore, View, Wanted
from runner.caches.trimming import drop_scopes, make_durable, remove_version, stored_versions, trim
from runner.caches.version_file import STEPS_COUNT_MAX, Version, read_version


@pytest.fixture
def store(tmp_path: Path) -> CacheStore:
    return CacheStore(tmp_path / "caches", "boot-1")


@pytest.fixture
def owner(tmp_path: Path) -> Path:
    return new_owner(tmp_path, "job-1")


def new_owner(tmp_path: Path, name: str) -> Path:
    folder = tmp_path / "jobs" / name
    folder.mkdir(parents=True)
    return folder


def wanted(key: str = "k", *restore: str, scope: str = "repo") -> Wanted:
    return Wanted("c", 1, f"{scope}/family", key, restore, 1)


def opened(store: CacheStore, owner: Path, asked: Wanted) -> View:
    store.open_job(owner)
    return store.open_view(owner, asked)


def saved(store: CacheStore, owner: Path, asked: Wanted, content: str = "x", size: int = 100) -> Version:
    view = opened(store, owner, asked)
    (view.upper(0) / content).write_text(content)
    return store.save(view, size, None)


def used_at(store: CacheStore, key: str, seconds: float) -> None:
    for path in store.versions.glob("*/*/*.json"):
        version = read_version(path, store.boot)
        if version and version.key == key:
            os.utime(path, (seconds, seconds))


def keys(store: CacheStore) -> list[str]:
    return [each.version.key for each in stored_versions(store)]


def test_what_was_kept_is_found_by_its_key(store: CacheStore, owner: Path) -> None:
    assert opened(store, owner, wanted()).found is None
    version = saved(store, owner, wanted())
    view = opened(store, owner, wanted())
    assert view.found == version
    assert [path.name for path in (store.layers / version.layers[0].name / "0").iterdir()] == ["x"]
    assert (version.size_bytes, list(view.upper(0).iterdir()), list(view.work(0).iterdir())) == (100, [], [])


def test_what_a_step_writes_is_a_layer_on_top_of_what_it_found(store: CacheStore, owner: Path) -> None:
    first = saved(store, owner, wanted(), "a")
    second = saved(store, owner, wanted(), "b", size=5)
    assert second.layers == (second.layers[0], *first.layers)
    assert second.size_bytes == 105


def test_an_older_key_is_taken_by_its_beginning_and_the_one_used_last(store: CacheStore, owner: Path) -> None:
    for age, key in enumerate(["n-main-1", "n-main-2", "n-other-3"]):
        saved(store, owner, wanted(key))
        used_at(store, key, 1000 - age)
    found = opened(store, owner, wanted("n-main-9", "n-none-", "n-main-", "n-")).found
    assert found is not None
    assert found.key == "n-main-1"
    assert opened(store, owner, wanted("n-main-9")).found is None
    other = opened(store, owner, wanted("n-9", "n-o")).found
    assert other is not None
    assert other.key == "n-other-3"


def test_the_same_content_gets_a_further_key(store: CacheStore, owner: Path) -> None:
    first = saved(store, owner, wanted("old"))
    view = opened(store, owner, wanted("new", "old"))
    again = store.save_again(view)
    assert again is not None
    assert (again.key, again.layers) == ("new", first.layers)
    assert store.save_again(opened(store, owner, wanted("none"))) is None
    trim(store, 0)
    for layer in store.layers.iterdir():
        layer.rename(store.gone / "x")
    assert store.save_again(view) is None


def test_another_scope_sees_nothing(store: CacheStore, owner: Path) -> None:
    saved(store, owner, wanted())
    assert opened(store, owner, wanted("k", "", scope="other")).found is None


def test_how_long_steps_took_is_remembered_of_the_last(store: CacheStore, owner: Path) -> None:
    for number in range(STEPS_COUNT_MAX + 1):
        view = opened(store, owner, wanted())
        version = store.save(view, 1, (f"w/{number}", 1.23456))
    assert len(version.cold_s) == STEPS_COUNT_MAX
    assert (version.cold_s["w/20"], "w/0" in version.cold_s) == (1.235, False)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"key": "k", "layers": [], "cold_s": {}, "boot": ""}', "x" * 100_000])
def test_a_damaged_version_counts_as_none_and_goes(store: CacheStore, owner: Path, text: str) -> None:
    saved(store, owner, wanted())
    (path,) = store.versions.glob("*/*/*.json")
    path.write_text(text)
    assert opened(store, owner, wanted()).found is None
    assert keys(store) == []
    trim(store, 0)
    assert not path.exists()


def test_a_layer_cannot_lead_elsewhere(store: CacheStore, owner: Path) -> None:
    saved(store, owner, wanted())
    (path,) = store.versions.glob("*/*/*.json")
    path.write_text('{"key": "k", "layers": [{"name": "../views", "size_bytes": 1}], "cold_s": {}, "boot": ""}')
    assert opened(store, owner, wanted()).found is None


def test_a_version_without_its_layer_counts_as_none(store: CacheStore, owner: Path) -> None:
    version = saved(store, owner, wanted())
    (store.layers / version.layers[0].name).rename(store.gone / "x")
    assert opened(store, owner, wanted("k", "k")).found is None


def test_after_a_power_cut_only_what_is_certainly_on_the_disk_counts(store: CacheStore, owner: Path) -> None:
    saved(store, owner, wanted("lost"))
    make_durable(store)
    saved(store, owner, wanted("fresh"))
    used_at(store, "lost", 5)
    restarted = CacheStore(store.root, "boot-2")
    assert keys(restarted) == ["lost"]
    make_durable(restarted)
    assert stored_versions(restarted)[0].used_s == 5, "it was not used by that"


def test_the_quota_takes_what_was_not_used_for_longest(store: CacheStore, owner: Path) -> None:
    for age, key in enumerate(["new", "middle", "old"]):
        saved(store, owner, wanted(key), size=100)
        used_at(store, key, 1000 - age)
    store.drop_views(owner)
    assert (trim(store, 300), keys(store)) == (0, ["new", "middle", "old"])
    assert (trim(store, 299), keys(store)) == (100, ["new", "middle"])
    assert (trim(store, 0), len(list(store.layers.iterdir()))) == (0, 2)
    removed: list[Path] = []
    store.remove_gone(removed.append)
    assert len(removed) == 2


def test_the_number_of_versions_is_limited(store: CacheStore, owner: Path) -> None:
    for age, key in enumerate(["new", "middle", "old"]):
        saved(store, owner, wanted(key), size=0)
        used_at(store, key, 1000 - age)
    store.drop_views(owner)
    trim(store, 0, count_max=3)
    assert keys(store) == ["new", "middle", "old"]
    trim(store, 0, count_max=2)
    assert keys(store) == ["new", "middle"]


def test_shared_layers_stay_as_long_as_a_version_has_them(store: CacheStore, owner: Path) -> None:
    saved(store, owner, wanted("old"), size=100)
    saved(store, owner, wanted("new", "old"), size=10)
    used_at(store, "old", 1)
    store.drop_views(owner)
    assert [(each.version.key, each.own_bytes) for each in stored_versions(store)] == [("new", 110), ("old", 0)]
    trim(store, 110)
    assert len(list(store.layers.iterdir())) == 2
    trim(store, 109)
    assert (keys(store), list(store.layers.iterdir())) == ([], [])


def test_what_a_job_uses_is_never_removed(store: CacheStore, owner: Path, tmp_path: Path) -> None:
    version = saved(store, owner, wanted())
    store.drop_views(owner)
    view = opened(store, owner, wanted())
    trim(store, 1)
    assert remove_version(store, stored_versions(store)[0].name, 2e12) is False
    assert keys(store) == ["k"]
    drop_scopes(store, lambda _: False)
    trim(store, 1)
    assert keys(store) == []
    assert (store.layers / version.layers[0].name).is_dir(), "its view is mounted"
    owner.rmdir()
    trim(store, 1)
    assert not view.folder.exists(), "its job is gone"
    assert list(store.layers.iterdir()) == []


def test_a_version_that_was_used_again_is_not_removed(store: CacheStore, owner: Path) -> None:
    saved(store, owner, wanted())
    store.drop_views(owner)
    used_at(store, "k", 100)
    (stored,) = stored_versions(store)
    assert remove_version(store, "none", 100) is False
    assert remove_version(store, stored.name, 99) is False
    assert remove_version(store, stored.name, 100) is True
    assert keys(store) == []


def test_only_scopes_that_are_not_kept_go(store: CacheStore, owner: Path) -> None:
    saved(store, owner, wanted("a", scope="one"))
    saved(store, owner, wanted("b", scope="two"))
    drop_scopes(store, lambda scope: scope == "two")
    assert keys(store) == ["b"]


def test_another_process_finds_the_views_of_a_container(store: CacheStore, owner: Path) -> None:
    saved(store, owner, wanted())
    view = opened(store, owner, wanted())
    store.note(view, "container-1")
    assert store.views_with(owner, "container-1") == [view]
    assert store.views_with(owner, "container-2") == []
    (view.folder / "view.json").write_text("{")
    assert store.views_with(owner, "container-1") == []


def test_views_of_a_job_go_once(store: CacheStore, owner: Path) -> None:
    view = opened(store, owner, wanted())
    gone = store.drop_views(owner)
    assert gone is not None
    assert (gone / view.folder.name).is_dir()
    assert store.drop_views(owner) is None
    assert trim(store, 0) == 0


def test_views_without_an_owner_are_leftovers(store: CacheStore, owner: Path) -> None:
    opened(store, owner, wanted())
    (store.views_of(owner) / "job").unlink()
    trim(store, 0)
    assert list(store.views.iterdir()) == []


def test_that_views_cannot_be_mounted_counts_until_the_next_start(store: CacheStore, owner: Path) -> None:
    store.open_job(owner)
    assert store.mounts_overlays
    store.no_overlays()
    assert not store.mounts_overlays
    assert CacheStore(store.root, "boot-2").mounts_overlays


def test_steps_that_keep_at_once_leave_one_whole_version(store: CacheStore, tmp_path: Path) -> None:
    owners = [new_owner(tmp_path, f"job-{number}") for number in range(2)]
    together = threading.Barrier(len(owners))

    def keep(owner: Path) -> None:
        view = opened(store, owner, wanted())
        (view.upper(0) / owner.name).write_text("x")
        together.wait()
        for _ in range(5):
            trim(store, 0)
        store.save(view, 1, None)

    threads = [threading.Thread(target=keep, args=(owner,)) for owner in owners]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = opened(store, owners[0], wanted()).found
    assert found is not None
    assert len(found.layers) == 1
    assert len(list((store.layers / found.layers[0].name / "0").iterdir())) == 1
