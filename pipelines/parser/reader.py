"""Reads a pipeline file: bytes to a validated workflow, once for every cell of its matrix."""

import re
from collections.abc import Collection
from typing import NamedTuple

from pipelines.context import PipelineFile
from pipelines.interpolation.operators import TooLongError
from pipelines.interpolation.parser import Source, Template, parse_template
from pipelines.interpolation.renderer import Rendered, Variables, render, render_placeholders, render_values
from pipelines.parser.broken_by_value import report_value, values_at
from pipelines.parser.compose_steps import ComposeExpander
from pipelines.parser.decoding import SPLIT, decode
from pipelines.parser.discovery import dialect_of
from pipelines.parser.fragments import NO_FRAGMENTS, Fragments, may_include
from pipelines.parser.includes import Includer
from pipelines.parser.matrix import (
    ALL_CELLS_CHARACTERS_MAX,
    Cell,
    cells_of,
    check_size,
    outside_values,
    warn_of_axes_in_values,
)
from pipelines.parser.unknown_variables import warn_of_unknown_names
from pipelines.parser.validation import LocatedWorkflow, read_workflow
from pipelines.syntax.diagnostics import WHOLE_FILE, Diagnostics
from pipelines.syntax.nodes import MapNode, Node
from pipelines.syntax.yaml import parse_yaml

_READ_EARLY = re.compile(r"^[\"']?(?:matrix|inputs)[\"']?\s*:", re.MULTILINE)
_READ_EARLY_IN_JSON = re.compile(r"[{,]\s*[\"']?(?:matrix|inputs)[\"']?\s*:")
STEPS_COUNT_MAX = 2000  # of a file, in all the jobs of its matrix
_TOO_LONG = "with its variables filled in, this file becomes too long"


Value = tuple[str, str]
"""An axis of the matrix, and one of its values."""


class ReadWorkflow(NamedTuple):
    """The workflow for one cell of the matrix."""

    cell: Cell
    located: LocatedWorkflow


def read_file(
    file: PipelineFile, variables: Variables, diagnostics: Diagnostics, fragments: Fragments = NO_FRAGMENTS
) -> list[ReadWorkflow]:
    """The workflow for every cell. Cells with errors are missing; ``diagnostics`` has the errors."""
    return FileReader(file, diagnostics, fragments).read(variables)


