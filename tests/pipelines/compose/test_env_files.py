"""``env_file``: variables of Compose services from files of the repository."""

from collections.abc import Mapping
from typing import TypeGuard

import pytest

from pipelines.compose.env_files import ENV_FILES_COUNT_MAX, Variable, parse_env_file
from pipelines.parser.fragment_addresses import Address
from pipelines.parser.fragments import Fragment, included
from pipelines.plan import PluginStep, SecretRef
from pipelines.problem import InvalidPipelineError
from tests.support.compose import FILE, compose_plan

STEP = f"steps:\n  - {{name: it, compose: {FILE}, environment: {{GIVEN: of step, KEY: {{from_secret: key}}}}}}\n"


def is_text(part: object) -> TypeGuard[str]:
    return isinstance(part, str)


def environment(keys: str, files: Mapping[str, str], main: str = STEP) -> Mapping[str, object]:
    """The variables of a service that are not Headway's own."""
    plan = compose_plan(f"services:\n  tests: {{image: 'x:1', {keys}}}\n", main, others=files)
    step = plan.jobs[0].steps[0]
    assert isinstance(step, PluginStep)
    own = {name: value for name, value in step.container.environment.items() if not name.startswith("CI")}
    return {name: "".join(filter(is_text, parts)) if all(map(is_text, parts)) else parts for name, parts in own.items()}


def problems(keys: str, files: Mapping[str, str] | None = None, main: str = STEP) -> list[str]:
    with pytest.raises(InvalidPipelineError) as raised:
        environment(keys, files or {}, main)
    return [str(each) for each in raised.value.problems]


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("A=1\nB=two words\n", {"A": "1", "B": "two words"}),
        ("\n# comment\n  export A = x # comment\nB=x#y\n\tC= \n", {"A": "x", "B": "x#y", "C": ""}),
        ("A='$B #\\n'\nB='it\\'s'\n", {"A": "$B #\\n", "B": "it's"}),
        ('A="a\\nb\\t\\"c\\"\\\\" # comment\nB="$$"\nC="\\$x"\n', {"A": 'a\nb\t"c"\\', "B": "$", "C": "$x"}),
        ("A='one\ntwo'\nB=\"one\ntwo\"\n", {"A": "one\ntwo", "B": "one\ntwo"}),
        ('A=1\r\nB="2"\r\n', {"A": "1", "B": "2"}),
        ("A=1\nB=$A-${A}2-${GIVEN}-${NO:-none}\n", {"A": "1", "B": "1-12-of step-none"}),
        ("GIVEN=other\nB=$GIVEN\n", {"GIVEN": "other", "B": "of step"}),
        ("GIVEN\nNOT_GIVEN\nKEY\n", {"GIVEN": "of step", "KEY": (SecretRef(secret="key"),)}),
        ("A.B-C=1\n", {"A.B-C": "1"}),
        ("A=it's\nB=x=y\n", {"A": "it's", "B": "x=y"}),
        ("A=1", {"A": "1"}),
        ("A='x'\nA", {"A": "x"}),
        ("", {}),
    ],
)
def test_a_file_has_variables(text: str, values: Mapping[str, object]) -> None:
    assert environment("env_file: test.env", {"ci/test.env": text}) == values


@pytest.mark.parametrize("line", ["=x", "1A=x", "A B", "A: x", "A='x", 'A="x', "A='x' y", "{}", "A=\"x\" 'y'"])
def test_a_line_that_is_no_variable_is_an_error_at_its_place(line: str) -> None:
    (problem,) = problems("env_file: test.env", {"ci/test.env": f"B=1\n{line}\nC=2\n"})
    assert problem == (
        "ci/test.env:2:1: error: this line of 'env_file' of the Compose service 'tests' is no variable "
        "(included at ci/compose.yml:2:35, .headway.yml:2:25); write NAME=value, one a line"
    )


