"""The folder ``tests/mistakes``: invalid files, each with its expected problems, the same in lint and in a run."""

from pathlib import Path

import pytest

from pipelines.compiler.pipeline import compile_pipeline
from pipelines.context import PipelineFile
from pipelines.linter.linter import ANY_REPO, lint_files
from pipelines.linter.sample_triggers import push_to_default_branch
from pipelines.problem import InvalidPipelineError, Level, Problem
from tests.support.paths import MISTAKES

FILES = sorted(MISTAKES.glob("*.yml"))


def pipeline_file(file: Path) -> PipelineFile:
    """``key.headway.yml`` stands for a ``.headway.yml``."""
    return PipelineFile("." + file.name.split(".", 1)[1], file.read_bytes())


def expected(file: Path) -> list[str]:
    return file.with_suffix(".txt").read_text(encoding="utf-8").splitlines()


def problems_of_a_run(file: Path) -> tuple[Problem, ...]:
    try:
        return compile_pipeline([pipeline_file(file)], push_to_default_branch("main"), ANY_REPO).warnings
    except InvalidPipelineError as error:
        return error.problems


def test_every_expected_text_belongs_to_a_file() -> None:
    assert len(FILES) >= 60
    texts = {file.stem for file in (FILES[0].parent).glob("*.txt")}
    assert texts == {file.stem for file in FILES}


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_lint_says_what_is_expected(file: Path) -> None:
    assert [str(problem) for problem in lint_files([pipeline_file(file)])] == expected(file)


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_run_says_the_same_as_lint(file: Path) -> None:
    told = [str(problem) for problem in problems_of_a_run(file)]
    errors = [line for line in expected(file) if f": {Level.ERROR}: " in line]
    assert [line for line in told if f": {Level.ERROR}: " in line] == errors
    assert set(told) <= set(expected(file))
    assert not any(f": {Level.HINT}: " in line for line in told)


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_every_mistake_has_a_place_and_a_remedy(file: Path) -> None:
    problems = lint_files([pipeline_file(file)])
    assert problems
    assert [problem for problem in problems if not problem.hint] == []
