"""What a shell completes of ``headway run``: names of the pipeline in the folder, and none that could be a command."""

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from runner.cli import completion
from runner.cli.completed_names import NAMES_COUNT_MAX
from tests.runner.reuse.test_working_files import Folder

STEP = "image: i, commands: [a]"
FILE = f"""\
matrix: {{GO: ['1.25', '1.26']}}
steps:
  - {{name: unit, {STEP}}}
  - {{name: "unit $(reboot)", {STEP}}}
  - {{name: "`reboot`;", {STEP}}}
  - {{name: ship, {STEP}, when: {{event: tag}}}}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    (tmp_path / "tree").mkdir()
    folder = Folder(tmp_path / "tree")
    folder.write(".headway/test.yml", FILE)
    folder.write(".headway/lint.yml", f"steps: [{{name: lint, {STEP}}}]")
    folder.commit()
    return folder


def context(folder: Folder, **params: object) -> Any:
    return SimpleNamespace(params={"folder": folder.path, **params})


def test_names_are_those_that_would_run_and_that_are_no_command_in_a_shell(folder: Folder) -> None:
    assert completion.steps(context(folder), "") == ["lint", "unit"]
    assert completion.steps(context(folder, tag="v1"), "") == ["lint", "unit", "ship"]
    assert completion.steps(context(folder), "u") == ["unit"]
    assert completion.workflows(context(folder), "t") == ["test"]
    assert completion.cells(context(folder), "GO=") == ["GO=1.25", "GO=1.26"]
    assert completion.events("pu") == ["push", "pull_request", "pull_request_closed", "pull_request_metadata"]


def test_branches_and_tags_are_those_of_the_repository(folder: Folder) -> None:
    for command in (["branch", "topic/a"], ["branch", "odd$b"], ["tag", "v1.9"], ["tag", "v1.10"]):
        folder.git(*command)
    assert completion.branches(context(folder), "top") == ["topic/a"]
    assert completion.branches(context(folder), "odd") == []
    assert completion.tags(context(folder), "v") == ["v1.10", "v1.9"]


@pytest.mark.parametrize(
    "text",
    ["steps: [", "steps: [{include: a.yml, repo: https://other.example/a.git}]"],
    ids=["errors", "another repository"],
)
def test_without_a_plan_there_are_no_names(folder: Folder, text: str) -> None:
    folder.write(".headway/lint.yml", text)
    assert completion.steps(context(folder), "") == []
    assert completion.workflows(context(folder), "") == []
    assert completion.cells(context(folder), "") == []


def test_a_folder_that_is_not_there_has_no_names(tmp_path: Path) -> None:
    nowhere = SimpleNamespace(params={"folder": tmp_path / "gone"})
    given: Any = nowhere
    assert completion.steps(given, "") == []
    assert completion.branches(given, "") == []
    assert completion.tags(SimpleNamespace(params={"folder": tmp_path}), "") == []  # type: ignore[arg-type]


@pytest.mark.parametrize("over", [0, 1])
def test_so_many_names_are_completed_and_no_more(folder: Folder, over: int) -> None:
    (head,) = (folder.path / ".git/refs/heads").iterdir()
    for number in range(NAMES_COUNT_MAX + over):
        (folder.path / ".git/refs/tags" / f"t{number}").write_text(head.read_text())
    assert len(completion.tags(context(folder), "t")) == NAMES_COUNT_MAX


@pytest.mark.slow
@pytest.mark.parametrize(
    ("shell", "variables", "said"),
    [
        ("bash", {"COMP_WORDS": "headway run --step u", "COMP_CWORD": "3"}, "unit"),
        ("zsh", {"_TYPER_COMPLETE_ARGS": "headway run --from u"}, "_arguments '*: :((\"unit\"))'"),
        ("fish", {"_TYPER_COMPLETE_ARGS": "headway run --step u", "_TYPER_COMPLETE_FISH_ACTION": "get-args"}, "unit"),
    ],
)
def test_each_shell_gets_the_names_without_what_the_server_is_made_of(
    folder: Folder, shell: str, variables: Mapping[str, str], said: str
) -> None:
    program = "import sys; from runner.cli.start import main; sys.argv = ['headway']; main()"
    env = {"PATH": os.environ["PATH"], "_HEADWAY_COMPLETE": f"complete_{shell}", **variables}
    command = [sys.executable, "-X", "importtime", "-c", program]
    done = subprocess.run(command, cwd=folder.path, env=env, capture_output=True, text=True, check=False, timeout=100)
    assert done.stdout.strip() == said
    loaded = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert "runner.cli.completion" in loaded
    assert not loaded & {"sqlalchemy", "celery", "fastapi"}
