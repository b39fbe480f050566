"""Every example pipeline in the documents compiles, and the tables of docs/using/pipelines.md are complete."""

import re
import tomllib

import pytest
from pydantic import BaseModel

from pipelines.compiler.pipeline import compile_pipeline
from pipelines.compose.keys import (
    IGNORED_KEYS,
    IGNORED_TOP_KEYS,
    READ_KEYS,
    REFUSED_KEYS,
    REFUSED_TOP_KEYS,
    TOP_KEYS,
)
from pipelines.compose.project import SERVICES_COUNT_MAX
from pipelines.context import PipelineFile
from pipelines.environment.variables import AT_RUN_TIME, run_variables
from pipelines.linter.linter import lint_files
from pipelines.matching.expressions import _COMPARISONS, _FUNCTIONS
from pipelines.model.conditions import Condition
from pipelines.model.workflow import Build, BuildStep, CommandsStep, Push, ReadyCheck, Service, Workflow
from pipelines.parser.compose_steps import COMPOSE_STEPS_COUNT_MAX
from pipelines.parser.fragment_addresses import Address
from pipelines.parser.fragments import Fragment
from pipelines.plan import BuildStep as BuildPlan
from pipelines.plan import CommandsStep as CommandsPlan
from pipelines.plan import PushStep as PushPlan
from pipelines.problem import Level
from pipelines.trigger import Event, Trigger
from tests.support.documents import PAGES, Block, blocks_of, name_of, text_of
from tests.support.imports import Import
from tests.support.paths import DOCS
from tests.support.pipelines import (
    CONTEXT,
    TRUSTED,
    event,
    job_of,
    plan_of,
    plan_of_files,
    problems_of,
    pull_request,
    push,
    tag,
)

LANGUAGE, COMING = DOCS / "using" / "pipelines.md", DOCS / "using" / "coming-from.md"
TEXT = text_of(LANGUAGE)
BLOCKS = [block for page in PAGES for block in blocks_of(page)]
GOOD = [block.text for block in BLOCKS if block.label == "yaml"]
WOODPECKER = [block.text for block in BLOCKS if block.label == "yaml woodpecker"]
ELSEWHERE = [block.text for block in BLOCKS if block.label in {"yaml drone", "yaml gitlab", "yaml github"}]
SEVERAL = re.findall(r"```yaml\n((?:(?!```).)*)```\n\n```yaml several\n(.*?)```", TEXT, re.DOTALL)
WRONG = re.findall(r"```yaml error\n(.*?)```\n\n```text\n(.*?)```", TEXT, re.DOTALL)
LABELS = {"", "yaml", "json", "dockerfile", "ini", "text", "text plan", "text caddy", "text nginx", "yaml compose"}
LABELS |= {"toml", "lua", "elisp"}  # of editors
LABELS |= {
    f"yaml {kind}"
    for kind in (
        "error",
        "several",
        "includes",
        "fragment",
        "woodpecker",
        "drone",
        "gitlab",
        "github",
        "github-becomes",
        "prometheus",
    )
} | {"yaml project", "yaml project-file", "yaml project-part"}


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: f"{name_of(block.page)} {block.label}")
def test_a_block_says_what_it_is_so_that_it_is_tested(block: Block) -> None:
    assert block.label in LABELS
    assert block.label or not re.match(r"(steps|when|services|matrix):", block.text), (
        "the fence of a pipeline says yaml"
    )


@pytest.mark.parametrize(
    "block", [block for block in BLOCKS if block.label == "toml"], ids=lambda block: block.page.name
)
def test_a_block_of_toml_is_some(block: Block) -> None:
    assert tomllib.loads(block.text) != {}


def test_the_pages_have_examples() -> None:
    assert len(GOOD) > 20
    assert (len(WRONG), len(SEVERAL), len(WOODPECKER), len(ELSEWHERE)) == (1, 1, 1, 3)


@pytest.mark.parametrize("example", GOOD)
def test_an_example_has_no_errors_and_no_warnings(example: str) -> None:
    problems = lint_files([PipelineFile(".headway.yml", example.encode())])
    assert [str(problem) for problem in problems if problem.level is not Level.HINT] == []


@pytest.mark.parametrize(("first", "second"), SEVERAL)
def test_examples_of_several_files_are_one_pipeline(first: str, second: str) -> None:
    files = {text.split()[1]: text for text in (first, second)}  # each begins with `# its name`
    plan = plan_of_files(files)
    assert [(job.name, job.needs) for job in plan.jobs] == [("deploy", ("test",)), ("test", ()), ("test", ())]
    assert plan.warnings == ()


def test_the_example_of_a_fragment_is_one_pipeline() -> None:
    (main,) = (block.text for block in BLOCKS if block.label == "yaml includes")
    (fragment,) = (block.text for block in BLOCKS if block.label == "yaml fragment")
    files, read = (
        [PipelineFile(".headway.yml", main.encode())],
        {Address(fragment.split()[1]): Fragment(fragment.encode())},
    )
    assert [each for each in lint_files(files, fragments=read) if each.level is not Level.HINT] == []
    plan = compile_pipeline(files, push(), TRUSTED, read)
    assert [[step.name for step in job.steps] for job in plan.jobs] == [["lint", "test", "done"]] * 2


