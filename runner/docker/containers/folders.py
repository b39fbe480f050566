"""Mounts Headway's own folders into containers, so that an engine which does not see a folder reports an error."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

SELINUX = Path("/sys/fs/selinux/enforce")
"""Exists if the kernel has SELinux."""


@dataclass(frozen=True)
class Folder:
    """A folder or file that Headway mounts into a container; the engine must see it under the same path.

    With SELinux, a folder of ``ours`` gets a label for containers; folders of the system must not get one.
    """

    source: Path
    target: str
    read_only: bool = False
    ours: bool = True


_PROGRAM_FOLDERS = ("/bin", "/lib", "/lib64", "/usr")


def machine_programs() -> tuple[Folder, ...]:
    """The folders that a container needs to run this machine's own programs."""
    paths = (Path(path) for path in _PROGRAM_FOLDERS)
    return tuple(Folder(path, str(path), read_only=True, ours=False) for path in paths if path.exists())


def binds_and_mounts(folders: Sequence[Folder], *, selinux: bool) -> tuple[list[str], list[Folder]]:
    """Divides the folders into those requested as binds and those requested as mounts.

    Mounts, because the engine refuses a mount whose source it does not see, but creates an empty folder for a bind.
    With SELinux a bind is needed: only a bind can request the label without which a container may not read the folder.
    """
    binds = [each for each in folders if selinux and each.ours]
    texts = [f"{each.source}:{each.target}:{'ro,z' if each.read_only else 'z'}" for each in binds]
    return texts, [each for each in folders if each not in binds]


def tmpfs_option(entries: tuple[str, ...]) -> dict[str, str] | None:
    """The folders in memory, from PATH[:OPTIONS]."""
    return {path: options for path, _, options in (entry.partition(":") for entry in entries)} or None
