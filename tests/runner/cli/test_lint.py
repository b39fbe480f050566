"""``headway lint``: arguments, formats and exit statuses."""

import io
import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from pipelines.problem import Level, Problem
from runner.cli.lint import LintOptions, lint, plain_options
from runner.cli.lint_formats import render, rule_of
from runner.cli.main import app
from tests.support.paths import ROOT

GOOD = "steps: [{name: s, image: 'i:1', commands: x}]\n"
UNREAD = "this file is ignored, because .headway/a.yml exists"
WRONG = "steps:\n  - name: test\n    image: i:1\n    comands: [x]\n"


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def run(*paths: Path, out: io.StringIO | None = None, **options: Any) -> tuple[int, str, str]:
    out, err = out or io.StringIO(), io.StringIO()
    code = lint(LintOptions(tuple(paths), **options), out, err)
    return code, out.getvalue(), err.getvalue()


def write(folder: Path, **files: str) -> Path:
    for name, text in files.items():
        path = folder / name.replace("__", "/").replace("_", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return folder


def test_a_clean_folder_is_0(tmp_path: Path) -> None:
    assert run(write(tmp_path, _headway_yml=GOOD)) == (0, "", "no problems in 1 file\n")


def test_a_wrong_file_is_1_and_is_shown_with_an_excerpt_and_a_caret(tmp_path: Path) -> None:
    code, out, err = run(write(tmp_path, _headway_yml=WRONG))
    file = f"{tmp_path}/.headway.yml"
    assert (code, err) == (1, "1 error in 1 file\n")
    assert out.splitlines() == [
        f"{file}:4:5: error: unknown key 'comands' in step 'test'; did you mean 'commands'?",
        "  4 |     comands: [x]",
        "    |     ^^^^^^^",
    ]


def test_in_the_folder_itself_files_have_their_own_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(write(tmp_path, _headway_yml=WRONG))
    assert run()[1].startswith(".headway.yml:4:5: error: ")


@pytest.mark.parametrize("strict", [False, True])
def test_warnings_count_only_when_strict(tmp_path: Path, strict: bool) -> None:
    code, out, _ = run(write(tmp_path, _headway_yml=f"labels: {{a: ''}}\n{GOOD}"), strict=strict)
    assert code == strict
    assert ": warning: the label 'a'" in out


def test_hints_never_count(tmp_path: Path) -> None:
    code, out, err = run(write(tmp_path, _headway_yml="steps: [{image: i, commands: x}]"), strict=True)
    assert (code, ": hint: " in out, err) == (0, True, "1 hint in 1 file\n")


def test_what_cannot_be_looked_at_is_2(tmp_path: Path) -> None:
    code, out, err = run(tmp_path / "nothing")
    assert (code, out, err) == (2, "", f"headway: {tmp_path}/nothing does not exist\n")
    code, _, err = run(tmp_path)
    assert (code, "has no pipeline file and no Dockerfile" in err) == (2, True)
    code, _, err = run(write(tmp_path, _headway_yml=GOOD), format="xml")
    assert (code, err) == (2, "headway: there is no format 'xml'; the formats are text, json, github, sarif\n")


@pytest.mark.parametrize("name", ["compose.yaml", "docker-compose.yml", "docker-compose.test.yml"])
def test_a_compose_file_is_named_with_the_step_that_runs_it(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_text("services: {db: {image: 'postgres:17'}}\n")
    code, out, _ = run(path)
    assert code == 1
    assert out.splitlines()[0].endswith(
        f":1:1: error: this is a Compose file, not a pipeline file; a step runs it: compose: {name}"
    )


@pytest.mark.parametrize("name", ["composed.yml", ".woodpecker/compose.yml", "my-cloudbuild.yml"])
def test_a_pipeline_file_with_a_similar_name_is_read(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(GOOD)
    assert run(path)[0] == 0


@pytest.mark.parametrize(
    ("name", "text", "system"),
    [
        (".github/workflows/ci.yml", "on: push\njobs: {}\n", "GitHub Actions"),
        (".gitea/workflows/ci.yaml", "on: push\n", "GitHub Actions"),
        (".gitlab-ci.yml", "test: {script: x}\n", "GitLab CI"),
        (".circleci/config.yml", "version: 2\n", "CircleCI"),
        ("Jenkinsfile", "pipeline { agent any }\n", "Jenkins"),
        ("appveyor.yml", "build: off\n", "AppVeyor"),
        ("cloudbuild.yaml", "steps: [{name: gcr.io/cloud-builders/docker, args: [build]}]\n", "Google Cloud Build"),
        (".tekton/push.yaml", "spec: {}\n", "Tekton"),
        ("task.yaml", "apiVersion: tekton.dev/v1\nkind: Task\nspec: {steps: []}\n", "Kubernetes or Tekton"),
        ("copied.yml", "name: x\non:\n  push:\njobs:\n  a: {}\n", "GitHub Actions"),
        ("copied.yml", "stages: [a]\na: {script: x}\n", "GitLab CI"),
    ],
)
def test_a_file_of_another_system_is_one_error_that_names_it(tmp_path: Path, name: str, text: str, system: str) -> None:
    path = tmp_path / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    code, out, err = run(path)
    assert code == 1
    assert out.splitlines()[0].startswith(
        f"{path}:1:1: error: this is a file of {system}, which Headway does not run; "
    )
    assert err == "1 error in 1 file\n"


def test_a_file_of_any_other_name_is_a_pipeline_file(tmp_path: Path) -> None:
    (tmp_path / "mine.yml").write_text(GOOD)
    assert run(tmp_path / "mine.yml")[0] == 0


def test_a_dockerfile_alone_has_no_problems(tmp_path: Path) -> None:
    assert run(write(tmp_path, Dockerfile="FROM scratch"))[0] == 0


def test_single_files_are_looked_at_with_the_rules_of_their_place(tmp_path: Path) -> None:
    write(tmp_path, _headway_yml=WRONG, _woodpecker_yml=WRONG)
    assert run(tmp_path / ".headway.yml")[0] == 1
    code, out, _ = run(tmp_path / ".woodpecker.yml")
    assert (code, ": warning: unknown key" in out) == (0, True)


def test_a_single_file_may_depend_on_workflows_beside_it(tmp_path: Path) -> None:
    write(tmp_path, _headway__a_yml=GOOD, _headway__b_yml=f"depends_on: [a]\n{GOOD}")
    assert run(tmp_path / ".headway" / "b.yml") == (0, "", "no problems in 1 file\n")


def test_several_folders_and_files_at_once(tmp_path: Path) -> None:
    write(tmp_path, one___headway_yml=WRONG, two___headway_yml=WRONG)
    code, out, err = run(tmp_path / "one", tmp_path / "two" / ".headway.yml")
    assert (code, err) == (1, "2 errors in 2 files\n")
    assert re.findall(r"(one|two)/\.headway\.yml:4:5: error", out) == ["one", "two"]


def test_files_that_are_not_read_are_told(tmp_path: Path) -> None:
    write(tmp_path, _headway__a_yml=GOOD, _headway_yml=GOOD, _woodpecker_yml=GOOD)
    code, out, _ = run(tmp_path)
    assert code == 0
    assert [line.removeprefix(f"{tmp_path}/") for line in out.splitlines()] == [
        f".headway.yml:1:1: warning: {UNREAD}; keep one of them",
        f".woodpecker.yml:1:1: hint: {UNREAD}; remove it when the migration is done",
    ]


def test_json(tmp_path: Path) -> None:
    code, out, err = run(write(tmp_path, _headway_yml=WRONG), format="json")
    found = json.loads(out)
    assert (code, err) == (1, "")
    assert (found["errors"], found["warnings"], found["hints"]) == (1, 0, 0)
    file = f"{tmp_path}/.headway.yml"
    assert found["files"] == [file]
    assert found["problems"] == [
        {
            "file": file,
            "line": 4,
            "column": 5,
            "level": "error",
            "message": "unknown key 'comands' in step 'test'",
            "hint": "did you mean 'commands'?",
            "text": f"{file}:4:5: error: unknown key 'comands' in step 'test'; did you mean 'commands'?",
        }
    ]


def test_json_and_sarif_of_nothing_are_still_documents(tmp_path: Path) -> None:
    write(tmp_path, _headway_yml=GOOD)
    assert json.loads(run(tmp_path, format="json")[1])["problems"] == []
    assert json.loads(run(tmp_path, format="sarif")[1])["runs"][0]["results"] == []
    assert run(tmp_path, format="github")[1] == ""


PROBLEM = Problem("a b:c.yml", 4, 5, "100% wrong, 'x' is\nhere", "do that", Level.WARNING)


def test_github() -> None:
    assert render("github", [PROBLEM], {}) == (
        "::warning file=a b%3Ac.yml,line=4,col=5::100%25 wrong, 'x' is%0Ahere; do that\n"
    )
    whole = Problem("a.yml", 0, 0, "too long", level=Level.HINT)
    assert render("github", [whole], {}) == "::notice file=a.yml::too long\n"


def test_sarif() -> None:
    document = json.loads(render("sarif", [PROBLEM, Problem("a.yml", 0, 0, "too long")], {}))
    assert document["version"] == "2.1.0"
    (run_,) = document["runs"]
    first, second = run_["results"]
    assert first["level"] == "warning"
    assert first["message"]["text"] == "100% wrong, 'x' is\nhere; do that"
    place = first["locations"][0]["physicalLocation"]
    assert place["artifactLocation"]["uri"] == "a%20b%3Ac.yml"
    assert place["region"] == {"startLine": 4, "startColumn": 5}
    assert "region" not in second["locations"][0]["physicalLocation"]
    assert run_["tool"]["driver"]["rules"][first["ruleIndex"]]["id"] == first["ruleId"]


def test_a_rule_is_named_after_what_is_wrong_and_not_after_who() -> None:
    one = Problem("a", 1, 1, "unknown key 'comands' in step 'test'")
    other = Problem("a", 2, 1, "unknown key 'imge' in step 'build'")
    assert rule_of(one) == rule_of(other) == "unknown-key-in-step"
    assert rule_of(Problem("a", 1, 1, "'timeout': a time is wanted here, not '90'")) == "a-time-is-wanted-here-not"
    assert rule_of(Problem("a", 1, 1, "'x'", level=Level.HINT)) == "hint"


def excerpt(text: bytes, line: int, column: int) -> list[str]:
    problem = Problem("a.yml", line, column, "wrong")
    return render("text", [problem], {"a.yml": text}).splitlines()[1:]


@pytest.mark.parametrize(
    ("text", "place", "shown"),
    [
        (b"a: ${NAME}-x\n", (1, 4), ["  1 | a: ${NAME}-x", "    |    ^^^^^^^"]),
        (b"\ta: b\r\n", (1, 2), ["  1 |  a: b", "    |  ^"]),
        ("日本: x".encode(), (1, 5), ["  1 | 日本: x", "    |       ^"]),
        (b"a: \x1b[31m\xff", (1, 4), ["  1 | a: �[31m�", "    |    ^"]),
        (b"a\n", (1, 9), ["  1 | a", "    |  ^"]),
        (b"a\n", (7, 1), []),
        (b"a\n", (0, 0), []),
    ],
)
def test_the_caret_stands_under_the_place(text: bytes, place: tuple[int, int], shown: list[str]) -> None:
    assert excerpt(text, *place) == shown


def test_of_a_very_long_line_the_part_around_the_place_is_shown() -> None:
    source, caret = excerpt(b"x" * 5000 + b" here " + b"y" * 5000, 1, 5002)
    assert len(source) < 140
    assert source.index("here") == caret.index("^")
    assert source.startswith("  1 | …")
    assert source.endswith("…")


def test_nothing_in_a_file_can_steer_the_terminal() -> None:
    out = render("text", [Problem("a.yml", 1, 1, "unknown key '\x1b[2J\u202e'")], {})
    assert out == "a.yml:1:1: error: unknown key '\\x1b[2J\\u202e'\n"


def test_a_terminal_gets_colours_unless_they_are_not_wanted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, _headway_yml=WRONG)
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert "\x1b[31;1merror:\x1b[0m" in run(tmp_path, out=Terminal())[1]
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b" not in run(tmp_path, out=Terminal())[1]


@pytest.mark.parametrize(
    ("arguments", "options"),
    [
        ([], LintOptions()),
        (["a", "b"], LintOptions((Path("a"), Path("b")))),
        (["--strict", "--format", "json", "a"], LintOptions((Path("a"),), "json", strict=True)),
        (["--format=sarif"], LintOptions((), "sarif")),
        (["--format"], LintOptions((), "")),
        (["--help"], None),
        (["--unknown", "a"], None),
    ],
)
def test_plain_arguments_are_read_without_the_command_lines_library(
    arguments: list[str], options: LintOptions | None
) -> None:
    assert plain_options(arguments) == options


def test_the_verb_takes_the_same_arguments(tmp_path: Path) -> None:
    write(tmp_path, _headway_yml=WRONG)
    result = CliRunner().invoke(app, ["lint", "--format", "github", "--strict", str(tmp_path)])
    assert result.exit_code == 1
    assert result.stdout.startswith("::error file=")


@pytest.mark.slow
def test_the_command_loads_nothing_that_it_does_not_need(tmp_path: Path) -> None:
    write(tmp_path, _headway_yml=GOOD)
    program = (
        "import sys; from runner.cli.start import run_fast_command\n"
        f"assert run_fast_command(['lint', {str(tmp_path)!r}]) == 0\n"
        "print(sorted({'docker', 'git', 'rich', 'typer', 'web', 'sqlalchemy'} & set(sys.modules)))"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, env=environment)
    assert done.stdout == "[]\n"


@pytest.mark.slow
def test_a_file_of_gigabytes_is_told_of_and_not_read(tmp_path: Path) -> None:
    with (tmp_path / ".headway.yml").open("wb") as file:
        file.truncate(2 * 1024**3)
    lint_it = shlex.join([str(Path(sys.executable).with_name("headway")), "lint", str(tmp_path)])
    limited = ["sh", "-c", f"ulimit -v 1000000; exec {lint_it}"]
    done = subprocess.run(limited, capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stderr
    assert "has more than the 524,288 bytes of a pipeline file" in done.stdout


def test_a_problem_of_a_fragment_has_its_excerpt_and_names_the_include(tmp_path: Path) -> None:
    main = "steps:\n  - include: ci/test.yml\n"
    folder = write(tmp_path, _headway_yml=main, ci__test_yml=WRONG)
    code, out, err = run(folder)
    assert (code, err) == (1, "1 error in 2 files\n")
    problem = "error: unknown key 'comands' in step 'test' (included at .headway.yml:2:14)"
    assert out.splitlines() == [
        f"{tmp_path}/ci/test.yml:4:5: {problem}; did you mean 'commands'?",
        "  4 |     comands: [x]",
        "    |     ^^^^^^^",
    ]


def test_a_fragment_is_found_from_a_file_in_the_pipeline_folder_too(tmp_path: Path) -> None:
    main = "steps:\n  - include: ci/test.yml\n"
    folder = write(tmp_path, _headway__a_yml=main, ci__test_yml=GOOD)
    assert run(folder / ".headway" / "a.yml") == (0, "", "no problems in 2 files\n")


def test_a_fragment_that_is_not_there(tmp_path: Path) -> None:
    code, out, _ = run(write(tmp_path, _headway_yml="steps:\n  - include: ci/test.yml\n"))
    assert code == 1
    assert "2:14: error: the fragment cannot be read: ci/test.yml is not a file; look at the path" in out
