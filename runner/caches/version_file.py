"""A version of a cache: which layers its folders have, as a small file that is replaced as a whole."""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from secrets import token_hex

VERSION_BYTES_MAX = 64 * 1024
STEPS_COUNT_MAX = 20
"""Of so many steps it is known how long they took without the cache."""
_NAME = re.compile("[0-9a-f]{24}")


@dataclass(frozen=True)
class Layer:
    """A folder with what one step wrote: it is never changed. ``name`` is that in the store's ``layers``."""

    name: str
    size_bytes: int


@dataclass(frozen=True)
class Version:
    """What a cache has under ``key``: its layers, the newest first.

    ``cold_s`` says of steps how many seconds they took when there was nothing in the cache. ``boot`` names the start of
    the machine in which it was saved, until its files are certainly on the disk.
    """

    key: str
    layers: tuple[Layer, ...]
    cold_s: Mapping[str, float] = field(default_factory=dict)
    boot: str = ""

    @property
    def size_bytes(self) -> int:
        """How much room its layers take up."""
        return sum(layer.size_bytes for layer in self.layers)


def new_name() -> str:
    """A name for a layer or a view that no other has."""
    return token_hex(12)


def file_of(key: str) -> str:
    """The name of the file of a version with this key."""
    return f"{hashlib.sha256(key.encode()).hexdigest()[:32]}.json"


def read_version(path: Path, boot: str) -> Version | None:
    """The version in a file; None if there is none, or if the machine stopped before it was certainly on the disk."""
    try:
        with path.open("rb") as file:
            found = json.loads(file.read(VERSION_BYTES_MAX))
        layers = tuple(Layer(str(each["name"]), int(each["size_bytes"])) for each in found["layers"])
        cold = {str(step): float(seconds) for step, seconds in found["cold_s"].items()}
        version = Version(str(found["key"]), layers, cold, str(found["boot"]))
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    is_whole = version.boot in {"", boot} and layers and all(_NAME.fullmatch(layer.name) for layer in layers)
    return version if is_whole else None


def write_version(path: Path, version: Version) -> None:
    """Puts the version into the file, at once."""
    new = path.with_suffix(f".{new_name()}")
    new.write_text(json.dumps(asdict(version)))
    new.replace(path)
