"""Expressions without an end, and texts that would take hours if each place were read more than once."""

import pytest

from pipelines.importers.github.expressions.parser import parts_of, without_expressions
from pipelines.importers.github.scripts import cleaned
from tests.pipelines.importers.github.test_github import of_steps

COUNT = 100_000


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("a${{ b }}c", [("a", False), (" b ", True), ("c", False)]),
        ("${{ '}}' }}", [("", False), (" '}}' ", True), ("", False)]),
        ("${{ 'it''s }}' }}", [("", False), (" 'it''s }}' ", True), ("", False)]),
        ("${{ a }}${{", [("", False), (" a ", True), ("${{", False)]),
        ("a ${{ ' }}", [("a ${{ ' }}", False)]),
    ],
)
def test_the_parts_of_a_text(text: str, parts: list[tuple[str, bool]]) -> None:
    assert list(parts_of(text)) == parts


@pytest.mark.parametrize("text", ["echo ${{ x", "echo ${{ 'x }}"])
def test_an_expression_without_an_end_has_a_remark(text: str) -> None:
    found = of_steps(f'- run: "{text}"')
    assert found.remarks == [
        "6 error: an expression has '${{' without '}}', which is not known here; it stays as it is"
    ]


@pytest.mark.parametrize("text", ["${{ " + "''" * COUNT, "${{ '" * COUNT, "${{ " * COUNT])
def test_a_large_text_without_an_end_is_read_once(text: str) -> None:
    assert list(parts_of(text)) == [(text, False)]
    assert without_expressions(text) == text


def test_a_large_script_is_read_once() -> None:
    text = "".join(f"{' ' * 4}{part}\n" for part in ("ls;", " " * COUNT, "${{ '" * 20_000, "pwd"))
    found = of_steps(f"- name: {'${{ ' * 20_000}\n  run: |\n{text}- run: |\n    ls{chr(10) * COUNT}    ;")
    assert any("without '}}'" in each for each in found.remarks)
    assert cleaned("echo ::set-output name=a::" * 20_000).startswith("echo ::set-output")
