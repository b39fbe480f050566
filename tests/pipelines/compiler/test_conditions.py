"""Conditions: when they hold, and the reason if they do not."""

import pytest

from pipelines.context import Context, RepoInfo
from pipelines.matching.glob import ALTERNATIVES_COUNT_MAX, BadPatternError, expand_braces, matches
from pipelines.plan import JobPlan
from pipelines.trigger import Trigger
from tests.support.pipelines import (
    CONTEXT,
    event,
    job_of,
    names_of,
    plan_of,
    plan_of_files,
    problems_of,
    pull_request,
    push,
    tag,
)


def runs(when: str, trigger: Trigger | None = None, context: Context = CONTEXT) -> bool:
    return bool(plan_of(f"steps: [{{name: a, image: i, commands: x, when: {when}}}]", trigger, context).jobs)


def why(when: str, trigger: Trigger | None = None, context: Context = CONTEXT) -> str:
    return plan_of(f"steps: [{{name: a, image: i, commands: x, when: {when}}}]", trigger, context).left_out[0].why


@pytest.mark.parametrize(
    ("when", "trigger", "expected"),
    [
        ("{}", push(), True),
        ("[]", push(), True),
        ("{event: push}", push(), True),
        ("{event: [tag, push]}", push(), True),
        ("{event: pull_request}", push(), False),
        ("[{event: tag}, {event: push}]", push(), True),
        ("[{event: tag}, {event: push, branch: dev}]", push(), False),
        ("{branch: main}", push(), True),
        ("{branch: [dev, 'rel/*']}", push("rel/1"), True),
        ("{branch: 'rel/*'}", push("rel/1/2"), False),
        ("{branch: 'rel/**'}", push("rel/1/2"), True),
        ("{branch: {exclude: main}}", push(), False),
        ("{branch: {include: '*', exclude: [dev]}}", push(), True),
        ("{branch: main}", pull_request("main", "topic"), True),
        ("{branch: topic}", pull_request("main", "topic"), False),
        ("{branch: other}", tag(), True),
        ("{ref: 'refs/tags/v*'}", tag(), True),
        ("{ref: 'refs/tags/v*'}", push(), False),
        ("{repo: me/app}", push(), True),
        ("{repo: 'you/*'}", push(), False),
        ("{instance: ci.example.org}", push(), False),
        ("{platform: linux/amd64}", push(), True),
        ("{platform: linux/arm64}", push(), False),
        ("{cron: nightly}", event("cron", cron="nightly"), True),
        ("{cron: nightly}", event("cron", cron="weekly"), False),
        ("{cron: nightly}", push(), True),
        ("{status: [success, failure]}", push(), True),
        ("{local: true}", push(), False),
        ("{local: false}", push(), True),
        ("{matrix: {A: }}", push(), True),
    ],
)
def test_conditions(when: str, trigger: Trigger, expected: bool) -> None:
    assert runs(when, trigger) is expected


@pytest.mark.parametrize(
    ("path", "files", "expected"),
    [
        ("'src/**'", ("src/a/b.py",), True),
        ("'src/*'", ("src/a/b.py",), False),
        ("[docs/*, '*.md']", ("README.md", "x.py"), True),
        ("'*.md'", ("docs/README.md",), False),
        ("{exclude: '*.md'}", ("README.md", "x.py"), True),
        ("{exclude: '*.md'}", ("README.md", "CHANGES.md"), False),
        ("{include: '*.py', exclude: 'x.py'}", ("x.py", "y.py"), True),
        ("{include: '*.py', exclude: '*.md'}", ("x.md",), False),
        ("{include: '*.py'}", (), True),
        ("{include: '*.py', on_empty: false}", (), False),
        ("{include: '*.py'}", None, True),
        ("{include: '*.py', ignore_message: '[ALL]'}", ("x.md",), True),
    ],
)
def test_paths_match_the_changed_files(path: str, files: tuple[str, ...] | None, expected: bool) -> None:
    assert runs(f"{{path: {path}}}", push(changed_files=files, message="Do [all] of it")) is expected


