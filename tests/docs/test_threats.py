"""Each line of the page about adversaries names tests that exist."""

import ast
import re
from pathlib import Path

import pytest

from tests.support.documents import text_of
from tests.support.paths import DOCS, ROOT

PAGE = DOCS / "running" / "threats.md"
ADVERSARIES = (
    "A hostile repository", "A fork, or a commit on no branch", "A sender of webhooks", "A step", "A registry",
    "A forge, or a git server", "A browser that another web site controls", "A co-worker with an account",
    "Another user of the host", "A client without a login",
)  # fmt: skip
ROW = re.compile(r"^\| (?!they could try \|)(?!-)(.+) \|$", re.MULTILINE)


def rows_of(text: str) -> list[list[str]]:
    """The cells of each line of a table."""
    return [[cell.strip() for cell in row.split(" | ")] for row in ROW.findall(text)]


def sections(text: str) -> dict[str, str]:
    """The text below each heading of the second level."""
    parts = re.split(r"^## (.+)$", text, flags=re.MULTILINE)[1:]
    return dict(zip(parts[::2], parts[1::2], strict=True))


def functions_of(path: Path) -> set[str]:
    """The names of a file's functions; the file is not run."""
    if not path.is_file():
        return set()
    return {node.name for node in ast.parse(text_of(path)).body if isinstance(node, ast.FunctionDef)}


def faults_of(cells: list[str], tests: Path) -> list[str]:
    """What is wrong with a line."""
    if len(cells) != 3 or not all(cells):
        return [f"not three cells: {cells}"]
    named = cells[2].split(", ")
    faults = []
    for name in named:
        found = re.fullmatch(r"`([\w/]+/test_\w+\.py)::(test_\w+)`", name)
        if not found:
            faults.append(f"names no test: {name}")
        elif found[2] not in functions_of(tests / found[1]):
            faults.append(f"there is no test {name}")
    return faults


def test_every_adversary_has_a_table() -> None:
    found = {heading: rows_of(text) for heading, text in sections(text_of(PAGE)).items()}
    assert tuple(heading for heading in found if found[heading]) == ADVERSARIES
    assert all(len(rows) >= 5 for rows in found.values() if rows)


@pytest.mark.slow
@pytest.mark.parametrize("adversary", ADVERSARIES)
def test_every_line_names_tests_that_exist(adversary: str) -> None:
    rows = rows_of(sections(text_of(PAGE))[adversary])
    assert [fault for cells in rows for fault in faults_of(cells, ROOT / "tests")] == []


@pytest.mark.parametrize(
    ("row", "fault"),
    [
        ("| a | b | `x/test_a.py::test_it` |", ""),
        ("| a | b | `x/test_a.py::test_it`, `x/test_a.py::test_gone` |", "there is no test `x/test_a.py::test_gone`"),
        ("| a | b | `x/test_b.py::test_it` |", "there is no test `x/test_b.py::test_it`"),
        ("| a | b | `x/test_a.py::helper` |", "names no test: `x/test_a.py::helper`"),
        ("| a | b | seen by hand |", "names no test: seen by hand"),
        ("| a | b |  |", "not three cells: ['a', 'b', '']"),
        ("| a | b |", "not three cells: ['a', 'b']"),
    ],
)
def test_a_line_without_its_test_is_found(tmp_path: Path, row: str, fault: str) -> None:
    (tmp_path / "x").mkdir()
    (tmp_path / "x" / "test_a.py").write_text("def helper(): ...\ndef test_it(): ...\n")
    (cells,) = rows_of(f"| they could try | what stops it | test |\n|---|---|---|\n{row}\n")
    assert faults_of(cells, tmp_path) == ([fault] if fault else [])
