"""Every rewrite that a warning or a hint advises means the same as what it replaces, for every trigger and outcome."""

import pytest

from pipelines.context import PipelineFile
from pipelines.linter.linter import lint_files
from pipelines.plan import JobPlan
from pipelines.trigger import Trigger
from tests.support.pipelines import TRUSTED, event, plan_of_files, problems_of, pull_request, push, tag

STEPS = "steps: [{name: s, image: 'i:1', commands: x}]"
TRIGGERS = [push(), push("other"), tag(), pull_request(), event("cron", cron="nightly"), event("manual")]


def jobs_for(text: str, trigger: Trigger) -> list[JobPlan]:
    """The jobs of a workflow that depends on another one, so that the outcome of that counts."""
    files = {".woodpecker/first.yml": STEPS, ".woodpecker/second.yml": f"depends_on: [first]\n{text}"}
    return [job for job in plan_of_files(files, trigger, TRUSTED).jobs if job.name == "second"]


def hints_for(text: str) -> list[str]:
    return [problem.hint for problem in lint_files([PipelineFile(".woodpecker/second.yml", text.encode())])]


REWRITES = [
    ("pipeline: [{name: s, image: 'i:1', commands: x}]", "write 'steps'", STEPS),
    (
        f"platform: linux/arm64\n{STEPS}",
        "write labels: {platform: linux/arm64}",
        f"labels: {{platform: linux/arm64}}\n{STEPS}",
    ),
    (f"branches: main\n{STEPS}", "write when: {branch: ...}", f"when: {{branch: main}}\n{STEPS}"),
    (
        f"branches: {{exclude: [main]}}\n{STEPS}",
        "write when: {branch: ...}",
        f"when: {{branch: {{exclude: [main]}}}}\n{STEPS}",
    ),
    (
        f"when: {{event: {{include: [push, tag], exclude: [tag]}}}}\n{STEPS}",
        "write event: [push]",
        f"when: {{event: [push]}}\n{STEPS}",
    ),
    (
        "steps: [{name: s, image: 'i:1', commands: x, environment: [A=1.10, B=true, C=, D=~]}]",
        'write a map: NAME: "value"',
        'steps: [{name: s, image: \'i:1\', commands: x, environment: {A: "1.10", B: "true", C: "", D: "~"}}]',
    ),
    (
        "steps: [{name: s, image: 'i:1', commands: x, secrets: [my_token]}]",
        "write environment: {NAME: {from_secret: name}}",
        "steps: [{name: s, image: 'i:1', commands: x, environment: {MY_TOKEN: {from_secret: my_token}}}]",
    ),
    (
        "steps: [{name: s, image: 'i:1', commands: 'echo ${CI_BRANCH}${CI_BUILD_LINK}${DRONE_TAG}${CI_JOB_NAME}'}]",
        "write ${CI_COMMIT_BRANCH}",
        None,
    ),
]


@pytest.mark.parametrize(("old", "hint", "new"), REWRITES)
def test_a_rewrite_means_the_same(old: str, hint: str, new: str | None) -> None:
    assert hint in hints_for(old)
    if new is None:
        return
    for trigger in TRIGGERS:
        assert jobs_for(old, trigger) == jobs_for(new, trigger)


WHENS = [
    None,
    "{event: push}",
    "{branch: main}",
    "{status: success}",
    "{status: [failure]}",
    "[{event: push}, {event: tag, status: failure}]",
    "[{status: success}, {branch: main, status: failure}]",
    "{status: canceled}",
]


@pytest.mark.parametrize("runs_on", [["success"], ["failure"], ["success", "failure"], ["failure", "success"]])
@pytest.mark.parametrize("when", WHENS)
def test_the_rewrite_of_runs_on_means_the_same(runs_on: list[str], when: str | None) -> None:
    words = ", ".join(runs_on)
    old = f"runs_on: [{words}]\n" + (f"when: {when}\n" if when else "") + STEPS
    hint = next(each for each in hints_for(old) if "status" in each)
    if when is None:
        assert hint == f"write when: [{{status: [{words}]}}]"
        new = f"{hint.removeprefix('write ')}\n{STEPS}"
    else:
        assert hint == f"add status: [{words}] to every condition of 'when'"
        new = f"when: {with_statuses(when, runs_on)}\n{STEPS}"
    for trigger in TRIGGERS:
        assert _outcomes(jobs_for(old, trigger)) == _outcomes(jobs_for(new, trigger))


