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

# An index is read before what it names: then all that the copy of it names is there.
_ORDER = {".src": 0, ".idx": 1}
_PATH = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]*(/[A-Za-z0-9_-][A-Za-z0-9._-]*)*")
_COPY_BYTES = 1024**2


def log_members(settings: Settings) -> Iterator[tuple[str, Path]]:
    """The files of all logs: names in the archive, and paths. One may be deleted meanwhile."""
    for folder, folders, files in os.walk(settings.logs_dir):
        folders.sort()
        for name in sorted(files, key=lambda name: (Path(name).stem, _ORDER.get(Path(name).suffix, 2))):
            path = Path(folder) / name
            yield f"{LOGS}/{path.relative_to(settings.logs_dir)}", path


def check_no_logs(settings: Settings) -> None:
    """Raises StartError if the place of the logs has some: they would be those of other runs."""
    if settings.logs_dir.exists() and any(settings.logs_dir.iterdir()):
        raise StartError(
            f"The archive has logs, and {settings.logs_dir} has some already. Move them away, or choose another "
            "HEADWAY_DATA_DIR."
        )


def restore_log(settings: Settings, member: str, data: IO[bytes]) -> None:
    """Writes one file of a log. Raises StartError if its name leads elsewhere."""
    name = member.removeprefix(f"{LOGS}/")
    if not _PATH.fullmatch(name):
        raise StartError(f"The archive has a log with the name {name!r}, which is none of Headway's.")
    path = settings.logs_dir / name
    private_folder(settings.logs_dir)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("xb") as file:
        shutil.copyfileobj(data, file, _COPY_BYTES)


def remove_logs(settings: Settings) -> None:
    """Takes back what a restore wrote that failed. There was nothing before."""
    for path in settings.logs_dir.iterdir() if settings.logs_dir.exists() else ():
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)
