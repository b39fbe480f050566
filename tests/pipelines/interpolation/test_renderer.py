"""Substitution of ``${NAME}``, its operators, and values from outside."""

import json
import subprocess
from pathlib import Path

import pytest

from pipelines.interpolation.parser import Source, parse_template
from pipelines.interpolation.renderer import Variables, render, render_placeholders
from pipelines.parser.unknown_variables import warn_of_unknown_names
from pipelines.plan import NamedImage
from pipelines.syntax.diagnostics import Diagnostics, Place
from pipelines.syntax.nodes import ListNode, MapNode, ScalarNode
from pipelines.syntax.shell_text import OutsideValue, shell_text
from pipelines.syntax.yaml import parse_yaml
from tests.support.pipelines import (
    commands_of,
    container_of,
    job_of,
    of_kind,
    plan_of,
    problems_of,
    push,
    step_of,
    tag,
    value_of,
)

VARIABLES = Variables(
    outside={},
    cell={"v": "hello-world", "path": "a/b/c.tar.gz", "empty": "", "two": "first\nsecond", "Up": "Hello"},
    known={"KNOWN"},
    at_run_time={"CI_WORKSPACE"},
)


def substitute(text: str, variables: Variables = VARIABLES) -> tuple[str, list[str]]:
    diagnostics = Diagnostics("x")
    source = Source(text)
    rendered = render(source, parse_template(source, diagnostics), variables, diagnostics)
    warn_of_unknown_names(rendered.unknown, None, diagnostics)
    return rendered.text, [str(problem).removeprefix("x:") for problem in diagnostics.problems]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("${v}", "hello-world"),
        ("a ${v} b ${v}", "a hello-world b hello-world"),
        ("$v $(v) `v`", "$v $(v) `v`"),
        ("$${v} $$v $$$${v}", "${v} $v $${v}"),
        ("$$${v}", "$hello-world"),
        (r"\\ \/ \n *\\/*", r"\ / \n *\/*"),
        ("${#v}", "11"),
        ("${empty:-x}", "x"),
        ("${v:-x}", "hello-world"),
        ("${empty:=x}${empty=y}${empty:?z}${empty:+w}", "xyzw"),
        ("${v:+x}", "hello-world"),
        ("${empty:-a ${v} b}", "a hello-world b"),
        ("${empty:-${KNOWN:-deep}}", "deep"),
        ("${empty:-}", ""),
        ("${v:6}", "world"),
        ("${v:0:5}", "hello"),
        ("${v:-5}", "hello-world"),
        ("${v: -5}", "world"),
        ("${v: -50}", "hello-world"),
        ("${v:6:100}", "world"),
        ("${v:x}", "hello-world"),
        ("${v:0:x}", "hello-world"),
        ("${v:50}", ""),
        ("${path#*/}", "b/c.tar.gz"),
        ("${path##*/}", "c.tar.gz"),
        ("${path%.*}", "a/b/c.tar"),
        ("${path%%.*}", "a/b/c"),
        ("${path%zip}", "a/b/c.tar.gz"),
        ("${path#[a-c]}", "/b/c.tar.gz"),
        ("${path#[a}", "a/b/c.tar.gz"),
        ("${v/o/0}", "hell0-world"),
        ("${v//o/0}", "hell0-w0rld"),
        ("${v//o/}", "hell-wrld"),
        ("${path//\\//-}", "a-b-c.tar.gz"),
        ("${v/#hello/bye}", "bye-world"),
        ("${v/%world/you}", "hello-you"),
        ("${v/#x/y}${v/%x/y}", "hello-worldhello-world"),
        ("${v//o/${Up}}", "hellHello-wHellorld"),
        ("${Up,}${Up,,}${v^}${v^^}", "hellohelloHello-worldHELLO-WORLD"),
        ("${two}", '"first\\nsecond"'),
        ("${KNOWN}", ""),
    ],
)
def test_every_form_of_substitution(text: str, expected: str) -> None:
    rendered, problems = substitute(text)
    assert rendered == expected
    assert all("backslash" in problem or "in a shell" in problem for problem in problems)


