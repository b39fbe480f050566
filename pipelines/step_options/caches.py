"""Caches of a step, as its plan has them: folders that are kept between runs, and the keys that say what is in them."""

from typing import Literal, get_args

from pydantic import BaseModel, ConfigDict

Tool = Literal["pip", "npm", "pnpm", "yarn", "maven", "gradle", "go", "cargo", "apt", "composer", "bundler"]
TOOLS: tuple[str, ...] = get_args(Tool)


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)


class Checksum(_Frozen):
    """Stands in a key for the content of files of the checkout, which patterns name. Where ``optional``: if any."""

    files: tuple[str, ...]
    optional: bool = False


Key = tuple[str | Checksum, ...]
"""A key in parts: text, and what is known only when the checkout is there."""


class CacheFolder(_Frozen):
    """A folder of the container: an absolute path, one below ``~/``, or relative to where the step starts.

    Where the container's environment has the ``variable``, its value stands for ``path``. With ``leads`` the step's own
    environment alone counts, and otherwise the variable is set, so that the tool uses the folder. ``below`` is the part
    of it that is kept.
    """

    path: str
    variable: str = ""
    leads: bool = False
    below: str = ""


class Cache(_Frozen):
    """One cache: ``restore`` are beginnings of keys, tried in this order where nothing has the key itself."""

    name: str
    key: Key
    restore: tuple[Key, ...] = ()
    folders: tuple[CacheFolder, ...]
    tool: Tool | None = None


def shown_key(key: Key) -> str:
    """A key as the pipeline file has it."""
    return "".join(part if isinstance(part, str) else f"checksum({_shown_files(part)})" for part in key)


def _shown_files(part: Checksum) -> str:
    """The files; of a tool's, which may be many, the first."""
    return f"{part.files[0]} ..." if part.optional and len(part.files) > 1 else ", ".join(part.files)
