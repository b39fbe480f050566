"""The ``.env`` beside a Compose file: values of ``${NAME}`` that the Compose step does not give."""

from collections.abc import Mapping

import pytest

from pipelines.parser.fragment_addresses import Address
from pipelines.parser.fragments import Fragment, included
from pipelines.plan import NamedImage, PluginStep, SecretRef
from pipelines.problem import InvalidPipelineError
from pipelines.syntax.yaml import TEXT_BYTES_MAX
from tests.support.compose import FILE, compose_plan

PLAIN = f"steps:\n  - {{name: it, compose: {FILE}}}\n"
GIVEN = f"steps:\n  - {{name: it, compose: {FILE}, environment: {{TAG: of-step, KEY: {{from_secret: key}}}}}}\n"


def service(keys: str, text: str, main: str = PLAIN, path: str = "ci/.env") -> PluginStep:
    plan = compose_plan(f"services:\n  tests: {{{keys}}}\n", main, others={path: text})
    step = plan.jobs[0].steps[0]
    assert isinstance(step, PluginStep)
    return step


def name_of(step: PluginStep) -> str:
    assert isinstance(step.container.image, NamedImage)
    return step.container.image.name


def image(text: str, main: str = PLAIN, written: str = "x:${TAG:-none}", path: str = "ci/.env") -> str:
    return name_of(service(f"image: '{written}'", text, main, path))


def variables(keys: str, text: str, main: str = PLAIN) -> Mapping[str, object]:
    found = service(f"image: 'x:1', {keys}", text, main).container.environment
    return {name: parts for name, parts in found.items() if not name.startswith("CI")}


def problems(text: str, main: str = PLAIN, written: str = "x:${TAG}") -> list[str]:
    with pytest.raises(InvalidPipelineError) as raised:
        image(text, main, written)
    return [str(each) for each in raised.value.problems]


@pytest.mark.parametrize(
    ("text", "tag"),
    [
        ("TAG=1\n", "1"),
        ("# TAG=0\nexport TAG = '1' # so\n", "1"),
        ("TAG=1\nTAG=2\n", "2"),
        ("BASE=1\nTAG=${BASE}.${MINOR:-0}\n", "1.0"),
        ("BASE=1\nTAG='$BASE'\n", "$BASE"),
        ('TAG="a$$b"\n', "a$b"),
        ("TAG\n", "none"),
        ("TAG=\n", "none"),
        ("", "none"),
        ("\ufeffTAG=1\r\n", "1"),
    ],
)
def test_the_file_gives_values(text: str, tag: str) -> None:
    assert image(text) == f"x:{tag}"


def test_the_environment_of_the_step_wins() -> None:
    assert image("TAG=1\n", GIVEN) == "x:of-step"
    assert image("TAG=1\nOTHER=$TAG\n", GIVEN, "x:$OTHER") == "x:of-step"


def test_it_is_read_beside_the_compose_file_alone() -> None:
    assert image("TAG=1\n", path=".env") == "x:none"
    assert image("TAG=1\n", path="ci/sub/.env") == "x:none"


def test_no_container_has_a_variable_that_its_service_does_not_name() -> None:
    assert variables("environment: {A: 1}", "TAG=1\n") == {"A": ("1",)}


def test_a_service_that_names_a_variable_without_a_value_has_it() -> None:
    assert variables("environment: [TAG, OTHER]", "TAG=a $$b\n") == {"TAG": ("a $b",)}
    assert variables("environment: [TAG, KEY]", "TAG=1\nKEY=mine\n", GIVEN) == {
        "TAG": ("of-step",),
        "KEY": (SecretRef(secret="key"),),
    }


def test_a_variable_of_one_with_env_file_is_that_of_the_env_file() -> None:
    plan = compose_plan(
        "services:\n  tests: {image: 'x:$TAG', env_file: a.env}\n",
        others={"ci/.env": "TAG=1\n", "ci/a.env": "TAG=2\nBASE=$TAG\n"},
    )
    step = plan.jobs[0].steps[0]
    assert isinstance(step, PluginStep)
    assert name_of(step) == "x:1"
    assert step.container.environment["TAG"] == ("2",)
    assert step.container.environment["BASE"] == ("1",)


@pytest.mark.parametrize("line", ["=x", "1A=x", "A B", "A: x", "A='x", "{}"])
def test_a_line_that_is_no_variable_is_an_error_at_its_place(line: str) -> None:
    (problem,) = problems(f"TAG=1\n{line}\n")
    why = "this line of '.env' is no variable (included at .headway.yml:2:25); write NAME=value, one a line"
    assert problem == f"ci/.env:2:1: error: {why}"


def test_a_wrong_reference_is_an_error_at_its_place() -> None:
    (problem,) = problems("A=1\nTAG=${B:?give it}\n")
    assert problem.startswith("ci/.env:2:1: error: the variable B is missing: give it (included at .headway.yml:2:25)")


def test_a_secret_is_in_no_value() -> None:
    (problem,) = problems("OTHER=x$KEY\n", GIVEN)
    assert problem.startswith("ci/.env:1:1: error: KEY is a secret, and no text of the file may have its value")
    found = problems("KEY=mine\n", GIVEN, "x:$KEY")
    of_step = "ci/compose.yml:2:18: error: KEY is a secret"
    assert any(each.startswith(of_step) for each in found), "that of the step counts before that of the file"


def test_a_variable_without_a_value_is_a_warning_there() -> None:
    plan = compose_plan("services:\n  tests: {image: 'x:$TAG'}\n", others={"ci/.env": "TAG=1$NO\n"})
    (warning,) = plan.warnings
    assert str(warning).startswith("ci/.env:1:1: warning: the variable NO is not set at the Compose step")


def test_a_commit_may_have_none_and_one_that_cannot_be_read_is_an_error() -> None:
    text = "services:\n  tests: {image: 'x:${TAG:-none}'}\n"
    absent = {Address("ci/.env"): Fragment(trouble="there is no file ci/.env", absent=True)}
    assert compose_plan(text, read=absent).jobs
    trouble = {Address("ci/.env"): Fragment(trouble="with ci/.env the fragments have too many bytes")}
    with pytest.raises(InvalidPipelineError, match="the file cannot be read: with ci/"):
        compose_plan(text, read=trouble)
    not_text = {Address("ci/.env"): Fragment(b"TAG=\xff\n")}
    with pytest.raises(InvalidPipelineError, match=r"ci/\.env:1"):
        compose_plan(text, read=not_text)


@pytest.mark.parametrize(("more", "fine"), [(0, True), (1, False)])
def test_it_has_at_most_the_size_of_a_fragment(more: int, fine: bool) -> None:
    text = "TAG=1\n#"
    text += "x" * (TEXT_BYTES_MAX - len(text) + more)
    if fine:
        assert image(text) == "x:1"
    else:
        assert problems(text)


def test_it_is_read_with_the_compose_file() -> None:
    text = b"steps:\n  - {name: a, compose: ci/a.yml}\n  - {name: b, compose: {file: b.yml}}\n  - compose: ../c.yml\n"
    assert included(text) == [Address(path) for path in ("ci/a.yml", "b.yml", "ci/.env", ".env")]
    assert included(text, Address("f.yml", "https://example.org/a.git", "0" * 40))[2:] == [
        Address("ci/.env"),
        Address(".env"),
    ]
