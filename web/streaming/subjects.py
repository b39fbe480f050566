"""What one connection may follow: the front page, a run, the log of a step. Parsed from the query ``follow``."""

import re
from dataclasses import dataclass
from typing import Literal

from web.operations.errors import InvalidInputError

SUBJECTS_MAX = 50
"""What one connection follows. The browser's part (``static/js/multiplexer.js``) has the same number."""

_FORM = re.compile(
    r"(?P<name>front|(?P<kind>run|step):(?P<id>[1-9][0-9]{0,15}))(?:@(?P<seen>[0-9a-z]{0,16}))?(?:\+(?P<offset>[0-9]{1,15}))?"
)


@dataclass(frozen=True)
class Subject:
    """``name`` is ``front``, ``run:7`` or ``step:9``. ``seen``: the page's version; ``offset``: of the log."""

    name: str
    kind: Literal["front", "run", "step"]
    id: int = 0
    seen: str = ""
    offset: int = 0


def parse_subjects(texts: list[str]) -> list[Subject]:
    """``front@SEEN``, ``run:7@SEEN``, ``step:9@SEEN+OFFSET``. Raises InvalidInputError."""
    if not 1 <= len(texts) <= SUBJECTS_MAX:
        raise InvalidInputError(f"Give `follow` 1 to {SUBJECTS_MAX} times; it is here {len(texts):,} times.")
    subjects = {subject.name: subject for subject in map(_parsed, texts)}
    if len(subjects) < len(texts):
        raise InvalidInputError("`follow` names the same thing twice. Name each once.")
    return list(subjects.values())


def _parsed(text: str) -> Subject:
    found = _FORM.fullmatch(text)
    if found is None or (found["offset"] and found["kind"] != "step"):
        raise InvalidInputError(
            "`follow` is not understood. Write front, run:ID or step:ID; then @VERSION, and for a step +OFFSET."
        )
    kind: Literal["front", "run", "step"] = "front"
    if found["kind"]:
        kind = "run" if found["kind"] == "run" else "step"
    return Subject(found["name"], kind, int(found["id"] or 0), found["seen"] or "", int(found["offset"] or 0))
