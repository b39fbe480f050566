"""Every limit of the pipeline language: what is exactly as large as the limit is taken, one more is refused."""

import json

import pytest

from pipelines.environment.environment_size import OWN_VALUE_BYTES_MAX
from pipelines.images.image_names import is_tag
from pipelines.matching.expressions import ExpressionError, evaluate
from pipelines.matching.glob import BadPatternError, matches
from pipelines.matching.regex import BadRegexError, search
from pipelines.plan import CommandsStep, Container, PluginStep
from pipelines.problem import InvalidPipelineError
from pipelines.trigger import Trigger
from tests.support.pipelines import job_of, plan_of, plan_of_files, problems_of, pull_request, push, value_of

ONE = "steps: [{image: i, commands: x}]"


def only_container(text: str, trigger: Trigger | None = None) -> Container:
    """The container of the only step."""
    (step,) = job_of(text, trigger).steps
    assert isinstance(step, CommandsStep | PluginStep)
    return step.container


def matrix(cells: int, steps: str = ONE) -> str:
    return f"matrix: {{A: [{', '.join(map(str, range(cells)))}]}}\n{steps}"


def steps(count: int) -> str:
    return "steps:\n" + " - {image: i, commands: x}\n" * count


def with_comment(text: str, size: int) -> str:
    """The file with a comment that makes it ``size`` characters long."""
    return f"{text}\n#".ljust(size, "x")


def test_a_pipeline_has_at_most_256_jobs_in_all_its_files() -> None:
    half = matrix(128)
    assert len(plan_of_files({".headway/a.yml": half, ".headway/b.yml": half}).jobs) == 256
    text = matrix(64)
    files = {f".headway/{name}.yml": text for name in "abcd"} | {".headway/e.yml": ONE}
    with pytest.raises(InvalidPipelineError, match="this pipeline has 257 jobs, and at most 256 are run"):
        plan_of_files(files)


@pytest.mark.slow
def test_a_file_has_at_most_2000_steps_in_all_its_jobs() -> None:
    assert len(job_of(steps(2000)).steps) == 2000
    assert "this file has 2001 steps" in problems_of(steps(2001))[0]
    assert len(plan_of(matrix(200, steps(10))).jobs) == 200
    assert "this file has 2010 steps" in problems_of(matrix(201, steps(10)))[0]


def test_characters_times_combinations_have_a_limit() -> None:
    """1024 * 1024: 16 combinations of a file of 65,536 characters, and not one character more."""
    assert len(plan_of(with_comment(matrix(16), 65_536)).jobs) == 16
    (problem,) = problems_of(with_comment(matrix(16), 65_537))
    assert "this file has 65537 characters and its matrix 16 combinations" in problem


def test_a_file_has_at_most_half_a_mebibyte() -> None:
    assert len(plan_of(with_comment(ONE, 512 * 1024)).jobs) == 1
    (problem,) = problems_of(with_comment(ONE, 512 * 1024 + 1))
    assert "more than the 524,288 bytes of a pipeline file" in problem


def test_a_matrix_of_one_combination_does_not_make_a_long_file_too_long() -> None:
    assert len(plan_of(with_comment(matrix(1), 400_000)).jobs) == 1


@pytest.mark.parametrize(("duration", "taken"), [("168h", True), ("168h1s", False), ("1s", True), ("0s", False)])
def test_a_step_may_take_a_second_to_seven_days(duration: str, taken: bool) -> None:
    problems = problems_of(f"steps: [{{image: i, commands: x, timeout: {duration}}}]")
    assert (problems == []) == taken, problems


@pytest.mark.parametrize(("port", "taken"), [(1, True), (65_535, True), (0, False), (65_536, False)])
def test_a_port_of_a_service_is_one_of_tcp(port: int, taken: bool) -> None:
    problems = problems_of(f"services: {{db: {{image: i, ready: {{port: {port}}}}}}}\n{ONE}")
    assert (problems == []) == taken, problems


@pytest.mark.parametrize(("length", "taken"), [(255, True), (256, False)])
def test_a_name_of_an_image_has_at_most_255_characters(length: int, taken: bool) -> None:
    problems = problems_of(f"steps: {{b: {{build: .}}, p: {{push: {{repo: {'a' * length}, tags: x}}}}}}")
    assert (problems == []) == taken, problems