@pytest.mark.parametrize("path", ["docs/*", "{exclude: '**'}", "{include: '*.py', on_empty: false}"])
def test_each_path_counts_as_changed_where_too_many_have(path: str) -> None:
    assert runs(f"{{path: {path}}}", push(changed_files=(), too_many_changed=True))
    assert not runs(f"{{path: {path}, branch: other}}", push(changed_files=(), too_many_changed=True))


@pytest.mark.parametrize(
    ("trigger", "expected"),
    [
        (pull_request(changed_files=("a",)), False),
        (tag(changed_files=("a",)), True),
        (event("manual", changed_files=("a",)), True),
    ],
)
def test_paths_count_only_for_pushes_and_pull_requests(trigger: Trigger, expected: bool) -> None:
    assert runs("{path: b}", trigger) is expected


@pytest.mark.parametrize(
    ("when", "trigger", "reason"),
    [
        ("{event: [tag, release, cron]}", push(), "the event is push, not tag, release or cron"),
        ("{branch: dev}", push(), "the branch is 'main', not 'dev'"),
        ("{branch: {exclude: 'm*'}}", push(), "the branch 'main' is excluded by 'm*'"),
        ("[{event: tag}, {branch: dev}]", push(), "the event is push, not tag; or the branch is 'main', not 'dev'"),
        ("{path: 'a'}", push(changed_files=("b",)), "no changed file matches 'a'"),
        ("{path: {exclude: b}}", push(changed_files=("b",)), "all changed files are excluded by 'b'"),
        ("{path: {on_empty: false}}", push(), "no files changed"),
        ("{cron: a}", event("cron", cron="b"), "the cron job is 'b', not 'a'"),
        ("{evaluate: 'CI_REPO == \"x\"'}", push(), 'evaluate says no: CI_REPO == "x"'),
        ("{local: true}", push(), "it is for local runs only"),
    ],
)
def test_the_reason_names_the_condition_that_does_not_hold(when: str, trigger: Trigger, reason: str) -> None:
    assert why(when, trigger) == reason


def test_a_local_run_can_be_told_apart() -> None:
    local = Context(RepoInfo("me/app", ""), local=True)
    assert runs("{local: true}", context=local)
    assert why("{local: false}", context=local) == "it is not for local runs"


@pytest.mark.parametrize(
    ("when", "outcome"),
    [
        ("{}", (True, False)),
        ("{status: failure}", (False, True)),
        ("{status: [success, failure]}", (True, True)),
        ("[{event: push}, {status: failure}]", (True, True)),
        ("[{event: tag}, {status: failure}]", (False, True)),
        ("{status: success}", (True, False)),
    ],
)
def test_status_says_after_which_outcome_a_step_runs(when: str, outcome: tuple[bool, ...]) -> None:
    (step,) = job_of(f"steps: [{{image: i, commands: x, when: {when}}}]").steps
    assert (step.on_success, step.on_failure) == outcome


def test_a_workflow_is_left_out_as_a_whole() -> None:
    plan = plan_of("when: {event: tag}\nsteps: [{image: i, commands: x}]")
    assert plan.jobs == ()
    assert [(left.what, left.why) for left in plan.left_out] == [("workflow 'headway'", "the event is push, not tag")]


def test_a_workflow_without_any_step_left_is_left_out() -> None:
    plan = plan_of("steps: [{name: a, image: i, commands: x, when: {event: tag}}]")
    assert [left.what for left in plan.left_out] == ["step 'a' of workflow 'headway'", "workflow 'headway'"]


def after_test(keys: str) -> JobPlan | None:
    """The workflow with these keys that depends on another one, unless it is left out."""
    other = "steps: [{image: i, commands: x}]"
    files = {".headway/test.yml": other, ".headway/then.yml": f"{keys}\ndepends_on: [test]\n{other}"}
    return next((job for job in plan_of_files(files).jobs if job.name == "then"), None)