@pytest.mark.parametrize(
    ("text", "rendered", "told"),
    [
        (r"sed 's/\//-/g'", "sed 's///-/g'", (8, r"'\/' becomes '/'", r"write '\\/' to keep it")),
        (r"sed 's/\\//-/g'", r"sed 's/\//-/g'", None),
        (r"a\\b", r"a\b", (2, r"'\\' becomes '\'", r"write '\\\\' to keep it")),
        (r"a\\\\b", r"a\\b", None),
        (r"a\nb \d+", r"a\nb \d+", None),
        (r"# s/\//-/", "# s///-/", None),
        (r"${path//\//-}", "a-b-c.tar.gz", None),
        ("${v:+x}", "hello-world", (1, "${v:+x} is not what it is in a shell: ':+'", "write $${v:+x} for the shell")),
        ("${v:?x}", "hello-world", (1, "${v:?x} is not what it is in a shell: ':?'", "write $${v:?x} for the shell")),
        ("${v:-${v:?x}}", "hello-world", (1, "${v:-${v:?x}} is not what it is", "write $${v:-$${v:?x}} for the shell")),
        ("$${v:+x}", "${v:+x}", None),
        ("# ${v:+x}", "# hello-world", None),
        ("${v-x}", "", (1, "${v-x} is not a variable here and becomes empty", "write ${v:-x} for a default")),
    ],
)  # fmt: skip
def test_what_is_not_as_in_a_shell_is_a_warning_with_a_remedy(
    text: str, rendered: str, told: tuple[int, str, str] | None
) -> None:
    found, problems = substitute(text)
    assert found == rendered
    assert len(problems) == (1 if told else 0)
    if told:
        column, message, hint = told
        assert problems[0].startswith(f"1:{column}: warning: {message}")
        assert hint in problems[0]


@pytest.mark.parametrize(
    "text",
    [
        "${}",
        "${!v}",
        "${v[0]}",
        "${v",
        "${v:",
        "${v:}",
        "${v#}",
        "${v/a}",
        "${v/a/b",
        "${#v",
        "${#}",
        "${v,x}",
        "${v@Q}",
    ],
)
def test_an_invalid_substitution_is_an_error_with_its_place(text: str) -> None:
    (problem,) = substitute(f"a:\n  b {text}")[1]
    assert problem.startswith(f"2:5: error: '{text}' is not a substitution: ")
    assert problem.endswith("if the shell is to expand it, write '$${' in place of '${'")


def test_an_invalid_substitution_in_a_comment_is_ignored() -> None:
    assert substitute("  # see ${a[0]}\n") == ("  # see ${a[0]}\n", [])


def test_nested_substitutions_have_a_limit() -> None:
    assert "nested deeper" in substitute("${a:-" * 30 + "}" * 30)[1][0]


def test_all_invalid_substitutions_are_reported_at_once() -> None:
    assert len(substitute("${} ${!a}\n${b[1]}")[1]) == 3


def test_an_unknown_name_is_empty_with_a_warning_and_the_nearest_name() -> None:
    text = "steps: [{name: a, image: b, commands: 'echo ${CI_COMIT_SHA}'}]"
    assert problems_of(text) == [
        "1:45: warning: ${CI_COMIT_SHA} is not a variable here and becomes empty; did you mean CI_COMMIT_SHA?"
    ]
    assert commands_of(step_of(text)) == ("echo ",)


def test_a_variable_of_the_shell_gets_a_hint_how_to_escape_it() -> None:
    assert substitute("${RUN}")[1] == [
        "1:1: warning: ${RUN} is not a variable here and becomes empty; write $${RUN} if the shell is to fill it in"
    ]


def test_a_variable_that_only_the_container_has_gets_a_hint_how_to_write_it() -> None:
    assert substitute("${CI_WORKSPACE}")[1] == [
        (
            "1:1: warning: ${CI_WORKSPACE} is known only when the step runs and becomes empty; "
            "write $CI_WORKSPACE, or $${CI_WORKSPACE}, for the shell to fill in"
        )
    ]


