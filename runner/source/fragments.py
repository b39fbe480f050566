"""Reads the fragments that pipeline files include, and those that these include, within the limits of a pipeline."""

from collections.abc import Callable, Sequence
from itertools import islice

from pipelines.context import PipelineFile
from pipelines.parser.fragments import FRAGMENTS_BYTES_MAX, FRAGMENTS_COUNT_MAX, Fragment, included_paths
from pipelines.syntax.yaml import TEXT_BYTES_MAX
from runner.errors import MachineError, StepError


def read_fragments(files: Sequence[PipelineFile], read: Callable[[str], bytes]) -> dict[str, Fragment]:
    """The fragments by their paths. ``read`` reads a file of the commit, or raises StepError with what is wrong.

    What cannot be read is a problem of the include, which the compiler reports at its place. Raises MachineError.
    """
    found: dict[str, Fragment] = {}
    size = 0
    texts = [file.text for file in files]
    while texts:
        for path in islice(included_paths(texts.pop(0)), FRAGMENTS_COUNT_MAX + 1):
            if path in found:
                continue
            found[path] = fragment = _read(path, read, len(found), size)
            size += len(fragment.text)
            texts.append(fragment.text)
    return found


def _read(path: str, read: Callable[[str], bytes], count: int, size: int) -> Fragment:
    if count >= FRAGMENTS_COUNT_MAX:
        return Fragment(trouble=f"{path} is one more than the {FRAGMENTS_COUNT_MAX} fragments of one pipeline")
    try:
        text = read(path)[: TEXT_BYTES_MAX + 1]
    except MachineError:
        raise
    except StepError as error:
        return Fragment(trouble=str(error))
    if size + len(text) > FRAGMENTS_BYTES_MAX:
        limit = f"{FRAGMENTS_BYTES_MAX:,} bytes"
        return Fragment(trouble=f"with {path} the fragments of this pipeline have more than {limit}")
    return Fragment(text)
