"""The README and the pipelines of this repository are right."""

import re
from pathlib import Path

import pytest

from pipelines.compiler.pipeline import compile_pipeline
from pipelines.context import Context, PipelineFile, RepoInfo
from pipelines.linter.linter import lint_files
from pipelines.parser.fragment_addresses import Address
from pipelines.parser.fragments import Fragment
from pipelines.trigger import Event, Trigger
from tests.support.documents import PAGES, blocks_of, name_of, prose_of, text_of
from tests.support.paths import ROOT

CONTEXT = Context(RepoInfo(name="team/app", clone_url="https://git.example.com/team/app"))
TRIGGER = Trigger(event=Event.PUSH, sha="a" * 40, ref="refs/heads/main", branch="main")


def compiled(text: str) -> list[str]:
    """The names of a pipeline's steps. Warnings count as mistakes here."""
    plan = compile_pipeline([PipelineFile(".headway.yml", text.encode())], TRIGGER, CONTEXT)
    assert not plan.warnings
    return [step.name for job in plan.jobs for step in job.steps]


def test_the_example_of_the_readme_is_a_pipeline() -> None:
    (example,) = [block for block in blocks_of(ROOT / "README.md") if block.label == "yaml"]
    assert compiled(example.text) == ["build", "unit tests", "integration", "push"]


@pytest.mark.parametrize("path", [".headway.yml", "examples/shortlink/.headway.yml"])
def test_the_pipelines_of_this_repository_are_right(path: str) -> None:
    assert compiled((ROOT / path).read_text())


@pytest.mark.parametrize("name", ["go", "node", "python"])
def test_lint_finds_nothing_to_say_of_an_example(name: str) -> None:
    compose = "docker-compose.test.yml"
    files = [PipelineFile(".headway.yml", (ROOT / "examples" / name / ".headway.yml").read_bytes())]
    fragments = {Address(compose): Fragment((ROOT / "examples" / name / compose).read_bytes())}
    assert lint_files(files, fragments=fragments) == []


def make_targets_of(page: Path) -> set[str]:
    """The targets that a page names, in blocks of commands and between backticks."""
    commands = "\n".join(block.text for block in blocks_of(page) if not block.label)
    inline = re.findall(r"`([A-Z_]+=\S+ )*make ([a-z-]+)[^`]*`", prose_of(page))
    return set(re.findall(r"\bmake ([a-z-]+)", commands)) | {target for _, target in inline}


def test_the_readme_names_the_two_commands() -> None:
    assert {"demo", "test"} <= make_targets_of(ROOT / "README.md")


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_target_of_make_that_a_page_names_exists(page: Path) -> None:
    targets = set(re.findall(r"^([a-z-]+):", text_of(ROOT / "Makefile"), re.MULTILINE))
    assert make_targets_of(page) - targets == set()