@pytest.mark.parametrize(("length", "taken"), [(128, True), (129, False)])
def test_a_tag_of_an_image_has_at_most_128_characters(length: int, taken: bool) -> None:
    assert is_tag("a" * length) is taken


@pytest.mark.parametrize(("length", "problems"), [(63, 0), (64, 1)])
def test_a_name_of_a_service_has_at_most_63_characters(length: int, problems: int) -> None:
    assert len(problems_of(f"services: [{{name: {'a' * length}, image: d}}]\n{ONE}")) == problems


@pytest.mark.slow
def test_of_the_problems_of_a_file_the_first_200_are_shown() -> None:
    def wrong(count: int) -> str:
        return "steps:\n" + "".join(f"  - {{name: s{n}, image: i, comands: x}}\n" for n in range(count))

    def keys(count: int) -> list[str]:
        return problems_of(f"{ONE}\n" + "".join(f"k{n}: y\n" for n in range(count)))

    assert len(keys(199)) == 199
    assert len(keys(200)) == len(keys(201)) == 200
    assert len(problems_of(wrong(500))) == 200


def nested(levels: int) -> str:
    """A value that stands ``levels`` deep in the file."""
    return f"steps: [{{image: i, settings: {{x: {'[' * (levels - 4)}1{']' * (levels - 4)}}}}}]"


def test_yaml_is_nested_at_most_40_levels() -> None:
    assert problems_of(nested(40)) == []
    assert "this is nested deeper than 40 levels" in problems_of(nested(41))[0]


def test_an_alias_counts_with_the_levels_of_what_it_stands_for() -> None:
    def aliased(levels: int) -> str:
        inner = f"{'[' * (levels - 4)}1{']' * (levels - 4)}"
        return f"variables: [&a {inner}]\nsteps: [{{image: i, settings: {{x: *a}}}}]"

    assert problems_of(aliased(40)) == []
    assert "with this alias in place the file is nested deeper than 40 levels" in problems_of(aliased(41))[0]


def test_a_file_has_at_most_1000_aliases() -> None:
    def aliases(count: int) -> str:
        return f"variables: [&a x]\nsteps: [{{image: i, settings: {{x: [{'*a, ' * count}]}}}}]"

    assert problems_of(aliases(1000)) == []
    assert "more than 1000 aliases" in problems_of(aliases(1001))[0]


@pytest.mark.slow
def test_a_file_has_at_most_50000_values() -> None:
    def values(count: int) -> str:
        """The whole file, its keys, maps and lists counted too."""
        return f"variables: [{'1,' * (count - 10)}]\n{ONE}"

    assert problems_of(values(50_000)) == []
    assert "more than 50000 values" in problems_of(values(50_001))[0]


@pytest.mark.parametrize(("length", "value"), [(400, "1"), (401, "1." + "0" * 399)])
def test_a_number_of_more_than_400_characters_is_a_text(length: int, value: str) -> None:
    number = "1.".ljust(length, "0")
    container = only_container(f"steps: [{{image: i, settings: {{x: {number}}}}}]")
    assert value_of(container, "PLUGIN_X") == value


def test_substitutions_are_nested_at_most_20_levels() -> None:
    def levels(count: int) -> str:
        return f"steps: [{{image: i, commands: 'echo {'${CI_X:-' * count}x{'}' * count}'}}]"

    assert problems_of(levels(21)) == []
    assert "nested deeper than 20 levels" in problems_of(levels(22))[0]


TOO_LONG = "this file becomes too long"


def test_what_a_replacement_makes_of_a_value_has_at_most_a_mebibyte_of_characters() -> None:
    text = "steps: [{image: i, commands: 'echo ${CI_COMMIT_MESSAGE//a/" + "b" * 1023 + "}'}]"
    assert problems_of(text, push(message="a" * 1024)) == []
    assert TOO_LONG in problems_of(text, push(message="a" * 1024 + "c"))[0]


@pytest.mark.parametrize("operator", ["", "^^"])
def test_values_from_outside_have_at_most_a_mebibyte_of_characters_in_one_file(operator: str) -> None:
    eight = ", ".join(f"V{number}: '${{CI_COMMIT_MESSAGE{operator}}}'" for number in range(8))
    text = f"steps: [{{image: i, commands: x, environment: {{{eight}, A: '${{CI_COMMIT_AUTHOR{operator}}}'}}}}]"
    message = "a b".ljust(OWN_VALUE_BYTES_MAX, "c")
    rest = 1024 * 1024 - 8 * OWN_VALUE_BYTES_MAX
    container = only_container(text, push(message=message, author="a b".ljust(rest, "c")))
    assert len(value_of(container, "A")) == rest
    assert TOO_LONG in problems_of(text, push(message=message, author="a b".ljust(rest + 1, "c")))[0]


