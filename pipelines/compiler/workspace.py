"""Where the checkout is in every container, and which folders it cannot be in."""

import re
from collections.abc import Iterator
from posixpath import join, normpath
from typing import NamedTuple

from pipelines.model.workflow import Workspace
from pipelines.parser.validation import LocatedWorkflow

PATH_BYTES_MAX = 255
# A list of mounts has colons and commas between its parts; a quote or a backslash changes how it is read.
_NOT_IN_A_PATH = re.compile(r"[:,\"\\]")
# The workspace would hide the programs, libraries and settings of every image.
HIDES = frozenset({"/", "/usr", "/usr/local"})
NEEDED = re.compile(
    r"/(?:proc|sys|dev|etc|boot|bin|sbin|lib(?:x?\d\d)?|usr/(?:local/)?(?:bin|sbin|libexec|lib(?:x?\d\d)?))(?:/|$)"
)
_BASE_HINT = "name a folder of its own, such as /headway or /go"
_PATH_HINT = "name a folder below base, such as src"


class WorkspacePaths(NamedTuple):
    """Absolute paths: of the folder that all containers of a job share, and of the checkout in it."""

    base: str
    checkout: str


def workspace_paths(asked: Workspace) -> WorkspacePaths:
    """The paths that the file asks for, without ``.``, ``..`` and repeated slashes."""
    base = _absolute(asked.base)
    return WorkspacePaths(base, _absolute(join(base, asked.path)))


def _absolute(path: str) -> str:
    # For POSIX two slashes at the beginning may mean something else, so that normpath keeps them.
    return f"/{normpath(join('/', path)).lstrip('/')}"


def check_workspace(located: LocatedWorkflow) -> None:
    """Reports a workspace that no container could have."""
    for key, message, hint in _wrong(located.workflow.workspace):
        located.diagnostics.error(located.place("workspace", key), f"the {key} of the workspace {message}", hint)


def _wrong(asked: Workspace) -> Iterator[tuple[str, str, str]]:
    written = {"base": asked.base, "path": asked.path}
    for key, text in written.items():
        if not text.isprintable() or _NOT_IN_A_PATH.search(text):
            hint = "use letters, digits and . _ - / alone"
            yield key, f"cannot be {_shown(text)}: it has a character that a folder cannot be mounted with", hint
            return
    base, checkout = workspace_paths(asked)
    if len(checkout.encode()) > PATH_BYTES_MAX:
        yield "path", f"makes a path of more than {PATH_BYTES_MAX} bytes", "shorten it, or the base"
        return
    if base in HIDES or NEEDED.match(base):
        yield "base", f"cannot be {_shown(asked.base)}: it would hide {base} of every image", _BASE_HINT
    elif not checkout.startswith(f"{base}/"):
        yield "path", f"cannot be {_shown(asked.path)}: {checkout} is not below the base {base}", _PATH_HINT


def _shown(text: str) -> str:
    return repr(text[:80])