class FileReader:
    """Reads one file several times, with different variables. Equal texts are parsed once.

    For a matrix, it reads as many cells as have ``characters_max`` characters together, but at least two.
    ``characters_read`` counts the characters parsed so far.
    """

    def __init__(
        self,
        file: PipelineFile,
        diagnostics: Diagnostics,
        fragments: Fragments = NO_FRAGMENTS,
        characters_max: int = ALL_CELLS_CHARACTERS_MAX,
    ) -> None:
        self._diagnostics = diagnostics
        self._fragments = fragments
        self._lenient = dialect_of(file.path).lenient
        self._source = decode(file.text, diagnostics)
        self._template: Template = parse_template(self._source, diagnostics) if self._source else ()
        root = _early_root(self._source, self._template, diagnostics) if self._source else None
        self._cells = _cells(self._source, root, diagnostics) if self._source else []
        self._inputs = _input_names(root)
        # Where values of the matrix have references, the cells differ from trigger to trigger.
        self._rendered_cells = bool(outside_values(root))
        warn_of_axes_in_values(root, diagnostics)
        self._cells_max = characters_max // max(len(file.text), 1)
        self._wanted = _evenly_spread(self._cells, self._cells_max)
        self.characters_read = 0
        self._includes = self._source is not None and may_include(self._source.text)
        self._read: dict[tuple[object, ...], LocatedWorkflow | None] = {}

    @property
    def reads_all_cells(self) -> bool:
        """False if the matrix is too large and only some of its cells are read, or if it is another for every run."""
        return len(self._wanted) == len(self._cells) and not self._rendered_cells

    def read(self, variables: Variables) -> list[ReadWorkflow]:
        """The workflow for every cell. Cells with errors are missing; the diagnostics have the errors."""
        read: list[ReadWorkflow] = []
        if self._source is None:
            return read
        try:
            from_outside = self._render_cells(self._source, variables) if self._rendered_cells else frozenset[Value]()
        except TooLongError:
            self._diagnostics.error(WHOLE_FILE, _TOO_LONG, SPLIT)
            return read
        for cell in self._wanted:
            of_cell = _with_cell(variables, cell, from_outside, self._inputs)
            located = self._read_cell(self._source, of_cell, variables)
            if located is None:  # the other cells would have the same errors
                break
            count = len(located.workflow.steps) * len(self._cells)
            if count > STEPS_COUNT_MAX:
                message = f"this file has {count} steps in all its jobs, and at most {STEPS_COUNT_MAX} are run"
                self._diagnostics.error(WHOLE_FILE, message, "split it, or its matrix")
                return []
            read.append(ReadWorkflow(cell, located))
        return read

    def _render_cells(self, source: Source, variables: Variables) -> frozenset[Value]:
        """Reads the matrix with the run's variables. Returns the values from outside, with their axes.

        Its problems are found again, and reported, when the whole file is read.
        """
        unreported = Diagnostics(self._diagnostics.file)
        rendered = render_values(source, self._template, variables)
        self.characters_read += len(rendered.text)
        root = parse_yaml(rendered.text, unreported, rendered.locate, rendered.finish)
        self._cells = _cells(source, root, unreported)
        self._wanted = _evenly_spread(self._cells, self._cells_max)
        return outside_values(root)

    def _read_cell(self, source: Source, variables: Variables, of_run: Variables) -> LocatedWorkflow | None:
        try:
            rendered = render(source, self._template, variables, self._diagnostics)
            in_fragments = frozenset(of_run.outside.items()) if self._includes else None
            key = rendered.text, tuple(rendered.outside), in_fragments
            if key in self._read:
                return self._read[key]
            self.characters_read += len(rendered.text)
            self._read[key] = self._parse(source, rendered, variables, of_run)
            return self._read[key]
        except TooLongError:
            self._diagnostics.error(WHOLE_FILE, _TOO_LONG, SPLIT)
            return None

    def _parse(
        self, source: Source, rendered: Rendered, variables: Variables, of_run: Variables
    ) -> LocatedWorkflow | None:
        found = Diagnostics(self._diagnostics.file)
        with found.with_values(values_at(rendered, variables.cell)):
            root = parse_yaml(rendered.text, found, rendered.locate, rendered.finish)
        if root is None and found.failed and report_value(source, self._template, variables, self._diagnostics):
            return None
        self._diagnostics.adopt(found.problems)
        warn_of_unknown_names(rendered.unknown, root, self._diagnostics)
        includer = self._includer(variables, of_run)
        if root is not None and (root := includer.expand(root)) is None:
            return None
        self.characters_read += includer.characters_read
        composer = ComposeExpander(self._fragments, self._diagnostics, self._included_characters_max)
        if root is not None and (root := composer.expand(root)) is None:
            return None
        self.characters_read += composer.characters_read
        with self._diagnostics.with_values({**values_at(rendered, variables.cell), **includer.values}):
            return read_workflow(root, self._diagnostics, lenient=self._lenient)

    def _includer(self, variables: Variables, of_run: Variables) -> Includer:
        """Fragments know the variables of the run, and no axis of the matrix: those are given to them by ``with``."""
        at_run_time = {*variables.at_run_time, *variables.cell, *(variables.outside.keys() - of_run.outside.keys())}
        own = of_run._replace(at_run_time=frozenset(at_run_time))
        return Includer(self._fragments, own, self._diagnostics, self._included_characters_max)

    @property
    def _included_characters_max(self) -> int:
        return ALL_CELLS_CHARACTERS_MAX // max(len(self._cells), 1)


def _evenly_spread(cells: list[Cell], count: int) -> list[Cell]:
    """``count`` of the cells, but at least two, evenly spread from the first to the last."""
    last = max(count, 2) - 1
    return cells if last + 1 >= len(cells) else [cells[number * (len(cells) - 1) // last] for number in range(last + 1)]


def _early_root(source: Source, template: Template, diagnostics: Diagnostics) -> Node | None:
    """The file without values, if it has keys that decide how the rest is read."""
    pattern = _READ_EARLY_IN_JSON if source.text.lstrip().startswith("{") else _READ_EARLY
    if not pattern.search(source.text):
        return None
    rendered = render_placeholders(source, template)
    return parse_yaml(rendered.text, diagnostics, rendered.locate, rendered.finish)


def _cells(source: Source, root: Node | None, diagnostics: Diagnostics) -> list[Cell]:
    if root is None:
        return [] if diagnostics.failed else [{}]
    cells = cells_of(root, diagnostics)
    return cells if check_size(cells, source.text, diagnostics) else []


def _input_names(root: Node | None) -> frozenset[str]:
    declared = root.by_key.get("inputs") if isinstance(root, MapNode) else None
    return frozenset(declared.by_key if isinstance(declared, MapNode) else ())


def _with_cell(variables: Variables, cell: Cell, from_outside: Collection[Value], inputs: Collection[str]) -> Variables:
    outside = {axis: text for axis, text in cell.items() if (axis, text) in from_outside}
    own = {axis: text for axis, text in cell.items() if axis not in outside}
    at_run_time = frozenset(variables.at_run_time).union(inputs)
    return Variables({**variables.outside, **outside}, own, variables.known, at_run_time)
