"""The logs' part of an archive. The only module of backups that knows where logs are."""

import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from runner.private import private_folder
from workers.backup.archive import LOGS
from workers.errors import StartError
from workers.settings import Settings

_PATH = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]*(/[A-Za-z0-9_-][A-Za-z0-9._-]*)*")
_COPY_BYTES = 1024**2


def log_members(settings: Settings) -> Iterator[tuple[str, Path]]:
    """The files of all logs: names in the archive, and paths. One may be deleted meanwhile. Raises StartError."""
    for part, place in _places(settings).items():
        for folder, folders, files in os.walk(place):
            folders.sort()
            # Of a log of before the blob store the index comes first: then all that the copy of it names is there.
            for path in sorted((Path(folder) / name for name in files), key=lambda path: (path.stem, path.suffix)):
                yield f"{LOGS}/{part}/{path.relative_to(place)}", path


def check_no_logs(settings: Settings) -> None:
    """Raises StartError if a place of the logs has some: they would be those of other runs."""
    for place in _places(settings).values():
        if place.exists() and any(place.iterdir()):
            raise StartError(
                f"The archive has logs, and {place} has some already. Move them away, or choose another "
                "HEADWAY_DATA_DIR."
            )


def restore_log(settings: Settings, member: str, data: IO[bytes]) -> None:
    """Writes one file of a log. Raises StartError if its name leads elsewhere."""
    part, _, name = member.removeprefix(f"{LOGS}/").partition("/")
    place = _places(settings).get(part)
    if place is None or not _PATH.fullmatch(name):
        raise StartError(f"The archive has a log with the name {part + '/' + name!r}, which is none of Headway's.")
    path = place / name
    private_folder(place)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("xb") as file:
        shutil.copyfileobj(data, file, _COPY_BYTES)


def remove_logs(settings: Settings) -> None:
    """Takes back what a restore wrote that failed. There was nothing before."""
    for place in _places(settings).values():
        for path in place.iterdir() if place.exists() else ():
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)


def _places(settings: Settings) -> dict[str, Path]:
    """The folders with logs by their name in archives: blobs, and files of before there were blobs."""
    if settings.blobs_dir is None:
        raise StartError(
            f"The logs are in {settings.blob_url}: keep them with the copies or versions of its provider, and leave "
            "out --logs."
        )
    return {"blobs": settings.blobs_dir, "files": settings.logs_dir}