def test_an_open_quote_spoils_its_own_line_alone() -> None:
    assert list(parse_env_file("A='x\nB=1")) == [Variable("", 0, None), Variable("B", 5, "1")]


def test_later_files_win_and_environment_wins_over_all() -> None:
    files = {"ci/a.env": "A=1\nB=1\nC=1\n", "env/b": "B=2\nC=2\n"}
    keys = "env_file: [a.env, {path: ../env/b}], environment: {C: 3}"
    assert environment(keys, files) == {"A": "1", "B": "2", "C": "3"}


def test_a_file_may_be_missing_only_where_it_is_not_required() -> None:
    absent = {Address("ci/no.env"): Fragment(trouble="there is no file ci/no.env", absent=True)}
    text = "services:\n  tests: {image: 'x:1', env_file: [%s]}\n"
    assert compose_plan(text % "{path: no.env, required: false}", STEP, read=absent).jobs
    for item in ("no.env", "{path: no.env}", "{path: no.env, required: true}"):
        with pytest.raises(InvalidPipelineError, match=r"names 'ci/no\.env', which is not there .*; look at the path"):
            compose_plan(text % item, STEP, read=absent)
    limit = {Address("ci/no.env"): Fragment(trouble="with ci/no.env the fragments have too many bytes")}
    with pytest.raises(InvalidPipelineError, match="too many bytes"):
        compose_plan(text % "{path: no.env, required: false}", STEP, read=limit)


@pytest.mark.parametrize(
    ("keys", "problem"),
    [
        ("env_file: ../../x", "the path in 'env_file' has a part that is empty, '.' or '..'"),
        ("env_file: /etc/environment", "the path in 'env_file' is not a path of the repository"),
        ("env_file: ../.git/config", "the path in 'env_file' is in a folder of git itself"),
        ("env_file: '${GIVEN}'", "the file 'ci/of step' was not read"),
        ("env_file: {path: [x]}", "'path' in 'env_file' of the Compose service 'tests' is a text"),
        ("env_file: [{required: false}]", "has no 'path'"),
        ("env_file: {path: a.env, required: perhaps}", "'required' in 'env_file' of"),
        ("env_file: {path: a.env, format: raw}", "'format' in 'env_file' of the Compose service 'tests' is not"),
        ("env_file: {path: a.env, color: red}", "'color' of 'env_file'"),
        ("env_file: [[a.env]]", "is a text, not a list"),
    ],
)
def test_a_wrong_env_file_is_a_sentence(keys: str, problem: str) -> None:
    assert any(problem in each for each in problems(keys, {"ci/a.env": ""}))


def test_a_secret_is_in_no_text() -> None:
    (problem,) = problems("env_file: a.env", {"ci/a.env": "A=x$KEY\n"})
    assert "KEY is a secret, and no text of the file may have its value" in problem


@pytest.mark.parametrize(("count", "fine"), [(ENV_FILES_COUNT_MAX, True), (ENV_FILES_COUNT_MAX + 1, False)])
def test_a_service_has_a_number_of_files(count: int, fine: bool) -> None:
    files = {f"ci/{number}": f"A={number}\n" for number in range(count)}
    keys = f"env_file: [{', '.join(map(str, range(count)))}]"
    if fine:
        assert environment(keys, files) == {"A": str(count - 1)}
    else:
        assert f"names more than {ENV_FILES_COUNT_MAX} files" in problems(keys, files)[0]


def test_the_files_are_read_with_the_compose_file_that_names_them() -> None:
    text = b"services:\n  a: {env_file: [a.env, ../b, {path: c}, ../../no]}\n  b: {env_file: .env}\n  c: {}\n  d:\n"
    wanted = [Address(path) for path in ("ci/a.env", "b", "ci/c", "ci/.env")]
    assert included(text, Address(FILE)) == wanted
    assert included(text) == [], "a pipeline file has none"
    assert included(text, Address(FILE, "https://example.org/a.git", "0" * 40)) == []
