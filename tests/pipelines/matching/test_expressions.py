"""The expressions of ``when.evaluate``, and their regular expressions."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.matching.expressions import ExpressionError, evaluate
from pipelines.matching.regex import BadRegexError, search
from tests.support.pipelines import plan_of, push

VARIABLES = {"A": "a", "N": "12", "TAG": "v1.2.3", "LABELS": "bug,build_pr_images", "T": "true"}


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ('A == "a"', True),
        ("A == 'b'", False),
        ("A == `a`", True),
        ('A != "b"', True),
        ('UNKNOWN == ""', True),
        ('UNKNOWN != ""', False),
        ("UNKNOWN == nil", True),
        ("A == nil", False),
        ('A == "a" && N == "12"', True),
        ('A == "b" || N == "12"', True),
        ('A == "b" or A == "a" and N == "1"', False),
        ('(A == "a" or A == "b") and N == "12"', True),
        ('not (A == "a")', False),
        ('!(A == "b")', True),
        ('not not (A == "a")', True),
        ('not A == "b"', True),
        ('LABELS contains "build_pr_images"', True),
        ('LABELS not contains "x"', True),
        ('not (LABELS contains "x")', True),
        ('TAG startsWith "v" && TAG endsWith ".3"', True),
        ('TAG matches "^v?[0-9]+\\\\.[0-9]+\\\\.[0-9]+$"', True),
        ('TAG not matches "^x"', True),
        ('A in ["a", "b"]', True),
        ('A not in ["a", "b"]', False),
        ('UNKNOWN in [""]', True),
        ("A in []", False),
        ("len(A) == 1 && len([1, 2]) == 2", True),
        ('lower("AB") == "ab" && upper(A) == "A"', True),
        ('trim("  x ") == "x"', True),
        ('trimPrefix(TAG, "v") == "1.2.3" && trimSuffix(TAG, ".3") == "v1.2"', True),
        ('hasPrefix(TAG, "v") && hasSuffix(TAG, "3")', True),
        ('"bug" in split(LABELS, ",")', True),
        ("int(N) > 11 && int(N) >= 12 && int(N) < 13 && int(N) <= 12", True),
        ('string(int(N)) == N && string(A) == "a" && string(T == "true") == "true"', True),
        ("1 + 2 - 4 == -1 && 1.5 > 1", True),
        ('A + "b" == "ab"', True),
        ('"a" < "b" && "b" >= "a"', True),
        ('UNKNOWN ?? "x" == "x"', True),
        ('A ?? "x" == "a"', True),
        ('A == "a" ? true : false', True),
        ('A == "b" ? true : N == "1"', False),
        ('"say \\"hi\\"\\n" == \'say "hi"\\n\'', True),
        ("int(1.5) == 1", True),
        ("  true  ", True),
        ("nil == false", False),
    ],
)
def test_expressions(expression: str, expected: bool) -> None:
    assert evaluate(expression, VARIABLES) is expected


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("", "something is missing at the end"),
        ("A", "the result must be true or false, but it is 'a'"),
        ("UNKNOWN", "the result must be true or false, but it is nil"),
        ("1", "but it is 1"),
        ("A && true", "true or false is wanted, not 'a'; compare it with something"),
        ("not A", "true or false is wanted"),
        ("A == ", "something is missing at the end"),
        ("A == 'a' )", "')' cannot stand there"),
        ("(A == 'a'", "something is missing at the end"),
        ("A = 'a'", "'= 'a'' is not understood"),
        ("A not 'a'", "cannot stand there"),
        ("A == == A", "'==' cannot stand there"),
        ("[1, 2 3]", "'3' cannot stand there"),
        ("foo(A)", "there is no function 'foo' here"),
        ("lowr(A)", "did you mean 'lower'?"),
        ("len()", "the function 'len' is given too few values"),
        ("A in A", "behind 'in' a list"),
        ("N > 5", "'12' and 5 cannot be compared; int(NAME) makes a number of a text"),
        ("int(A) > 1", "'a' is not a number"),
        ("A - A == 1", "'a' - 'a' has no value"),
        ("-A == 1", "a number is wanted, not 'a'"),
        ("-true == 1", "a number is wanted, not True"),
        ("true contains A", "a text is wanted, not True"),
        ("A matches '('", "is not understood at its end"),
        ("A matches 'b)c'", "is not understood at ')c'"),
        ("A matches '[z-a]'", "in a regular expression is wrong"),
        ("(" * 50 + "true" + ")" * 50, "nested deeper than 40 levels"),
        ("true || " * 300 + "true", "at most 2000 characters"),
        ("A == 'a' ? 1 : 2", "the result must be true or false"),
    ],
)
def test_invalid_expressions_are_reported(expression: str, message: str) -> None:
    with pytest.raises(ExpressionError) as caught:
        evaluate(expression, VARIABLES)
    assert message in str(caught.value)


def test_expressions_see_inputs() -> None:
    step = "inputs: {T: }\nsteps: [{image: i, commands: x, when: {evaluate: 'T == \"docs\"'}}]"
    assert plan_of(step, push(inputs={"T": "docs"})).jobs
    assert not plan_of(step, push()).jobs
    workflow = "inputs: {T: }\nwhen: {evaluate: 'T == \"docs\"'}\nsteps: [{image: i, commands: x}]"
    assert plan_of(workflow, push(inputs={"T": "docs"})).jobs
    assert not plan_of(workflow, push()).jobs


@pytest.mark.parametrize(
    ("pattern", "text", "expected"),
    [
        ("b", "abc", True),
        ("^b", "abc", False),
        ("c$", "abc", True),
        ("b$", "abc", False),
        ("a.c", "abc", True),
        ("^(foo|bar)+$", "foobar", True),
        ("^(?:a|)b$", "b", True),
        ("^a{2}$", "aa", True),
        ("^a{2,}$", "a", False),
        ("^a{1,2}?$", "aaa", False),
        ("^a*?b+$", "aabb", True),
        (r"^\d+\.\w+\s?$", "12.ab ", True),
        (r"[^\]x]", "]", False),
        ("(?i)ABC", "xabcx", True),
        ("(?s)a.b", "a\nb", True),
        ("(?m)^b", "a\nb", True),
        (r"\ba\b", "x a y", True),
        (r"a\z", "ba", True),
        ("", "", True),
        ("[]]", "]", True),
    ],
)
def test_regular_expressions(pattern: str, text: str, expected: bool) -> None:
    assert search(pattern, text) is expected


@pytest.mark.parametrize(
    "pattern",
    [
        "(",
        ")",
        "a(b",
        "*",
        "[a",
        "(?=a)",
        "(?P<n>a)",
        r"\p{L}",
        r"\1",
        "a{3,2}",
        "a{1000}",
        "{2}",
        "a" * 501,
        "[b-a]",
        "]",
    ],
)
def test_unsupported_regular_expressions_are_refused(pattern: str) -> None:
    with pytest.raises(BadRegexError):
        search(pattern, "a")


@pytest.mark.parametrize("pattern", ["(a+)+b", "(a|a)*b", "(a*)*b", "a*a*a*a*a*a*b", "((a*)*)*b"])
def test_every_regular_expression_ends_in_bounded_time(pattern: str) -> None:
    assert search(pattern, "a" * 300 + "c") is False


@pytest.mark.slow
def test_a_costly_regular_expression_is_refused() -> None:
    with pytest.raises(BadRegexError, match="too costly"):
        search("(a|b|ab|ba|aba){200}(a|b|ab|ba|aba){200}x", "ab" * 3000)


ALPHABET = st.sampled_from(["a", "b", "(a|b)", "a*", "b+", "(ab)?", "[^a]", ".", "^", "$", "(a|bb){1,2}", "|"])


@settings(deadline=None)
@given(st.lists(ALPHABET, max_size=6).map("".join), st.text("ab\n", max_size=8))
def test_regular_expressions_agree_with_pythons(pattern: str, text: str) -> None:
    expected = re.search(pattern.replace("$", r"\Z"), text) is not None
    assert search(pattern, text) is expected
