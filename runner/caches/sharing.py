"""Copies of caches that machines share: a version is packed where it was kept, and unpacked where a step misses it.

The engine makes and unpacks the archives, in containers that are never started: files keep owners and modes, whatever
user this process is. What is unpacked becomes a version when all of it is there, and is what was packed.
"""

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from runner.caches.archive_owners import with_container_owners
from runner.caches.store import CacheStore, Wanted
from runner.caches.version_file import Version, new_name
from runner.docker.client import Engine
from runner.docker.containers.folders import Folder
from runner.docker.containers.overlays import Overlay
from runner.docker.containers.specs import ContainerSpec
from runner.docker.containers.users import users_of
from runner.docker.images.sandbox_image import NO_PROGRAM, SANDBOX_IMAGE, ensure_sandbox_image
from runner.errors import StepError

_TOP = "/version"
_BLOCK_BYTES = 512
_END = b"\0" * _BLOCK_BYTES


@dataclass(frozen=True)
class SharedCopy:
    """A version that can be fetched. ``kept_bytes`` is the room that it takes up; ``handle`` is the storage's own."""

    key: str
    archive_bytes: int
    kept_bytes: int
    handle: str


class SharedCaches(Protocol):
    """Where machines share versions. ``bytes_max``: a larger one is not shared. All calls may raise OSError."""

    bytes_max: int

    def find(self, wanted: Wanted, *, own_key: bool) -> SharedCopy | None:
        """The copy that fits best; with ``own_key``, one of the very key alone."""
        ...

    def read(self, copy: SharedCopy) -> Iterator[bytes]:
        """The archive, in pieces. Raises OSError in the end if it is not what was shared."""
        ...

    def share(self, place: str, key: str, kept_bytes: int, archive: Iterable[bytes], spool: Path) -> None:
        """Shares a version; ``spool`` is a file to make. Of two that share the same key the last to end counts."""
        ...


class _Counted:
    """Passes pieces to a library that hides errors of them, within a limit. ``error`` is the first one."""

    def __init__(self, pieces: Iterable[bytes], bytes_max: int, check: Callable[[], None]) -> None:
        self._pieces, self._left, self._check = iter(pieces), bytes_max, check
        self.error: Exception | None = None

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        try:
            self._check()
            piece = next(self._pieces)
            self._count(piece)
        except (OSError, StepError) as error:
            self.error = error
            raise
        return piece

    def _count(self, piece: bytes) -> None:
        self._left -= len(piece)
        if self._left < 0:
            raise OSError("it is longer than what was shared")


def fetch(
    engine: Engine, store: CacheStore, owner: Path, wanted: Wanted, copy: SharedCopy, pieces: Iterable[bytes],
    labels: dict[str, str], check: Callable[[], None],
) -> None:  # fmt: skip
    """Makes the copy a version on this machine. Raises OSError and StepError, and then there is no such version.

    ``check`` is called often, and raises where the job must end. It goes to a folder of the job until it is whole.
    """
    folder = store.views_of(owner) / f"fetched-{new_name()}"
    folder.mkdir(mode=0o700)
    counted = _Counted(pieces, copy.archive_bytes, check)
    with _container(engine, labels, folders=(Folder(folder, _TOP),)) as container:
        try:
            engine.put_archive(container, "/", counted)
        except (OSError, StepError) as error:
            raise counted.error or error from None
        for _ in counted:
            pass  # what proves the bytes comes in the end, and the engine stops at the end of the archive
    if any((folder / str(index)).is_symlink() or not (folder / str(index)).is_dir() for index in _all(wanted)):
        raise OSError("the shared copy has not the folders of the cache")
    store.adopt(folder, wanted.place, copy.key, copy.kept_bytes)


def _all(wanted: Wanted) -> range:
    return range(wanted.folders_count)


@contextmanager
def packed(
    engine: Engine,
    folders: Sequence[Sequence[Path]],
    labels: dict[str, str],
    check: Callable[[], None],
    kept_bytes: int,
) -> Iterator[Iterator[bytes]]:
    """An archive of folders, each given by its layers, the newest first; they take up ``kept_bytes``.

    Raises StepError and OSError, and so do the pieces.
    """
    single = tuple(Folder(each[0], f"{_TOP}/{index}", read_only=True) for index, each in _only(folders, several=False))
    stacks = tuple(Overlay(f"{_TOP}/{index}", tuple(each)) for index, each in _only(folders, several=True))
    if not all(stack.is_possible for stack in stacks):
        raise OSError("the kernel would not understand the paths of its layers")
    if (root := users_of(engine.info(), os.geteuid()).offset) is None:
        raise OSError("the engine does not say how it numbers the users of containers (userns-remap)")
    with _container(engine, labels, folders=single, overlays=stacks) as container:
        if (archived := engine.archive(container, _TOP)) is None:
            raise OSError("the engine shows no folder of it")
        with closing(archived[0]) as pieces:
            whole = _whole(pieces, check, archive_bytes_max(kept_bytes))
            yield whole if root == (0, 0) else with_container_owners(whole, root)


def _only(folders: Sequence[Sequence[Path]], *, several: bool) -> list[tuple[int, Sequence[Path]]]:
    return [(index, each) for index, each in enumerate(folders) if (len(each) > 1) is several]


def archive_bytes_max(kept_bytes: int) -> int:
    """How large an archive of files that take up so much room may be: more have only files with holes.

    Another machine would write the holes to its disk. What an archive says about each file may be more than the file.
    """
    return 4 * kept_bytes + 64 * 1024**2


def _whole(pieces: Iterable[bytes], check: Callable[[], None], bytes_max: int) -> Iterator[bytes]:
    """The pieces of an archive. Raises OSError if it breaks off, or is too long."""
    last, left = b"", bytes_max
    for piece in pieces:
        check()
        left -= len(piece)
        if left < 0:
            raise OSError("it has files with holes, which would fill the disk of another machine")
        last = (last + piece)[-_BLOCK_BYTES:]
        yield piece
    if last != _END:
        raise OSError("the engine's archive of it breaks off")


def undisturbed(store: CacheStore, version: Version, pieces: Iterable[bytes]) -> Iterator[bytes]:
    """The pieces. Raises OSError in the end if a layer was taken out of the store meanwhile: files may be missing.

    A layer leaves its place before its files are removed.
    """
    yield from pieces
    with store.locked():
        if not all((store.layers / layer.name).is_dir() for layer in version.layers):
            raise OSError("it was removed from this machine meanwhile")


@contextmanager
def _container(
    engine: Engine, labels: dict[str, str], folders: tuple[Folder, ...], overlays: tuple[Overlay, ...] = ()
) -> Iterator[str]:
    """A container that is never started: the engine mounts its folders to read and write archives."""
    ensure_sandbox_image(engine)
    spec = ContainerSpec(
        image=SANDBOX_IMAGE,
        labels=labels,
        network="none",
        command=NO_PROGRAM,
        folders=folders,
        overlays=overlays,
        user_namespace="host",
    )
    container = engine.create(spec)
    try:
        yield container
    finally:
        engine.remove(container)
