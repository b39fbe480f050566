"""Archives of caches for other machines: the engine packs and unpacks them, and nothing half or foreign is used."""

import io
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipelines.state import Reason
from runner.caches.sharing import SharedCopy, archive_bytes_max, fetch, packed, undisturbed
from runner.caches.store import CacheStore, Wanted
from runner.docker.client import Engine
from runner.errors import CanceledError, StepError
from tests.support.engine import JobRunner

pytestmark = pytest.mark.engine

WANTED = Wanted("pip", 1, "1-a/family", "pip-1", (), 2)
LABELS = {"headway.job": "t-sharing"}


def nothing() -> None:
    """The job may go on."""


def stop() -> None:
    raise CanceledError(Reason.CANCELED, "canceled by ann")


@pytest.fixture
def store(tmp_path: Path) -> CacheStore:
    store = CacheStore(tmp_path / "caches", "boot")
    (tmp_path / "job").mkdir()
    store.open_job(tmp_path / "job")
    return store


@pytest.fixture
def layers(tmp_path: Path) -> list[list[Path]]:
    """A cache of two folders: one of two layers, one of a single one."""
    for name in ("top", "below", "single"):
        (tmp_path / name).mkdir()
    (tmp_path / "top/file").write_text("new")
    (tmp_path / "below/file").write_text("old")
    (tmp_path / "below/program").write_text("x")
    (tmp_path / "below/program").chmod(0o750)
    (tmp_path / "single/link").symlink_to("/etc/passwd")
    return [[tmp_path / "top", tmp_path / "below"], [tmp_path / "single"]]


def archive_of(names: list[str]) -> bytes:
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w") as entries:
        for name in names:
            member = tarfile.TarInfo(name)
            member.type = tarfile.DIRTYPE
            entries.addfile(member)
    return data.getvalue()


def fetched(store: CacheStore, engine: Engine, archive: bytes | Iterator[bytes], bytes_max: int = 10**6) -> None:
    pieces = iter([archive]) if isinstance(archive, bytes) else archive
    copy = SharedCopy(WANTED.key, bytes_max, 100, "")
    fetch(engine, store, store.root.parent / "job", WANTED, copy, pieces, LABELS, nothing)


def found(store: CacheStore) -> list[Path]:
    view = store.open_view(store.root.parent / "job", WANTED)
    return [store.layers / layer.name for layer in view.found.layers] if view.found else []


def test_what_was_packed_of_layers_is_one_layer_elsewhere(
    store: CacheStore, layers: list[list[Path]], ran: JobRunner
) -> None:
    with packed(ran.engine, layers, LABELS, nothing, 10**6) as pieces:
        archive = b"".join(pieces)
    fetched(store, ran.engine, archive, len(archive))
    (layer,) = found(store)
    assert (layer / "0/file").read_text() == "new"
    assert (layer / "0/program").stat().st_mode & 0o777 == 0o750
    assert (layer / "1/link").readlink() == Path("/etc/passwd")
    with pytest.raises(OSError, match="longer than what was shared"):
        fetched(store, ran.engine, archive, len(archive) - 1)


@pytest.mark.parametrize("names", [["version", "version/0"], ["other/0", "other/1"], ["version/0", "../other/1"], []])
def test_an_archive_of_other_folders_is_refused(store: CacheStore, ran: JobRunner, names: list[str]) -> None:
    with pytest.raises((OSError, StepError)):
        fetched(store, ran.engine, archive_of(names))
    assert found(store) == []


def test_an_error_of_the_storage_is_that_of_the_fetch_and_leaves_nothing(store: CacheStore, ran: JobRunner) -> None:
    def damaged() -> Iterator[bytes]:
        yield archive_of(["version/0", "version/1"])
        raise OSError("it is damaged")

    with pytest.raises(OSError, match="it is damaged"):
        fetched(store, ran.engine, damaged())
    assert found(store) == []


def test_a_canceled_job_fetches_and_packs_no_further(
    store: CacheStore, layers: list[list[Path]], ran: JobRunner
) -> None:
    copy, job = SharedCopy("pip-1", 10**6, 100, ""), store.root.parent / "job"
    with pytest.raises(CanceledError):
        fetch(ran.engine, store, job, WANTED, copy, [archive_of(["version/0", "version/1"])], LABELS, stop)
    assert found(store) == []
    with packed(ran.engine, layers, LABELS, stop, 10**6) as pieces, pytest.raises(CanceledError):
        list(pieces)


def test_layers_whose_paths_the_kernel_would_not_understand_are_not_packed(tmp_path: Path, ran: JobRunner) -> None:
    with (
        pytest.raises(OSError, match="would not understand"),
        packed(ran.engine, [[tmp_path / "a:b", tmp_path]], LABELS, nothing, 10**6),
    ):
        pass


@pytest.mark.parametrize(("over_bytes", "refused"), [(0, False), (1, True)])
def test_files_with_holes_are_not_packed(tmp_path: Path, ran: JobRunner, over_bytes: int, refused: bool) -> None:
    (tmp_path / "folder").mkdir()
    with (tmp_path / "folder/sparse").open("wb") as file:
        file.truncate(65 * 1024**2)
    with packed(ran.engine, [[tmp_path / "folder"]], LABELS, nothing, 10**9) as pieces:
        size_bytes = sum(map(len, pieces))
    kept_bytes = (size_bytes - archive_bytes_max(0)) // 4 - over_bytes
    assert archive_bytes_max(kept_bytes) == size_bytes - 4 * over_bytes, "archives end at a multiple of 512"
    with packed(ran.engine, [[tmp_path / "folder"]], LABELS, nothing, kept_bytes) as pieces:
        if refused:
            with pytest.raises(OSError, match="files with holes"):
                list(pieces)
        else:
            assert sum(map(len, pieces)) == size_bytes


@pytest.mark.parametrize("gone", [False, True])
def test_a_version_that_is_removed_while_it_is_packed_is_not_shared(
    store: CacheStore, tmp_path: Path, gone: bool
) -> None:
    version = store.adopt(store.open_view(tmp_path / "job", WANTED).folder, WANTED.place, WANTED.key, 100)

    def pieces() -> Iterator[bytes]:
        yield b"piece"
        if gone:
            (store.layers / version.layers[0].name).rename(store.gone / "x")

    if gone:
        with pytest.raises(OSError, match="removed from this machine meanwhile"):
            list(undisturbed(store, version, pieces()))
    else:
        assert list(undisturbed(store, version, pieces())) == [b"piece"]
