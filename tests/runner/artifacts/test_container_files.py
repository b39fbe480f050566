"""Artifacts in a container: what the engine's archives have, also hostile ones."""

import stat
import tarfile
from collections.abc import Iterator, Mapping
from io import BytesIO
from pathlib import Path

import pytest

from runner.artifacts.container_files import ContainerFiles
from runner.artifacts.files import ArtifactLimits, Found
from runner.artifacts.patterns import Patterns
from runner.docker.streams.archive import Archived
from runner.errors import StepError


def member(name: str, content: bytes = b"", kind: bytes = tarfile.REGTYPE, mode: int = 0o644) -> bytes:
    """One entry of an archive."""
    made = BytesIO()
    entry = tarfile.TarInfo(name)
    entry.type, entry.mode, entry.size = kind, mode, len(content)
    entry.linkname = "/etc/passwd" if kind in {tarfile.SYMTYPE, tarfile.LNKTYPE} else ""
    with tarfile.open(fileobj=made, mode="w", format=tarfile.PAX_FORMAT) as archive:
        archive.addfile(entry, BytesIO(content))
        return made.getvalue()[: archive.offset]


class Pieces:
    """An archive in pieces of odd lengths."""

    def __init__(self, data: bytes) -> None:
        self.data, self.closed = data, False

    def __iter__(self) -> Iterator[bytes]:
        for start in range(0, len(self.data), 333):
            yield self.data[start : start + 333]

    def close(self) -> None:
        self.closed = True


class Engine:
    """Gives the archives of these paths, and remembers what it was asked for."""

    def __init__(self, archives: Mapping[str, bytes], links: frozenset[str] = frozenset()) -> None:
        self.archives = {path: Pieces(data + b"\0" * 1024) for path, data in archives.items()}
        self.links = links
        self.asked: list[str] = []

    def archive(self, path: str) -> Archived | None:
        self.asked.append(path)
        if path in self.links:
            return Pieces(b""), {"size": 0, "linkTarget": "/etc", "mode": stat.S_IFLNK}
        return (self.archives[path], {"size": 0, "linkTarget": ""}) if path in self.archives else None


def find(
    engine: Engine, spool: Path, *paths: str, exclude: tuple[str, ...] = (), folder: str = "/app", prefix: str = "",
    limits: ArtifactLimits | None = None, archive_bytes_max: int = 10**9,
) -> tuple[Found, Patterns]:  # fmt: skip
    found, patterns = Found(limits or ArtifactLimits()), Patterns(paths, exclude)
    ContainerFiles(engine.archive, folder, spool, lambda: None, prefix, archive_bytes_max).find(patterns, found)
    assert all(each.closed for path, each in engine.archives.items() if path in engine.asked)
    return found, patterns


def contents(found: Found) -> dict[str, bytes]:
    return {file.path: b"".join(file.pieces()) for file in found.files}


DIST = b"".join(
    [
        member("dist", kind=tarfile.DIRTYPE),
        member("dist/app", b"program", mode=0o755),
        member("dist/a/b.txt", b"b" * 5000),
        member("dist/x.tmp"),
    ]
)


def test_one_file_is_asked_for_by_its_path(tmp_path: Path) -> None:
    engine = Engine({"/app/report.xml": member("report.xml", b"<r/>")})
    found, patterns = find(engine, tmp_path, "report.xml", "missing.xml")
    assert contents(found) == {"report.xml": b"<r/>"}
    assert engine.asked == ["/app/missing.xml", "/app/report.xml"]
    assert patterns.unmatched == ["missing.xml"]


def test_a_folder_stands_for_all_files_in_it(tmp_path: Path) -> None:
    engine = Engine({"/app/dist": DIST})
    found, _ = find(engine, tmp_path, "dist", exclude=("**/*.tmp",))
    assert contents(found) == {"dist/app": b"program", "dist/a/b.txt": b"b" * 5000}
    assert [file.path for file in found.files if file.executable] == ["dist/app"]


