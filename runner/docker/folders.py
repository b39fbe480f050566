"""How folders of ours come into containers: so that an engine which does not see them says so."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

SELINUX = Path("/sys/fs/selinux/enforce")
"""There where the kernel has SELinux."""


@dataclass(frozen=True)
class Folder:
    """A folder that Headway gives a container; the engine must see it under the same path.

    ``ours`` may be labelled for containers where the machine has SELinux; folders of the system must not be.
    """

    source: Path
    target: str
    read_only: bool = False
    ours: bool = True


def divided(folders: Sequence[Folder], *, selinux: bool) -> tuple[list[str], list[Folder]]:
    """What is asked for as binds, and what as mounts.

    Mounts: for a source that it does not see an engine makes an empty folder of a bind, and refuses a mount. Only a
    bind can ask for the label without which SELinux keeps a container out of a folder.
    """
    binds = [each for each in folders if selinux and each.ours]
    texts = [f"{each.source}:{each.target}:{'ro,z' if each.read_only else 'z'}" for each in binds]
    return texts, [each for each in folders if each not in binds]
