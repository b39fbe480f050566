"""Reads the fragments that pipeline files include, and those that these include, within the limits of a pipeline."""

from collections.abc import Callable, Sequence
from itertools import islice
from typing import Protocol

from pipelines.context import PipelineFile
from pipelines.parser.fragment_addresses import Address
from pipelines.parser.fragments import FRAGMENTS_BYTES_MAX, FRAGMENTS_COUNT_MAX, Fragment, included
from pipelines.syntax.yaml import TEXT_BYTES_MAX
from runner.errors import MachineError, StepError


class OtherFiles(Protocol):
    """Reads files of other repositories."""

    def read(self, address: Address, /) -> bytes:
        """The file. Raises StepError where it cannot be had."""


def read_fragments(
    files: Sequence[PipelineFile], read: Callable[[str], bytes], others: OtherFiles
) -> dict[Address, Fragment]:
    """The fragments by where they are. ``read`` reads a file of the commit, or raises StepError with what is wrong.

    What cannot be read is a problem of the include, which the compiler reports at its place. Raises MachineError.
    """
    found: dict[Address, Fragment] = {}
    size = 0
    texts: list[tuple[bytes, Address | None]] = [(file.text, None) for file in files]

    def bytes_of(address: Address) -> bytes:
        return others.read(address) if address.repo else read(address.path)

    while texts:
        for address in islice(included(*texts.pop(0)), FRAGMENTS_COUNT_MAX + 1):
            if address in found:
                continue
            found[address] = fragment = _read(address, bytes_of, len(found), size)
            size += len(fragment.text)
            texts.append((fragment.text, address))
    return found


def _read(address: Address, read: Callable[[Address], bytes], count: int, size: int) -> Fragment:
    if count >= FRAGMENTS_COUNT_MAX:
        return Fragment(trouble=f"{address.name} is one more than the {FRAGMENTS_COUNT_MAX} fragments of one pipeline")
    try:
        text = read(address)[: TEXT_BYTES_MAX + 1]
    except MachineError:
        raise
    except StepError as error:
        return Fragment(trouble=str(error), absent=True)
    if size + len(text) > FRAGMENTS_BYTES_MAX:
        limit = f"{FRAGMENTS_BYTES_MAX:,} bytes"
        return Fragment(trouble=f"with {address.name} the fragments of this pipeline have more than {limit}")
    return Fragment(text)