def test_no_warning_for_an_unknown_name_with_a_default_or_in_a_comment() -> None:
    assert substitute("# ${X}\n${X:-a}") == ("# \na", [])


def test_places_behind_a_substitution_are_those_of_the_file() -> None:
    text = "steps:\n  - {name: ${CI_COMMIT_SHA}, image: a, comands: b}\n"
    assert problems_of(text)[0].startswith("2:40: error: unknown key 'comands'")


def test_a_value_from_outside_cannot_become_yaml() -> None:
    text = """
    steps:
      - {name: a, image: b, settings: {plain: ${CI_COMMIT_MESSAGE}, "quoted": "<${CI_COMMIT_MESSAGE}>"}}
    """
    message = 'x", y: z}\n- {{ [ # " \' : \\'
    container = container_of(step_of(text, push(message=message)))
    assert value_of(container, "PLUGIN_PLAIN") == message
    assert value_of(container, "PLUGIN_QUOTED") == f"<{message}>"


@pytest.mark.parametrize("name", ["null", "true", "1.10", "1e3", "0x10", "~"])
def test_a_value_from_outside_stays_text(name: str) -> None:
    text = "steps: [{name: a, image: b, settings: {tag: '${CI_COMMIT_TAG}', plain: ${CI_COMMIT_TAG}}}]"
    container = container_of(step_of(text, tag(name)))
    assert value_of(container, "PLUGIN_TAG") == name
    assert value_of(container, "PLUGIN_PLAIN") == name


HOSTILE = [
    "$(touch pwned)",
    "`touch pwned`",
    "'; touch pwned; '",
    '"; touch pwned; "',
    "a\ntouch pwned\n",
    "\\",
    "don't $HOME ${HOME} * ? ~ # & | ; < > ( )",
    "-n --help",
    "ümläut 😀",
]


@pytest.mark.parametrize("message", HOSTILE)
@pytest.mark.parametrize(
    "command",
    [
        'printf %s "${CI_COMMIT_MESSAGE}"',
        "printf %s '${CI_COMMIT_MESSAGE}'",
        "# don't\nprintf %s '${CI_COMMIT_MESSAGE}'",
        "printf %s \"it's: \"'${CI_COMMIT_MESSAGE}'",
        'printf %s "${CI_COMMIT_MESSAGE:0:9}"',
        'printf %s "${CI_COMMIT_MESSAGE//a/b}"',
        "cat <<EOF\n${CI_COMMIT_MESSAGE}\nEOF",
        'printf %s "${CI_COMMIT_TAG:-${CI_COMMIT_MESSAGE}}"',
        'printf %s "${CI_COMMIT_BRANCH/main/${CI_COMMIT_MESSAGE}}"',
    ],
)
def test_a_real_shell_prints_a_message_from_outside_and_never_runs_it(
    command: str, message: str, tmp_path: Path
) -> None:
    text = {"steps": [{"name": "a", "image": "b", "commands": [command]}]}
    step = step_of(_yaml(text), push(message=message))
    environment = {name: value_of(container_of(step), name) for name in container_of(step).environment}
    done = subprocess.run(
        ["sh", "-c", commands_of(step)[0]], env=environment, cwd=tmp_path, capture_output=True, check=False
    )
    assert list(tmp_path.iterdir()) == []
    expected = message[:9] if ":0:9" in command else message.replace("a", "b") if "//a" in command else message
    assert done.stdout.decode().removeprefix("it's: ").rstrip("\n") == expected.rstrip("\n")
    assert done.stderr == b""


