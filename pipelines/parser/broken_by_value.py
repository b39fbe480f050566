"""Finds the value that broke a file: without it the text is YAML, with it it is not."""

import re
from collections.abc import Mapping
from itertools import islice

from pipelines.interpolation.parser import Reference, Source, Template
from pipelines.interpolation.renderer import Rendered, Variables, render_first
from pipelines.syntax.diagnostics import Diagnostics, Place
from pipelines.syntax.yaml import parse_yaml

VALUE_CHARACTERS_MAX = 60
_WHOLE = re.compile(r"(?:^|[\s\[{,])\$\{[^}]*\}\s*(?:[\],}#]|$)")


def report_value(source: Source, template: Template, variables: Variables, diagnostics: Diagnostics) -> bool:
    """Reports the value that makes the text invalid, which it is. False if the file itself is not YAML.

    Raises TooLongError.
    """
    references = [part for part in template if isinstance(part, Reference)]
    good, bad = 0, len(references)
    if not references or not _is_yaml(render_first(source, template, variables, good)):
        return False
    while bad - good > 1:
        middle = (good + bad) // 2
        if _is_yaml(render_first(source, template, variables, middle)):
            good = middle
        else:
            bad = middle
    culprit = references[good]
    place = source.place(culprit.start)
    value = render_first(source, template, variables, bad).pasted.get(place, "")
    message = f"this is not YAML any more with {said(culprit.name, value, variables.cell)}"
    diagnostics.error(place, message, _hint(source, culprit, value))
    return True


def said(name: str, value: str, cell: Mapping[str, str]) -> str:
    """The value of a reference, and of which cell of the matrix it is."""
    where = ", ".join(f"{axis}={_short(text)}" for axis, text in cell.items())
    return f"the value of ${{{name}}}, which is '{_short(value)}'" + (f" (matrix: {where})" if where else "")


def values_at(rendered: Rendered, cell: Mapping[str, str]) -> dict[Place, str]:
    """What to add to a problem at the place of a reference, where the text has its value."""
    return {place: said(rendered.names[place], value, cell) for place, value in rendered.pasted.items()}


def _short(text: str) -> str:
    return text if len(text) <= VALUE_CHARACTERS_MAX else f"{text[:VALUE_CHARACTERS_MAX]}..."


def _is_yaml(rendered: Rendered) -> bool:
    return parse_yaml(rendered.text, unread := Diagnostics(""), finish=rendered.finish) is not None or not unread.failed


def _hint(source: Source, culprit: Reference, value: str) -> str:
    reference = f"${{{culprit.name}}}"
    start = source.text.rfind("\n", 0, culprit.start) + 1
    line = next(islice(source.text[start:].splitlines(), 1), "")
    quote = next((each for each in "'\"" if each not in value and not (each == '"' and "\\" in value)), "")
    alone = _WHOLE.search(line[max(0, culprit.start - start - 1) :])
    if quote and culprit.operator is None and alone and alone.start() == 0:
        return f"write {quote}{reference}{quote}"
    if quote:
        return f"put the whole text around it in quotes: {quote}...{reference}...{quote}"
    return f"in commands, write ${culprit.name} without braces: the shell then reads the value"
