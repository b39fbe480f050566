"""Where the files of a build are: below the checkout, where a step may have laid a link anywhere."""

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from pipelines.state import Reason
from runner.errors import StepError

_USUAL = "Dockerfile"


class Original(NamedTuple):
    """A Dockerfile. ``place`` has its own name, beside which ``.dockerignore`` counts; a link leads to ``file``."""

    place: Path
    file: Path


@dataclass(frozen=True)
class Places:
    """Steps can replace ``checkout``, which is below ``workspace``, by a link, but cannot replace ``workspace``."""

    workspace: Path
    checkout: Path

    def inside(self, path: Path, shown: str, what: str) -> Path:
        """The path without links. Raises StepError if it leads out of the checkout."""
        # Not resolve(): it raises RuntimeError for links in a circle.
        real = Path(os.path.realpath(path))
        if not all(real.is_relative_to(os.path.realpath(home)) for home in (self.checkout, self.workspace)):
            message = f"the {what} {shown!r} leads out of the repository; it must stay inside"
            raise StepError(Reason.BUILD_FAILED, message)
        return real

    def context(self, name: str) -> Path:
        """The folder of the build context."""
        path = self.inside(self.checkout / name, name, "build context")
        if not path.is_dir():
            raise StepError(Reason.BUILD_FAILED, f"the build context {name!r} is not a folder of the repository")
        return path

    def dockerfile(self, names: Iterable[str], context: str) -> Original:
        """The first Dockerfile that is there. ``names`` are paths from the checkout. Raises StepError."""
        self.context(context)
        names = [name for name in names if name] or [os.path.normpath(f"{context}/{_USUAL}")]
        for name in names:
            for each in (name, _in_lower_case(name)):
                file = self.inside(self.checkout / each, each, "Dockerfile")
                if file.is_file():
                    return Original(self.checkout / each, file)
        raise StepError(Reason.BUILD_FAILED, self._missing(names[0], context))

    def _missing(self, name: str, context: str) -> str:
        if (self.checkout / name).is_symlink():
            target = str((self.checkout / name).readlink())
            return f"the Dockerfile {name} is a link to {target!r}, and no file is there; add it, or remove the link"
        message = f"there is no file {name} in the repository"
        at_root = os.path.relpath(name, context)
        if os.path.normpath(context) != "." and not at_root.startswith("..") and (self.checkout / at_root).is_file():
            other = os.path.relpath(at_root, context)
            hint = "`dockerfile` is looked for from the context"
            return f"{message}; {hint}: for {at_root} of the repository write `dockerfile: {other}`"
        return f"{message}; add one, or say where it is with `dockerfile:`"


def _in_lower_case(name: str) -> str:
    """As docker does, ``dockerfile`` is taken where there is no ``Dockerfile``."""
    folder, _, last = name.rpartition("/")
    return f"{folder}/{last.lower()}".lstrip("/") if last == _USUAL and not name.startswith("/") else name
