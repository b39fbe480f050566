"""A file's bytes -> its workflow, once for every cell of its matrix."""

import re
from dataclasses import dataclass

from pipelines.context import PipelineFile
from pipelines.files import is_lenient
from pipelines.findings import NOWHERE, Findings, Place
from pipelines.matrix import Cell, cells_of, check_size
from pipelines.operators import TooLongError
from pipelines.parse import Located, read_workflow
from pipelines.substitute import Variables, neutral, render
from pipelines.template import Source, Template, parse_template
from pipelines.yamltext import TEXT_BYTES_MAX, parse_yaml

_UNPRINTABLE = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_MATRIX = re.compile(r"^[\"']?matrix[\"']?\s*:", re.MULTILINE)
STEPS_COUNT_MAX = 2000  # of a file, in all the jobs of its matrix
BYTE_ORDER_MARK = b"\xef\xbb\xbf"


@dataclass(frozen=True)
class ReadWorkflow:
    """A workflow as one cell of the matrix has it."""

    cell: Cell
    located: Located


def read_file(file: PipelineFile, variables: Variables, findings: Findings) -> list[ReadWorkflow]:
    """The file's workflow for every cell; fewer where ``findings`` says what is wrong."""
    source = decode(file.text, findings)
    if source is None:
        return []
    template = parse_template(source, findings)
    read = []
    cells = _cells(source, template, findings)
    for cell in cells:
        located = _read_cell(source, template, _with_cell(variables, cell), findings, lenient=is_lenient(file.path))
        if located is None:  # the other cells would say the same
            break
        if len(located.workflow.steps) * len(cells) > STEPS_COUNT_MAX:
            message = f"this file has {len(located.workflow.steps) * len(cells)} steps in all its jobs"
            findings.error(NOWHERE, f"{message}, and at most {STEPS_COUNT_MAX} are run", "split it, or its matrix")
            return []
        read.append(ReadWorkflow(cell, located))
    return read


def decode(data: bytes, findings: Findings) -> Source | None:
    """The text of a file, if it is text and not too long."""
    if len(data) > TEXT_BYTES_MAX:
        findings.error(NOWHERE, f"this file has {len(data)} bytes, and a pipeline file at most {TEXT_BYTES_MAX}")
        return None
    data = data.removeprefix(BYTE_ORDER_MARK)
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        before = data[: error.start].decode()
        place = Place(before.count("\n") + 1, len(before) - before.rfind("\n"))
        findings.error(place, f"this is not text in UTF-8: the byte 0x{data[error.start]:02x} cannot stand here")
        return None
    source = Source(text)
    bad = _UNPRINTABLE.search(text)
    if bad:
        findings.error(source.place(bad.start()), f"the character U+{ord(bad[0]):04X} cannot stand in a pipeline file")
        return None
    return source


def _cells(source: Source, template: Template, findings: Findings) -> list[Cell]:
    if not _MATRIX.search(source.text):
        return [{}]
    rendered = neutral(source, template)
    root = parse_yaml(rendered.text, findings, rendered.locate, rendered.finish)
    cells = cells_of(root, findings) if root else []
    return cells if check_size(cells, source.text, findings) else []


def _with_cell(variables: Variables, cell: Cell) -> Variables:
    return Variables(variables.outside, cell, variables.known, variables.at_run_time)


def _read_cell(
    source: Source, template: Template, variables: Variables, findings: Findings, *, lenient: bool
) -> Located | None:
    try:
        rendered = render(source, template, variables, findings)
        root = parse_yaml(rendered.text, findings, rendered.locate, rendered.finish)
    except TooLongError:
        findings.error(NOWHERE, "with its variables filled in, this file becomes too long")
        return None
    return read_workflow(root, findings, lenient=lenient)
