"""Expressions of GitHub Actions that are written again, and conditions of a caller and of what it calls as one."""

import pytest

from pipelines.importers.github.calls.conditions import asks_for_status, both, runs_after_failure, stripped
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
    ("caller", "own", "joined"),
    [
        ("failure()", "always()", "failure() && always()"),
        ("", "always()", "success() && always()"),
        ("a", "failure() && b", "success() && a && (failure() && b)"),
        ("failure()", "b", "failure() && b"),
        ("always()", "", "always()"),
    ],
)
def test_what_asks_for_a_status_has_only_those_of_its_caller(caller: str, own: str, joined: str) -> None:
    assert both(caller, own) == joined


@pytest.mark.parametrize(
    ("text", "rest", "asks"),
    [
        ("", "", False),
        ("a", "a", False),
        ("always()", "", True),
        ("!cancelled() && a", "a", True),
        ("a &", "a &", False),
        ("success()", "", True),
        ("failure() || a", "", True),
        ("always() && needs.t.result == 'success'", "", True),
        ("always() && needs.no.result == 'success'", "always() && needs.no.result == 'success'", True),
        ("contains(a, b)", "contains(a, b)", False),
    ],
)
def test_a_condition_without_what_asks_for_a_status(text: str, rest: str, *, asks: bool) -> None:
    assert stripped(text, ["t"]) == rest
    assert asks_for_status(text) == asks


@pytest.mark.parametrize(
    ("text", "may"), [("", False), ("always()", True), ("a &", False), ("success()", False), ("!success()", True)]
)
def test_whether_a_condition_may_hold_after_a_failure(text: str, *, may: bool) -> None:
    assert runs_after_failure(text) == may
