"""Which file of the repository a name in a report of coverage means."""

import re
from collections.abc import Sequence
from posixpath import join, normpath

PATH_CHARACTERS_MAX = 500
SOURCES_COUNT_MAX = 20
_DRIVE = re.compile(r"[A-Za-z]:(?:/|\Z)")


class RepositoryPaths:
    """Finds paths relative to the checkout, which is at ``workspace`` in the containers of a step.

    ``folder`` is where the step starts. Outside of the checkout, as in an image just built, it stands for the checkout.
    """

    def __init__(self, workspace: str = "/headway/src", folder: str = "") -> None:
        self._roots = [normpath(workspace)]
        self._folder = normpath(folder) if folder.startswith("/") else self._roots[0]
        if not _below(self._folder, self._roots[0]):
            self._roots.append(self._folder)

    def of(self, name: str, sources: Sequence[str] = ()) -> str | None:
        """The path of a file; None where it is not in the repository, or no name of a file.

        ``sources`` are the folders to which the report says that its names are relative. If it has several, it does not
        say which one: then a name counts from where the step starts.
        """
        plain = name.replace("\\", "/")
        if not plain or len(plain) > PATH_CHARACTERS_MAX or not plain.isprintable() or _DRIVE.match(plain):
            return None
        (source,) = sources if len(sources) == 1 else ("",)
        given = join(source.replace("\\", "/"), plain)
        whole = normpath("/" + join(self._folder, given).lstrip("/"))
        for root in self._roots:
            if root == "/" and given.startswith("/"):
                continue  # the step starts at the root of its image: not all that is there is of the repository
            if _below(whole, root) and whole != root:
                path = whole.removeprefix(root).lstrip("/")
                return path if len(path) <= PATH_CHARACTERS_MAX else None
        return None


def _below(path: str, root: str) -> bool:
    return path == root or path.startswith(f"{root.rstrip('/')}/")
