"""The keys of caches: from files of the checkout, with limits, and what is said where there is none."""

from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from pipelines.state import Reason
from pipelines.step_options.caches import Cache, CacheFolder, Checksum
from runner.artifacts.files import ArtifactLimits
from runner.caches.job_caches import KEYS, CacheAccess, JobCaches
from runner.caches.keys import LIMITS, KeyResolver, ResolvedKey
from runner.caches.store import CacheStore
from runner.cleanup.folder_removal import remove_tree
from runner.docker.client import Engine
from runner.errors import CanceledError, MachineError
from runner.step_files import StepFolder
from tests.support.plans import numbered, shell

FOLDERS = (CacheFolder(path="a"),)


def nothing() -> None:
    """The job may go on."""


def key_of(checkout: Path, *files: str, optional: bool = False, limits: ArtifactLimits = LIMITS) -> ResolvedKey:
    key = ("k-", Checksum(files=files, optional=optional))
    return KeyResolver(StepFolder(checkout), nothing, limits).resolve(
        Cache(name="c", key=key, restore=(("k-",),), folders=FOLDERS)
    )


def test_a_key_changes_with_the_content_and_the_place_of_files(tmp_path: Path) -> None:
    (tmp_path / "a.lock").write_text("1")
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub/a.lock").write_text("2")
    first = key_of(tmp_path, "**/a.lock")
    assert (first.restore, first.problem, len(first.key)) == (("k-",), "", len("k-") + 20)
    assert key_of(tmp_path, "**/a.lock") == first
    assert key_of(tmp_path, "a.lock", "sub/a.lock") == first
    assert key_of(tmp_path, "a.lock") != first
    (tmp_path / "sub/a.lock").rename(tmp_path / "sub/b.lock")
    assert key_of(tmp_path, "**/*.lock") != first
    (tmp_path / "sub/b.lock").rename(tmp_path / "sub/a.lock")
    (tmp_path / "a.lock").write_text("3")
    assert key_of(tmp_path, "**/a.lock") != first


def test_a_file_that_is_missing_has_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "there").write_text("")
    assert key_of(tmp_path, "there", "package-lock.json").problem == (
        "the key of its cache takes the checksum of 'package-lock.json', and the checkout has no such file; write its "
        "path from where the step starts; no step may make it, because keys are made before the first"
    )
    assert key_of(tmp_path, "none", optional=True) == ResolvedKey("k-none", ("k-",))


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "a.lock").symlink_to("/etc/passwd")
    assert "'a.lock': it is a link" in key_of(tmp_path, "a.lock").problem
    assert key_of(tmp_path, "a.lock", optional=True).key == "k-none"
    (tmp_path / "sub").symlink_to("/etc")
    assert "'sub/passwd', and the checkout has no such file" in key_of(tmp_path, "sub/passwd").problem


@pytest.mark.parametrize(
    ("limits", "problem"),
    [
        (replace(LIMITS, files_max=2), ""),
        (replace(LIMITS, files_max=1), "it would be of more than 1 files; name fewer"),
        (replace(LIMITS, bytes_max=8), ""),
        (replace(LIMITS, bytes_max=7), "its files have more than 7 bytes; name fewer"),
        (replace(LIMITS, entries_count_max=3), ""),
        (replace(LIMITS, entries_count_max=2), "more than 2 names were looked at; name the file's folder"),
    ],
)
def test_the_files_are_limited(tmp_path: Path, limits: ArtifactLimits, problem: str) -> None:
    for name in ("a", "b"):
        (tmp_path / name).write_text("1234")
    (tmp_path / "c").write_text("")
    said = f"the checksum in the key of its cache cannot be made: {problem}" if problem else ""
    assert key_of(tmp_path, "a", "b", limits=limits).problem == said


def test_a_canceled_job_makes_no_keys(tmp_path: Path) -> None:
    def canceled() -> None:
        raise CanceledError(Reason.CANCELED, "canceled by ada")

    with pytest.raises(CanceledError):
        KeyResolver(StepFolder(tmp_path), canceled).resolve(
            Cache(name="c", key=(Checksum(files=("a",)),), folders=FOLDERS)
        )


def test_another_process_has_the_same_keys(tmp_path: Path) -> None:
    (tmp_path / "a.lock").write_text("1")
    owner, access = tmp_path / "job", CacheAccess(CacheStore(tmp_path / "caches", ""), "repo")
    owner.mkdir()
    cache = Cache(name="c", key=(Checksum(files=("a.lock",)),), folders=FOLDERS)
    broken = Cache(name="d", key=(Checksum(files=("b.lock",)),), folders=FOLDERS)
    steps = numbered([shell("x"), shell("y", caches=(cache, broken))])
    first, second = JobCaches(access, owner), JobCaches(access, owner)
    first.prepare(steps, KeyResolver(StepFolder(tmp_path), nothing))
    (tmp_path / "a.lock").write_text("a step has changed it")
    second.resume()
    assert first.keys_of(steps[0]) == second.keys_of(steps[0]) == ()
    assert first.keys_of(steps[1]) == second.keys_of(steps[1])
    assert "'b.lock'" in second.keys_of(steps[1])[1].problem
    (access.store.views_of(owner) / KEYS).write_text("{")
    third = JobCaches(access, owner)
    third.resume()
    assert third.keys_of(steps[1]) == ()


def test_a_job_without_caches_makes_nothing(tmp_path: Path) -> None:
    access = CacheAccess(CacheStore(tmp_path / "caches", ""), "repo")
    for caches in (JobCaches(None, tmp_path), JobCaches(access, tmp_path)):
        caches.prepare(numbered([shell("x")]), KeyResolver(StepFolder(tmp_path), nothing))
        caches.resume()
        assert caches.views_in("c") == []
        assert caches.close(Engine("unix:///none", connect=False)) == []
    assert not (tmp_path / "caches").exists()


def test_what_cannot_be_removed_is_reported_and_removed_later(tmp_path: Path) -> None:
    access = CacheAccess(CacheStore(tmp_path / "caches", ""), "repo")
    cache = Cache(name="c", key=("k",), folders=FOLDERS)
    caches, engine = JobCaches(access, tmp_path), Engine("unix:///none", connect=False)
    caches.prepare(numbered([shell("x", caches=(cache,))]), KeyResolver(StepFolder(tmp_path), nothing))
    (access.store.gone / "a file").write_text("rmtree takes folders alone")
    (error,) = caches.close(engine)
    assert isinstance(error, MachineError)
    (access.store.gone / "a file").unlink()
    access.store.remove_gone(partial(remove_tree, engine))
    assert list(access.store.gone.iterdir()) == []
