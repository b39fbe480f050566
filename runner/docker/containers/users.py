"""How the users of containers are numbered on this machine."""

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

_REMAPPED_ROOT = re.compile(r"/(\d+)\.(\d+)/?$")
"""With userns-remap the engine's folder is named after the numbers that a container's root has outside."""


class Users(NamedTuple):
    """How the users of containers are numbered on this machine. ``offset`` is added to each; None if it is not known.

    ``owner`` is the user in a container to whom files of this process belong; None if no container has that user.
    """

    offset: tuple[int, int] | None
    owner: int | None


def users_of(info: Mapping[str, Any], user: int) -> Users:
    """What an engine's information says about the users of its containers, for files of ``user``."""
    options = " ".join(info.get("SecurityOptions") or ())
    if "name=rootless" in options:
        return Users((0, 0), 0 if user else None)
    if "name=userns" in options:
        found = _REMAPPED_ROOT.search(str(info.get("DockerRootDir")))
        return Users((int(found[1]), int(found[2])) if found else None, None)
    return Users((0, 0), user)
