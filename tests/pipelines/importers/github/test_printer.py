"""Expressions of GitHub Actions that are written again, and conditions of a caller and of what it calls as one."""

import pytest

from pipelines.importers.github.calls.conditions import asks_for_status, both, stripped
from pipelines.importers.github.expressions.parser import parse
from pipelines.importers.github.expressions.printer import expression, tokens


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("a.b", "a.b"),
        ("a['b c'].*[0]", "a['b c'].*['0']"),
        ("a['it''s']", "a['it''s']"),
        ("'it''s'", "'it''s'"),
        ("''", "''"),
        ("null", "null"),
        ("-1 < 2", "-1 < 2"),
        ("a && b || c && d", "a && b || c && d"),
        ("a && (b || c)", "a && (b || c)"),
        ("a && (b && c)", "a && (b && c)"),
        ("(a == b) == c", "(a == b) == c"),
        ("a == (b == c)", "a == (b == c)"),
        ("!(a && b) && !c", "!(a && b) && !c"),
        ("!(a == b)", "!(a == b)"),
        ("(!a) == b", "!a == b"),
        ("format('{0}', a || b, true)", "format('{0}', a || b, true)"),
        ("always()", "always()"),
    ],
)
def test_what_is_written_means_the_same(text: str, written: str) -> None:
    tree = parse(text)
    assert "".join(tokens(tree)) == written
    assert parse(written) == tree
    assert expression(tree) == f"${{{{ {written} }}}}"


@pytest.mark.parametrize(
    ("caller", "own", "joined"),
    [
        ("", "", ""),
        ("a", "", "a"),
        ("", "${{ b }}", "${{ b }}"),
        ("a || b", "${{ c }}", "(a || b) && c"),
        ("a", "b &", "(a) && (b &)"),
    ],
)
def test_both_conditions_as_one(caller: str, own: str, joined: str) -> None:
    assert both(caller, own) == joined


@pytest.mark.parametrize(
    ("text", "rest"),
    [("", ""), ("a", "a"), ("always()", ""), ("!cancelled() && a", "true && a"), ("a &", "a &"), ("success()", "")],
)
def test_a_condition_without_the_functions_of_statuses(text: str, rest: str) -> None:
    assert stripped(text) == rest
    assert asks_for_status(text) == (rest != text)
