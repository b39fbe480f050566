"""How many pipeline files a commit may have, and how large they are together: all are read and compiled at once."""

from collections.abc import Collection, Sequence

from pipelines.context import PipelineFile
from pipelines.problem import Problem

FILES_COUNT_MAX = 256
FILES_BYTES_MAX = 2 * 1024**2
"""Of all together, as of fragments. A file alone has a limit of its own."""
_HINT = "remove some, or put what several have in common into a fragment"


def too_many_files(paths: Collection[str]) -> Problem | None:
    """The problem of a pipeline with too many files. Known before any is read."""
    if len(paths) <= FILES_COUNT_MAX:
        return None
    message = f"this pipeline has {len(paths):,} files, and at most {FILES_COUNT_MAX} are run"
    return Problem(min(paths), 1, 1, message, _HINT)


def too_large_files(files: Sequence[PipelineFile]) -> Problem | None:
    """The problem of a pipeline whose files are too many, or too large together."""
    if many := too_many_files([file.path for file in files]):
        return many
    size = sum(len(file.text) for file in files)
    if size <= FILES_BYTES_MAX:
        return None
    message = f"the files of this pipeline have {size:,} bytes, and at most {FILES_BYTES_MAX:,} are run"
    return Problem(min(file.path for file in files), 1, 1, message, _HINT)