def test_the_text_of_a_file_with_its_values_has_at_most_a_mebibyte() -> None:
    def filled(size: int) -> str:
        """The file's text once A, of 1,000 characters, is filled in 1,047 times."""
        base = f"matrix: {{A: [{'v' * 1000}]}}\n{ONE}\n# {'${A}' * 1047}\n#"
        return base + "x" * (size - (len(base) + 1047 * (1000 - len("${A}"))))

    assert len(plan_of(filled(1024 * 1024)).jobs) == 1
    assert TOO_LONG in problems_of(filled(1024 * 1024 + 1))[0]


def test_of_more_than_500_changed_files_none_is_named() -> None:
    def named(count: int) -> Container:
        return only_container(ONE, pull_request(changed_files=tuple(f"f{n}" for n in range(count))))

    assert len(json.loads(value_of(named(500), "CI_PIPELINE_FILES"))) == 500
    assert "CI_PIPELINE_FILES" not in named(501).environment


def test_a_pattern_has_at_most_2000_characters() -> None:
    assert matches("*" + "a" * 1999, "a" * 1999)
    with pytest.raises(BadPatternError, match="at most 2000 characters"):
        matches("*" + "a" * 2000, "a" * 2000)


def test_a_pattern_has_at_most_64_alternatives() -> None:
    def choices(count: int) -> str:
        return "{" + ",".join(f"b{n}" for n in range(count)) + "}"

    assert matches(choices(64), "b63")
    with pytest.raises(BadPatternError, match="more than 64 alternatives"):
        matches(choices(65), "b0")
    assert matches("{a,b}" * 6, "bababb")
    with pytest.raises(BadPatternError, match="more than 64 alternatives"):
        matches("{a,b}" * 7, "bababba")
    assert matches(f"{choices(32)}{{x,y}}", "b31y")
    with pytest.raises(BadPatternError, match="more than 64 alternatives"):
        matches(f"{choices(33)}{{x,y}}", "b0x")


@pytest.mark.slow
def test_a_pattern_is_not_compared_with_any_long_text() -> None:
    """4,000,000: parts of the pattern times characters of the text."""
    assert matches("?*" * 20, "x" * 100_000)
    with pytest.raises(BadPatternError, match="too long"):
        matches("?*" * 20, "x" * 100_001)


def test_a_regular_expression_has_at_most_500_characters() -> None:
    assert search("a" * 500, "a" * 500)
    with pytest.raises(BadRegexError, match="longer than 500 characters"):
        search("a" * 501, "a" * 501)


@pytest.mark.parametrize("repeat", ["{200}", "{200,}", "{0,200}"])
def test_a_part_is_repeated_at_most_200_times(repeat: str) -> None:
    assert search(f"^a{repeat}$", "a" * 200)
    with pytest.raises(BadRegexError, match="not from 0 to 200"):
        search(f"^a{repeat.replace('200', '201')}$", "a" * 201)


def test_a_repetition_may_end_where_it_begins_and_not_before() -> None:
    assert search("^a{2,2}$", "aa")
    with pytest.raises(BadRegexError, match="not from 0 to 200"):
        search("a{2,1}", "aa")


@pytest.mark.slow
def test_a_regular_expression_may_not_cost_more_than_a_million_positions() -> None:
    """One character at every position of the text, and one for the end: each part costs as many, and one more."""
    assert search("ab", "a" * 499_998 + "b")
    with pytest.raises(BadRegexError, match="too costly"):
        search("a" * 3, "a" * 400_000)


def test_an_expression_has_at_most_2000_characters() -> None:
    def compared(length: int) -> str:
        return '"a" == "a"'.ljust(length)

    assert evaluate(compared(2000), {})
    with pytest.raises(ExpressionError, match="at most 2000 characters"):
        evaluate(compared(2001), {})


def test_an_expression_is_nested_at_most_40_levels() -> None:
    assert evaluate("(" * 39 + "true" + ")" * 39, {})
    with pytest.raises(ExpressionError, match="nested deeper than 40 levels"):
        evaluate("(" * 40 + "true" + ")" * 40, {})
