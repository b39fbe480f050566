"""Every limit is accepted at the limit and refused one past it."""

import pytest

from pipelines.compiler.image_tags import REPO_CHARACTERS_MAX, is_repo, is_tag
from pipelines.compiler.jobs import PORT_MAX
from pipelines.context import PipelineFile
from pipelines.interpolation.parser import NESTING_LEVELS_MAX as SUBSTITUTION_LEVELS_MAX
from pipelines.interpolation.parser import Source, parse_template
from pipelines.interpolation.renderer import Variables
from pipelines.matching import glob, regex
from pipelines.matching.expressions import EXPRESSION_CHARACTERS_MAX, NESTING_LEVELS_MAX, ExpressionError, evaluate
from pipelines.parser.matrix import ALL_CELLS_CHARACTERS_MAX, Cell, check_size
from pipelines.parser.reader import STEPS_COUNT_MAX, decode, read_file
from pipelines.syntax.diagnostics import Diagnostics
from pipelines.syntax.yaml import ALIASES_COUNT_MAX, DEPTH_LEVELS_MAX, NODES_COUNT_MAX, TEXT_BYTES_MAX, parse_yaml
from pipelines.variables import FILES_COUNT_MAX, run_variables
from tests.support.pipelines import CONTEXT, problems_of, push

PAST = [0, 1]


def messages(diagnostics: Diagnostics) -> list[str]:
    return [problem.message for problem in diagnostics.problems]


@pytest.mark.parametrize("past", PAST)
def test_bytes_of_a_file(past: int) -> None:
    diagnostics = Diagnostics("x")
    assert (decode(b"#" * (TEXT_BYTES_MAX + past), diagnostics) is None) == bool(past)
    assert len(messages(diagnostics)) == past


@pytest.mark.parametrize("past", PAST)
def test_steps_of_a_file_in_all_its_jobs(past: int) -> None:
    steps = STEPS_COUNT_MAX // 2 + past
    text = "matrix: {A: [1, 2]}\nsteps:\n" + "- {image: i}\n" * steps
    diagnostics = Diagnostics(".headway.yml")
    read = read_file(PipelineFile(".headway.yml", text.encode()), Variables({}), diagnostics)
    assert len(read) == (0 if past else 2)
    assert len(messages(diagnostics)) == past


@pytest.mark.parametrize("past", PAST)
def test_characters_of_all_cells_of_a_matrix(past: int) -> None:
    diagnostics = Diagnostics("x")
    cells: list[Cell] = [{}] * 256
    assert check_size(cells, "x" * (ALL_CELLS_CHARACTERS_MAX // 256 + past), diagnostics) is not bool(past)
    assert len(messages(diagnostics)) == past


@pytest.mark.parametrize("past", PAST)
def test_levels_of_yaml(past: int) -> None:
    diagnostics = Diagnostics("x")
    levels = DEPTH_LEVELS_MAX + 1 + past
    parse_yaml("[" * levels + "]" * levels, diagnostics)
    assert len(messages(diagnostics)) == past


@pytest.mark.parametrize("past", PAST)
def test_levels_of_yaml_through_an_alias(past: int) -> None:
    diagnostics = Diagnostics("x")
    levels = DEPTH_LEVELS_MAX - 2 + past  # the map and the list around the alias are two more
    parse_yaml(f"a: &a {'[' * levels}{']' * levels}\nb: [*a]\n", diagnostics)
    assert len(messages(diagnostics)) == past


@pytest.mark.parametrize("past", PAST)
def test_aliases_of_yaml(past: int) -> None:
    diagnostics = Diagnostics("x")
    parse_yaml("a: &a x\nb: [" + "*a," * (ALIASES_COUNT_MAX + past) + "]\n", diagnostics)
    assert len(messages(diagnostics)) == past


@pytest.mark.slow
@pytest.mark.parametrize("past", PAST)
def test_values_of_yaml(past: int) -> None:
    diagnostics = Diagnostics("x")
    parse_yaml("[" + "1," * (NODES_COUNT_MAX - 1 + past) + "]", diagnostics)
    assert len(messages(diagnostics)) == past


@pytest.mark.parametrize("past", PAST)
def test_changed_files_in_a_variable(past: int) -> None:
    files = ("a",) * (FILES_COUNT_MAX + past)
    assert (run_variables(push(changed_files=files), CONTEXT)["CI_PIPELINE_FILES"] == "") == bool(past)


@pytest.mark.parametrize(("port", "problems"), [(0, 1), (1, 0), (PORT_MAX, 0), (PORT_MAX + 1, 1)])
def test_ports(port: int, problems: int) -> None:
    text = f"services: {{a: {{image: d, ready: {{port: {port}}}}}}}\nsteps: [{{image: i, commands: x}}]\n"
    assert len(problems_of(text)) == problems


@pytest.mark.parametrize("past", PAST)
def test_characters_of_names(past: int) -> None:
    assert is_repo("a" * (REPO_CHARACTERS_MAX + past)) is not bool(past)
    assert is_tag("a" * (128 + past)) is not bool(past)
    service = f"services: [{{name: {'a' * (63 + past)}, image: d}}]\nsteps: [{{image: i, commands: x}}]\n"
    assert len(problems_of(service)) == past


def test_characters_of_a_glob() -> None:
    assert glob.matches("*" * glob.PATTERN_CHARACTERS_MAX, "a")
    with pytest.raises(glob.BadPatternError, match="at most"):
        glob.matches("*" * (glob.PATTERN_CHARACTERS_MAX + 1), "a")


def test_alternatives_of_a_glob() -> None:
    commas = "," * (glob.ALTERNATIVES_COUNT_MAX - 1)
    assert glob.matches(f"a{{{commas}}}", "a")
    with pytest.raises(glob.BadPatternError, match="alternatives"):
        glob.matches(f"a{{{commas},}}", "a")


def test_characters_and_repetitions_of_a_regular_expression() -> None:
    assert regex.search("a" * regex.PATTERN_CHARACTERS_MAX, "b") is False
    with pytest.raises(regex.BadRegexError, match="longer than"):
        regex.search("a" * (regex.PATTERN_CHARACTERS_MAX + 1), "b")
    assert regex.search(f"a{{{regex.REPEAT_COUNT_MAX}}}", "a" * regex.REPEAT_COUNT_MAX)
    with pytest.raises(regex.BadRegexError, match="repetition"):
        regex.search(f"a{{{regex.REPEAT_COUNT_MAX + 1}}}", "a")


def test_characters_of_an_expression() -> None:
    expression = "true".rjust(EXPRESSION_CHARACTERS_MAX)
    assert evaluate(expression, {})
    with pytest.raises(ExpressionError, match="at most"):
        evaluate(f" {expression}", {})


def test_levels_of_an_expression() -> None:
    levels = NESTING_LEVELS_MAX - 1
    assert evaluate("(" * levels + "true" + ")" * levels, {})
    with pytest.raises(ExpressionError, match="nested deeper"):
        evaluate("(" * (levels + 1) + "true" + ")" * (levels + 1), {})


@pytest.mark.parametrize("past", PAST)
def test_levels_of_a_substitution(past: int) -> None:
    levels = SUBSTITUTION_LEVELS_MAX + past
    diagnostics = Diagnostics("x")
    parse_template(Source("${X:-" * levels + "${Y}" + "}" * levels), diagnostics)
    assert [message for message in messages(diagnostics) if "nested deeper" in message] == messages(diagnostics)
    assert bool(messages(diagnostics)) == bool(past)