def with_statuses(when: str, runs_on: list[str]) -> str:
    """``when`` with these statuses in every condition, as a person follows the hint."""
    conditions = []
    for condition in when.strip("[]").replace("}, {", "}|{").split("|") if when.startswith("[") else [when]:
        inner, _, status = condition.strip("{}").partition("status: ")
        own = [word for word in status.strip("[] ").split(", ") if word]
        rest = inner.rstrip(", ")
        words = ", ".join(dict.fromkeys([*own, *runs_on]))
        conditions.append("{" + (f"{rest}, " if rest else "") + f"status: [{words}]}}")
    return f"[{', '.join(conditions)}]"


def _outcomes(jobs: list[JobPlan]) -> list[tuple[bool, bool]]:
    return [(job.on_success, job.on_failure) for job in jobs]


@pytest.mark.parametrize(
    ("branch", "tag"),
    [
        ("feature/one/two", "feature-one-two"),
        ("Fix@2#3", "Fix-2-3"),
        ("-.x", "x"),
        ("..", "5ec1f7e7"),
        ("1.0", "1.0"),
        ("null", "null"),
        ("a,b", "a-b"),
        ("x" * 100, "x" * 100),
        ("x" * 101, "x" * 91 + "-c675a2e6"),
        ("ein/größer", "ein-gr-er-3a4ec839"),
        ("日本", "cf2abf0c"),
        ("$(rm -rf /)\"'", "rm--rf-"),
    ],
)
@pytest.mark.parametrize("quotes", ["'{}'", '"{}"', "{}", "[{}]", '[auto, "{}"]'])
def test_the_tag_that_a_hint_makes_of_a_branch_is_one(branch: str, tag: str, quotes: str) -> None:
    text = f"steps: [{{{{name: b, build: .}}}}, {{{{name: p, push: {{{{repo: r.example.org/a/b, tags: {quotes}}}}}}}}}]"
    wrong = lint_files([PipelineFile(".headway.yml", text.format("feature/one").encode())])
    hint = next(problem.hint for problem in wrong if "is not a tag" in problem.message)
    advised = next(word for word in hint.split() if word.startswith("${"))
    (job,) = plan_of_files({".headway.yml": text.format(advised)}, push(branch), TRUSTED).jobs
    assert job.steps[1].kind == "push"
    assert job.steps[1].tags == (tag,)


def _push(tags: str) -> str:
    return f"steps: [{{name: b, build: .}}, {{name: p, push: {{repo: r.example.org/a/b, tags: {tags}}}}}]"


@pytest.mark.parametrize(("around", "fits"), [(28, True), (29, False)])
def test_a_made_tag_leaves_28_characters_for_what_stands_around_it(around: int, fits: bool) -> None:
    text = _push(f"'{'p' * around}${{CI_COMMIT_BRANCH@tag}}'")
    found = problems_of(text, push("x" * 250), TRUSTED)
    assert (found == []) is fits
    remedy = "is at most 100 characters of any value: shorten what stands around it"
    assert fits or ("it has 129 characters" in found[0] and found[0].endswith(remedy))


def test_a_tag_that_is_wrong_for_every_branch_is_said_once_each_at_its_place() -> None:
    text = _push("[.${CI_COMMIT_BRANCH@tag}, x, '-${CI_COMMIT_BRANCH@tag}']") + "\nwhen: [{branch: [main, dev, 'v*']}]"
    found = [problem for problem in lint_files([PipelineFile(".headway.yml", text.encode())]) if problem.line == 1]
    assert [problem.message.partition(" is not")[0] for problem in found] == ["'.main'", "'-main'"]
    assert [problem.hint for problem in found] == ["begin it with a letter, a digit or '_'"] * 2
    assert len({problem.column for problem in found}) == 2
