"""Where ``headway run`` keeps what the next run may use, for this user alone."""

from collections.abc import Mapping
from pathlib import Path


def cache_folder(environment: Mapping[str, str], name: str) -> Path:
    """The folder ``name`` in the user's cache folder of Headway; it need not be there."""
    base = environment.get("XDG_CACHE_HOME") or str(Path(environment.get("HOME") or "/", ".cache"))
    return Path(base, "headway", name)
