"""Views of folders: what a container writes goes to a folder of its own, and the folders below stay as they are.

The engine mounts them as anonymous volumes of its local driver: they are unmounted when the container ends, and
removed together with it.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from runner.errors import StepError

OPTIONS_BYTES_MAX = 3800
"""The kernel takes a page of options."""
_SPECIAL = frozenset(':,\\"')
_MOUNT_FAILED = ("failed to mount local volume", "error while mounting volume")


@dataclass(frozen=True)
class Overlay:
    """A view of the folders ``lower``, the first on top. Without ``upper`` and ``work`` it cannot be written to."""

    target: str
    lower: tuple[Path, ...]
    upper: Path | None = None
    work: Path | None = None

    @property
    def options(self) -> str:
        """The options of the mount."""
        parts = [f"lowerdir={':'.join(map(str, self.lower))}"]
        if self.upper and self.work:
            parts += [f"upperdir={self.upper}", f"workdir={self.work}"]
        return ",".join(parts)

    @property
    def is_possible(self) -> bool:
        """False where the kernel would not understand the options."""
        paths = [*self.lower, *([self.upper] if self.upper else []), *([self.work] if self.work else [])]
        plain = not any(_SPECIAL & set(str(path)) for path in paths)
        return plain and len(self.options.encode()) <= OPTIONS_BYTES_MAX


def overlay_mount(overlay: Overlay) -> dict[str, Any]:
    """The mount, as the engine's API has it."""
    options = {"type": "overlay", "device": "overlay", "o": overlay.options}
    volume = {"NoCopy": True, "DriverConfig": {"Name": "local", "Options": options}}
    return {"Type": "volume", "Target": overlay.target, "VolumeOptions": volume}


def is_mount_failure(error: StepError) -> bool:
    """Did the engine fail to mount a view? It knows only when it starts the container, or writes to it."""
    return any(words in str(error) for words in _MOUNT_FAILED)