def test_the_example_of_a_compose_step_is_what_the_page_says() -> None:
    (main,) = (block.text for block in BLOCKS if block.label == "yaml project")
    (file,) = (block.text for block in BLOCKS if block.label == "yaml project-file")
    read = {Address(file.split()[1]): Fragment(file.encode())}
    for text in (main, *(block.text for block in BLOCKS if block.label == "yaml project-part")):
        files = [PipelineFile(".headway.yml", text.encode())]
        assert [each for each in lint_files(files, fragments=read) if each.level is Level.ERROR] == []
    (job,) = compile_pipeline([PipelineFile(".headway.yml", main.encode())], push(), TRUSTED, read).jobs
    assert [step.name for step in job.steps] == ["app", "integration/db", "integration/app", "integration"]


def test_the_page_about_compose_lists_every_key() -> None:
    page = text_of(DOCS / "using" / "compose.md")
    rows = {row.split("|")[1].strip(): row for row in page.splitlines() if row.count("|") == 5}
    read, ignored, refused = (
        set(re.findall(r"`([a-z_]+)(?:: 1)?`", cell)) for cell in rows["a service"].split("|")[2:5]
    )
    inner = {"missing", "always", "aliases", "replicas"}
    assert read - inner == set(READ_KEYS)
    assert ignored == set(IGNORED_KEYS)
    assert refused == set(REFUSED_KEYS)
    top = [set(re.findall(r"`([a-z_]+)`", cell)) for cell in rows["the file"].split("|")[2:5]]
    assert top == [set(TOP_KEYS), set(IGNORED_TOP_KEYS), set(REFUSED_TOP_KEYS)]
    for text in (f"up to {SERVICES_COUNT_MAX} services", f"up to {COMPOSE_STEPS_COUNT_MAX} Compose steps"):
        assert text in page


@pytest.mark.parametrize("example", WOODPECKER)
def test_a_file_of_woodpecker_runs_as_it_is(example: str) -> None:
    assert problems_of(example, tag(), CONTEXT, ".woodpecker.yaml") == []
    assert [type(step) for step in job_of(example, tag()).steps] == [CommandsPlan, BuildPlan, PushPlan]


BECOMES = re.findall(r"```yaml (drone|gitlab)\n(.*?)```\n\nbecomes\n\n```yaml\n(.*?)```", text_of(COMING), re.DOTALL)


def test_an_import_of_each_system_is_shown() -> None:
    assert [system for system, _, _ in BECOMES] == ["drone", "gitlab"]


@pytest.mark.parametrize(("system", "before", "after"), BECOMES)
def test_an_example_of_another_system_becomes_what_the_page_shows(system: str, before: str, after: str) -> None:
    found = Import(system, before)
    assert list(found.texts.values()) == [after]
    assert not found.imported.failed


def test_an_example_of_github_actions_becomes_the_files_that_the_page_shows() -> None:
    (before,) = (block.text for block in BLOCKS if block.label == "yaml github")
    found = Import("github", before)
    assert list(found.texts.values()) == [block.text for block in BLOCKS if block.label == "yaml github-becomes"]
    assert not found.imported.failed


@pytest.mark.parametrize("example", ELSEWHERE)
def test_files_of_other_systems_get_problems_that_help(example: str) -> None:
    problems = problems_of(example)
    assert problems
    assert all("; " in problem for problem in problems)


def test_every_variable_and_event_that_the_page_of_differences_names_is_one() -> None:
    ours = {
        name
        for row in re.findall(r"^\| `\w+` \| (.*) \|$", text_of(COMING), re.MULTILINE)
        for name in re.findall(r"CI_\w+", row)
    }
    assert len(ours) > 10
    assert ours - set(run_variables(push(), CONTEXT)) - AT_RUN_TIME == set()
    assert set(re.findall(r"event: (\w+)`", text_of(COMING))) <= set(Event)


@pytest.mark.parametrize("example", GOOD)
@pytest.mark.parametrize("trigger", [push(), tag(), pull_request(), event("manual")])
def test_every_example_compiles_without_a_warning(example: str, trigger: Trigger) -> None:
    assert problems_of(example, trigger, TRUSTED) == []


@pytest.mark.parametrize("example", GOOD)
def test_every_example_does_something_for_a_push(example: str) -> None:
    assert plan_of(example, push()).jobs or "evaluate" in example


@pytest.mark.parametrize(("example", "expected"), WRONG)
def test_every_mistake_is_reported_as_the_page_says(example: str, expected: str) -> None:
    assert [f".headway.yml:{problem}" for problem in problems_of(example)] == expected.splitlines()


@pytest.mark.parametrize("model", [Workflow, CommandsStep, BuildStep, Build, Push, Service, Condition, ReadyCheck])
def test_every_key_is_named(model: type[BaseModel]) -> None:
    said_elsewhere = {"schema_", "runs_on", "group", "ports", "name"}
    missing = {
        name for name in set(model.model_fields) - said_elsewhere if f"`{name}`" not in TEXT and f"{name}:" not in TEXT
    }
    assert missing == set()


def test_every_event_variable_comparison_and_function_is_named() -> None:
    rarely: tuple[str, ...] = ("CI_PREV_", "CI_REPO_TRUSTED", "CI_REPO_REMOTE_ID", "CI_COMMIT_AUTHOR_AVATAR")
    rarely += ("CI_COMMIT_PRERELEASE", "CI_PIPELINE_EVENT_REASON", "CI_PIPELINE_AVATAR", "CI_PIPELINE_RERUNS")
    rarely += ("CI_REPO_CLONE_SSH_URL",)
    words = {*Event, *(name for name in run_variables(push(), TRUSTED) if not name.startswith(rarely))}
    assert {word for word in words | set(_COMPARISONS) | set(_FUNCTIONS) if f"`{word}`" not in TEXT} == set()