def test_patterns_without_a_start_look_into_the_whole_folder(tmp_path: Path) -> None:
    engine = Engine({"/app/": member("app/r.xml", b"r") + member("app/sub/s.xml") + member("app/t.txt")})
    found, _ = find(engine, tmp_path, "*.xml")
    assert contents(found) == {"r.xml": b"r"}


def test_paths_of_the_checkout_get_its_folder_in_front(tmp_path: Path) -> None:
    engine = Engine({"/headway/src/web/dist": DIST})
    found, _ = find(engine, tmp_path, "dist/app", folder="/headway/src/web", prefix="web")
    assert found.files == []
    engine = Engine({"/headway/src/web/dist/app": member("app", b"program")})
    found, _ = find(engine, tmp_path, "dist/app", folder="/headway/src/web", prefix="web")
    assert contents(found) == {"web/dist/app": b"program"}


def test_links_and_names_that_leave_the_folder_are_left_out(tmp_path: Path) -> None:
    hostile = (
        member("dist/link", kind=tarfile.SYMTYPE) + member("dist/hard", kind=tarfile.LNKTYPE)
        + member("dist/pipe", kind=tarfile.FIFOTYPE) + member("dist/../../etc/cron", b"x")
        + member("dist//etc/passwd", b"x") + member("dist/good", b"good")
    )  # fmt: skip
    found, _ = find(Engine({"/app/dist": hostile}), tmp_path, "dist")
    assert contents(found) == {"dist/good": b"good"}
    assert len(list(tmp_path.iterdir())) == 1
    reasons = [sentence.rpartition("': ")[2] for sentence in found.left_out]
    link = "it is a link, and links are not kept; copy what it leads to"
    assert reasons == [link, link, "it is no ordinary file", "its name leaves the folder"][: len(reasons)]


def test_a_start_that_is_a_link_is_left_out(tmp_path: Path) -> None:
    found, patterns = find(Engine({}, frozenset({"/app/report.xml"})), tmp_path, "report.xml")
    assert (found.files, patterns.unmatched) == ([], [])
    assert found.left_out == [
        "not kept: 'report.xml': it is a link, and links are not kept; copy what it leads to"
    ]  # fmt: skip


def test_the_root_of_the_container_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StepError, match="the step starts in '/'; name a folder, or set WORKDIR in the Dockerfile"):
        find(Engine({}), tmp_path, "*.xml", folder="/")
    engine = Engine({"/report.xml": member("report.xml", b"r")})
    assert contents(find(engine, tmp_path, "report.xml", folder="/")[0]) == {"report.xml": b"r"}


def test_limits_count_before_anything_is_copied(tmp_path: Path) -> None:
    assert find(Engine({"/app/dist": DIST}), tmp_path, "dist", limits=ArtifactLimits(files_max=3))[0].files
    for copy in tmp_path.iterdir():
        copy.unlink()
    with pytest.raises(StepError, match="more than 5,006 bytes"):
        find(Engine({"/app/dist": DIST}), tmp_path, "dist", limits=ArtifactLimits(bytes_max=5006))
    assert len(list(tmp_path.iterdir())) == 1
    assert find(Engine({"/app/dist": DIST}), tmp_path, "dist", limits=ArtifactLimits(bytes_max=5007))[0].files
    with pytest.raises(StepError, match="more than 3 files were looked at"):
        find(Engine({"/app/dist": DIST}), tmp_path, "dist", limits=ArtifactLimits(entries_count_max=3))


def test_a_huge_archive_is_not_read_to_its_end(tmp_path: Path) -> None:
    with pytest.raises(StepError, match="more than 2,000 bytes were looked at"):
        find(Engine({"/app/dist": DIST}), tmp_path, "dist", archive_bytes_max=2000)


@pytest.mark.parametrize("data", [b"no archive at all" * 100, DIST[:700]])
def test_an_archive_that_breaks_off_is_no_success(tmp_path: Path, data: bytes) -> None:
    broken = Engine({"/app/dist": data})
    broken.archives["/app/dist"].data = data
    with pytest.raises(StepError, match="the engine's archive of the container cannot be read"):
        find(broken, tmp_path, "dist")