@pytest.mark.parametrize(
    ("keys", "outcome"),
    [
        ("", (True, False)),
        ("when: {status: failure}", (False, True)),
        ("when: [{status: failure}]", (False, True)),
        ("when: [{status: [failure]}, {event: tag, status: success}]", (False, True)),
        ("when: [{status: failure}, {event: push}]", (True, True)),
        ("when: {status: success}", (True, False)),
        ("when: {status: [success, failure]}", (True, True)),
        ("when: {status: [failure, canceled]}", (False, True)),
        ("when: {status: canceled}", (True, False)),
        ("runs_on: failure", (False, True)),
        ("runs_on: [failure]", (False, True)),
        ("runs_on: [success, failure]", (True, True)),
        ("runs_on: [failure]\nwhen: {event: push}", (False, True)),
        ("runs_on: [failure]\nwhen: {status: success}", (True, True)),
        ("runs_on: [success]\nwhen: {status: failure}", (True, True)),
        ("runs_on: []", (True, False)),
    ],
)
def test_the_status_of_what_a_workflow_needs(keys: str, outcome: tuple[bool, bool]) -> None:
    job = after_test(keys)
    assert job
    assert (job.on_success, job.on_failure) == outcome


@pytest.mark.parametrize("key", ["when: {status: failure}", "runs_on: [failure]"])
@pytest.mark.parametrize("needs", ["", "depends_on: [{name: gone, optional: true}]"])
def test_a_workflow_for_failures_that_needs_nothing_never_runs(key: str, needs: str) -> None:
    plan = plan_of(f"{key}\n{needs}\nsteps: [{{image: i, commands: x}}]")
    assert plan.jobs == ()
    assert plan.left_out[-1].why == "it runs only after a failure, and depends on no workflow that runs"
    assert [problem.message for problem in plan.warnings] == (
        [] if needs else ["this workflow runs only after a failure and depends on no other, so it never runs"]
    )


def test_the_matrix_counts_for_steps_and_not_for_workflows() -> None:
    text = """
    matrix: {GO: ["1.25", "1.26"]}
    when: {matrix: {GO: none}}
    steps:
      - {name: both, image: "go:${GO}", commands: x}
      - {name: new, image: i, commands: x, when: {matrix: {GO: 1.26}}}
    """
    assert [[step.name for step in job.steps] for job in plan_of(text).jobs] == [["both"], ["both", "new"]]


def test_services_have_conditions_too() -> None:
    text = "services: {db: {image: d, when: {event: tag}}}\nsteps: [{image: i, commands: x}]"
    assert job_of(text).services == ()
    assert plan_of(text).left_out[0].what == "service 'db' of workflow 'headway'"
    assert len(job_of(text, tag()).services) == 1


@pytest.mark.parametrize(
    ("when", "problem"),
    [
        ("{event: pushh}", "1:43: error: 'event': 'pushh' is not an event; did you mean 'push'?"),
        (
            "{event: zzz}",
            (
                "1:43: error: 'event': 'zzz' is not an event; the events are push, tag, pull_request, "
                "pull_request_closed, pull_request_metadata, release, deployment, cron, manual"
            ),
        ),
        (
            "{status: failed}",
            "1:44: error: 'status': 'failed' is not a status that a step can wait for; did you mean 'failure'?",
        ),
        ("{brnch: x}", "1:36: error: unknown key 'brnch' in step 'a'; did you mean 'branch'?"),
        ("{path: {onempty: x}}", "1:43: error: unknown key 'onempty' in step 'a'; did you mean 'on_empty'?"),
        ("{branch: 'a['}", "1:44: error: 'branch': '[' is not closed in the pattern 'a['"),
        ("{branch: [x, '{a']}", "1:48: error: 'branch': '{' is not closed in the pattern '{a'"),
        ("{event: {include: push, exclude: push}}", "1:43: error: 'event': a text is wanted"),
        ("{evaluate: 'a =='}", "1:35: error: 'evaluate': something is missing at the end"),
        ("{event: [push, [tag]]}", "1:50: error: 'event': "),
        ("text", "1:35: error: 'when': a map is wanted here, not a single value"),
    ],
)
def test_invalid_conditions_are_reported(when: str, problem: str) -> None:
    (found,) = problems_of(f"steps: [{{name: a, image: i, commands: x, when: {when}}}]".replace("commands: x, ", ""))
    assert found.startswith(problem)


