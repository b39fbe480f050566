"""The documentation says what the code does."""

import re

import pytest

from pipelines.compiler.pipeline import compile_pipeline
from pipelines.context import Context, PipelineFile, RepoInfo
from pipelines.trigger import Event, Trigger
from runner.cli.main import STARTER
from scripts.settings_page import page
from tests.support.paths import ROOT

CONTEXT = Context(RepoInfo(name="team/app", clone_url="https://git.example.com/team/app"))
TRIGGER = Trigger(event=Event.PUSH, sha="a" * 40, ref="refs/heads/main", branch="main")
README_EXAMPLES = re.findall(r"^```yaml\n(.*?)^```", (ROOT / "README.md").read_text(), re.MULTILINE | re.DOTALL)


def compiled(text: str) -> list[str]:
    """The names of a pipeline's steps. Warnings count as mistakes here."""
    plan = compile_pipeline([PipelineFile(".headway.yml", text.encode())], TRIGGER, CONTEXT)
    assert not plan.warnings
    return [step.name for job in plan.jobs for step in job.steps]


def test_the_settings_page_is_made_from_the_settings() -> None:
    assert (ROOT / "docs" / "running" / "settings.md").read_text() == page(), "run `make docs`"


def test_the_readme_has_an_example() -> None:
    assert README_EXAMPLES


@pytest.mark.parametrize("text", README_EXAMPLES)
def test_the_examples_of_the_readme_are_pipelines(text: str) -> None:
    assert compiled(text) == ["build", "unit tests", "integration", "push"]


@pytest.mark.parametrize("path", [".headway.yml", "examples/shortlink/.headway.yml"])
def test_the_pipelines_of_this_repository_are_right(path: str) -> None:
    assert compiled((ROOT / path).read_text())


def test_the_pipeline_that_init_writes_is_right() -> None:
    assert compiled(STARTER) == ["build", "test"]


def test_the_readme_names_the_two_commands_and_only_targets_that_there_are() -> None:
    readme, makefile = (ROOT / "README.md").read_text(), (ROOT / "Makefile").read_text()
    named = set(re.findall(r"\bmake ([a-z-]+)", readme))
    assert {"demo", "test"} <= named
    assert named <= set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE))


def test_every_link_between_documents_leads_somewhere() -> None:
    pages = [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("examples/*/*.md")]
    assert len(pages) > 8
    for document in pages:
        for target in re.findall(r"\]\((?!https?:)([^)#]+)", document.read_text()):
            assert (document.parent / target).exists(), f"{document.name}: {target}"
