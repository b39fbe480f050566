"""Characters that no program, no line and no column of a page can hold are errors where they stand."""

import pytest

from pipelines.problem import Problem
from tests.support.pipelines import plan_of_files, problems_of

STEP = "- name: s\n  image: i\n  commands: x\n"
FILES = [
    f'steps:\n{STEP}  environment: {{A: "b@c"}}\n', f'steps:\n{STEP}  environment: {{"A@": b}}\n',
    f'steps:\n{STEP}  entrypoint: ["sh@"]\n', 'steps:\n- name: s\n  image: i\n  commands: ["a@"]\n',
    'steps:\n- name: s\n  image: i\n  commands: "a@"\n', 'steps:\n- name: "s@"\n  image: i\n',
    'steps:\n- name: s\n  image: "i@"\n', 'steps:\n- name: s\n  image: i\n  settings: {a: {b: ["@"]}}\n',
    f'labels: {{a: "@"}}\nsteps:\n{STEP}', f'steps:\n{STEP}  directory: "a@"\n',
    f'steps:\n{STEP}  when: {{branch: "@"}}\n',
    'steps:\n- name: s\n  build: {context: ".", args: {A: "@"}}\n', 'steps:\n- name: s\n  build: {labels: {A: "@"}}\n',
    'steps:\n- name: s\n  build: {labels: {"A@": b}}\n', 'steps: {"s@": {image: i}}\n',
    f'services: [{{name: d, image: "i@"}}]\nsteps:\n{STEP}', f'services: [{{name: "d@", image: i}}]\nsteps:\n{STEP}',
    f'matrix: {{A: ["a@", b]}}\nsteps:\n{STEP}', f'x: &a "@"\nsteps:\n{STEP}  environment: {{A: *a}}\n',
    'steps:\n- name: s\n  push: {repo: "a/b", tags: "@"}\n', f'inputs: {{a: {{default: "@"}}}}\nsteps:\n{STEP}',
]  # fmt: skip


@pytest.mark.parametrize("text", FILES)
@pytest.mark.parametrize("written", ["\\0", "\\x00"])
def test_no_text_has_a_character_that_no_program_can_be_given(text: str, written: str) -> None:
    line = next(number for number, line in enumerate(text.split("\n"), 1) if "@" in line)
    found = problems_of(text.replace("@", written))
    wanted = "error: the character U+0000 cannot stand in a text of a pipeline file; leave it out"
    assert any(each.startswith(f"{line}:") and wanted in each for each in found), found


BREAKS = ["\\n", "\\r", "\\t", "\\e", "\\x7f", "\\N", "\\L", "\\P", "\\a"]


@pytest.mark.parametrize("written", BREAKS)
@pytest.mark.parametrize(
    "text",
    [
        'steps: [{name: "a@b", image: i, commands: x}]', 'steps: [{name: "@", image: i}]',
        'steps: {"a@b": {image: i}}', 'steps: [{name: "a@b", build: .}]',
        'clone: [{name: "a@b", image: i}]\nsteps: [{image: x}]',
        'steps: [{name: "a@b", push: {repo: a/b}}, {name: c, build: .}]',
        'steps: [{name: "a@b", image: woodpeckerci/plugin-docker-buildx, settings: {repo: a/b}}]',
        'steps: [{name: "a@b", image: i, when: {branch: other}}]',
    ],
)  # fmt: skip
def test_the_name_of_a_step_is_one_line(text: str, written: str) -> None:
    found = problems_of(text.replace("@", written))
    assert any("error: the name of this step has a line break or a control character" in each for each in found), found
    assert all(each.isprintable() for each in found)


@pytest.mark.parametrize("written", BREAKS)
def test_the_name_of_a_service_is_one_word(written: str) -> None:
    found = problems_of(f'services: [{{name: "d{written}", image: i}}]\nsteps:\n{STEP}')
    assert any("a service cannot be named" in each for each in found), found
    assert all(each.isprintable() for each in found)


@pytest.mark.parametrize("name", ["a\nb", "a\x1b[2J", "a\u2028b", "\n"])
def test_the_name_of_a_workflow_is_one_line(name: str) -> None:
    found = problems_of(f"steps:\n{STEP}", path=f".headway/{name}.yaml")
    assert "the name of this file has a line break or a control character" in found[0]
    assert found[0].isprintable()


def test_a_usual_name_may_have_any_letters() -> None:
    text = 'steps: [{name: "Prüfung: läuft 🎉 (1/2)", image: i, commands: "a\\tb"}]'
    assert plan_of_files({".headway/ä b.yaml": text}).jobs[0].steps[0].name == "Prüfung: läuft 🎉 (1/2)"


def test_a_problem_is_one_line_whatever_the_name_of_its_file() -> None:
    assert str(Problem("a\nb", 1, 2, "wrong")) == "a\\x0ab:1:2: error: wrong"