def _yaml(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


def test_a_harmless_value_stands_in_the_command_itself() -> None:
    step = step_of(
        "steps: [{name: a, image: b, commands: 'deploy ${CI_COMMIT_BRANCH} ${CI_COMMIT_TIMESTAMP}'}]",
        push(timestamp_s=5),
    )
    assert commands_of(step) == ("deploy main 5",)


def test_text_between_quotes_and_escapes_is_followed() -> None:
    outside = [OutsideValue("X", "a b")]
    held = "\ue0000\ue001"
    assert shell_text(f"'{held} # b' {held}", outside).text == "''\"${X}\"' # b' ${X}"
    assert shell_text(f"# don't\n'{held}'", outside).text == "# don't\n''\"${X}\"''"
    assert shell_text(f'"\\" {held}" {held}', outside).text == '"\\" ${X}" ${X}'
    assert shell_text(f'"a" {held} "b{held}"', outside).text == '"a" ${X} "b${X}"'
    assert shell_text(f"a \\' {held} \"'{held}'\" '{held}'", outside).text == "a \\' ${X} \"'${X}'\" ''\"${X}\"''"


def test_our_placeholder_characters_in_a_file_are_ordinary_characters() -> None:
    text = "steps: [{name: a, image: b, commands: 'echo \ue0005\ue001 \ue000'}]"
    assert commands_of(step_of(text)) == ("echo \ue0005\ue001 \ue000",)


def test_substitutions_that_grow_too_long_are_refused() -> None:
    long = "x" * 100_000
    many = "a: " + "${CI_COMMIT_MESSAGE} " * 20
    assert problems_of(many, push(message=long + " ")) == [
        (
            "1:1: error: with its variables filled in, this file becomes too long; "
            "split the pipeline into several files, in the folder .headway/"
        )
    ]
    amplified = "a: ${CI_COMMIT_MESSAGE//x/" + "y" * 100 + "}"
    assert "becomes too long" in problems_of(amplified, push(message=long))[0]
    doubled = "a: ${CI_COMMIT_MESSAGE:-}${X:-" + "${CI_COMMIT_MESSAGE}" * 20 + "}"
    assert "becomes too long" in problems_of(doubled, push(message=long))[0]
    plain = "a: ${CI_COMMIT_MESSAGE}" * 20
    assert "becomes too long" in problems_of(plain, push(message=long))[0]


def test_the_matrix_is_read_from_a_text_that_keeps_every_reference_as_a_value() -> None:
    source = Source("a: [${X}, ${Y:-b}]\nb: c")
    diagnostics = Diagnostics("x")
    rendered = render_placeholders(source, parse_template(source, diagnostics))
    root = of_kind(MapNode, parse_yaml(rendered.text, diagnostics, rendered.locate, rendered.finish))
    items = of_kind(ListNode, root.by_key["a"]).items
    assert [of_kind(ScalarNode, item).text for item in items] == ["${X}", "${Y}"]
    assert root.key_place("b") == Place(2, 1)


def test_variables_of_the_run_can_be_used_anywhere() -> None:
    text = """
    steps:
      - name: build-${CI_PIPELINE_NUMBER}
        image: "registry/${CI_REPO}:${CI_COMMIT_SHA:0:8}"
        commands: [a]
    """
    step = step_of(text)
    assert step.name == "build-7"
    assert of_kind(NamedImage, container_of(step).image).name == "registry/me/app:01234567"


def test_inputs_of_a_manual_run_reach_the_container_and_not_the_text() -> None:
    text = "inputs: {TARGET: }\nsteps: [{name: a, image: b, commands: 'echo ${TARGET} $TARGET'}]"
    trigger = push(inputs={"TARGET": "prod"})
    assert "known only when the step runs" in problems_of(text, trigger)[0]
    assert value_of(container_of(job_of(text, trigger).steps[0]), "TARGET") == "prod"


def test_the_name_of_the_workflow_is_known() -> None:
    assert problems_of("steps: [{name: a, image: b, commands: 'echo ${CI_WORKFLOW_NAME}'}]") == []
    assert commands_of(
        plan_of("steps: [{name: a, image: b, commands: 'echo ${CI_WORKFLOW_NAME}'}]").jobs[0].steps[0]
    ) == ("echo headway",)