def test_an_invalid_expression_of_a_workflow_is_reported() -> None:
    (problem,) = problems_of("when: {evaluate: 'x('}\nsteps: [{image: i, commands: x}]")
    assert problem.startswith("1:7: error: 'evaluate': there is no function 'x' here; the functions are len, lower,")


@pytest.mark.parametrize(
    ("pattern", "text", "expected"),
    [
        ("*", "abc", True),
        ("*", "a/b", False),
        ("**", "a/b", True),
        ("a/**", "a/b/c", True),
        ("a/**", "a", True),
        ("a/**", "ab", False),
        ("/**", "/a/b", True),
        ("/**", "a", False),
        ("**/b", "b", True),
        ("**/b", "x/y/b", True),
        ("**/b", "x/yb", False),
        ("a/**/b", "a/b", True),
        ("a/**/b", "a/x/y/b", True),
        ("a/**/b", "a/xb", False),
        ("a**b", "axxb", True),
        ("a**b", "ax/b", False),
        ("a?c", "abc", True),
        ("a?c", "a/c", False),
        ("[a-c]x", "bx", True),
        ("[!a-c]x", "bx", False),
        ("[^a]x", "bx", True),
        ("[]]", "]", True),
        ("[\\]]", "]", True),
        ("[a-]", "-", True),
        ("{a,b}c", "bc", True),
        ("{a,b{c,d}}", "bd", True),
        ("{a,}b", "b", True),
        ("\\*", "*", True),
        ("\\*", "a", False),
        ("a.b", "axb", False),
        ("", "", True),
        ("", "a", False),
        ("refs/tags/v*.*.*", "refs/tags/v1.2.3", True),
        ("[{]", "{", True),
    ],
)
def test_globs(pattern: str, text: str, expected: bool) -> None:
    assert matches(pattern, text) is expected


@pytest.mark.parametrize("pattern", ["[a", "{a", "{" * 3 + ",".join("ab" * 150) + "}" * 3, "[z-a]", "a\\"])
def test_malformed_globs_are_refused(pattern: str) -> None:
    with pytest.raises(BadPatternError):
        matches(pattern, "")


def test_braces_have_a_limit() -> None:
    assert len(list(expand_braces("{a,b}{a,b}{a,b}"))) == 8
    with pytest.raises(BadPatternError, match=f"more than {ALTERNATIVES_COUNT_MAX}"):
        list(expand_braces("{a,b}" * 20))


def test_a_costly_glob_is_refused_and_matches_nothing() -> None:
    pattern = "*a" * 900 + "b"
    with pytest.raises(BadPatternError, match="too long"):
        matches(pattern, "a" * 4000)
    assert not runs(f"{{branch: '{pattern}'}}", push("a" * 4000))
    with pytest.raises(BadPatternError, match="at most 2000 characters"):
        matches("a" * 2001, "")


def test_needs_are_renumbered_when_steps_are_left_out() -> None:
    text = """
    steps:
      a: {image: i, commands: x}
      b: {image: i, commands: x, when: {event: tag}}
      c: {image: i, commands: x}
    """
    assert names_of(text) == ["a", "c"]
    assert job_of(text).steps[1].needs == (1,)
