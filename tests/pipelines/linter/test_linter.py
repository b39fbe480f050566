"""What lint reports besides the problems of a run."""

from collections.abc import Sequence
from textwrap import dedent

import pytest

from pipelines.context import Context, PipelineFile, RepoInfo
from pipelines.interpolation.renderer import Variables
from pipelines.linter.linter import ANY_REPO, has_errors, lint_files
from pipelines.linter.sample_triggers import example_of, named_events, triggers_for
from pipelines.model.workflow import Workflow
from pipelines.parser.reader import read_file
from pipelines.problem import Level
from pipelines.syntax.diagnostics import PROBLEMS_COUNT_MAX, Diagnostics
from pipelines.trigger import Event
from tests.support.pipelines import job_of, names_of

WIDER = "make one of the conditions wider, or remove it"
ONE = "steps: [{name: s, image: 'i:1', commands: x}]\n"


def lint(
    text: str, path: str = ".headway.yml", context: Context = ANY_REPO, other_workflows: Sequence[str] = ()
) -> list[str]:
    file = PipelineFile(path, dedent(text).lstrip("\n").encode())
    return [str(problem).removeprefix(f"{path}:") for problem in lint_files([file], context, other_workflows)]


def step(when: str, more: str = "") -> str:
    return f"steps: [{{name: s, image: 'i:1', commands: x, when: {when}{more}}}]\n"


def test_a_correct_file_has_no_problems() -> None:
    assert lint(ONE) == []


@pytest.mark.parametrize(
    ("event", "removed"), [("tag", "the event is push, not tag"), ("push", "the event is tag, not push")]
)
def test_every_event_that_a_file_serves_is_tried_and_a_problem_is_reported_once(event: str, removed: str) -> None:
    text = f"""
    steps:
      - {{name: a, image: "i:1", commands: x, when: {{event: {event}}}}}
      - {{name: b, image: "i:1", commands: x, depends_on: [a]}}
    """
    (problem,) = lint(text)
    assert problem.startswith("3:55: error: step 'b' depends on 'a', which does not run: the event is ")
    served = f"when: {{event: {event}}}\n" + dedent(text)
    assert lint(served) == []
    assert removed.startswith("the event is")


@pytest.mark.parametrize(
    "key", ["branch: develop", "branch: {exclude: main}", "path: 'src/**'", "evaluate: 'A == \"b\"'"]
)
def test_a_condition_of_any_kind_can_remove_what_another_step_depends_on(key: str) -> None:
    text = f"""
    steps:
      - {{name: a, image: "i:1", commands: x, when: {{{key}}}}}
      - {{name: b, image: "i:1", commands: x, depends_on: [a]}}
    """
    assert "step 'b' depends on 'a', which does not run: " in lint(text)[0]


@pytest.mark.parametrize("key", ["instance: ci.example.org", "repo: team/app", "platform: linux/arm64"])
def test_conditions_on_what_only_the_server_knows_are_no_errors(key: str) -> None:
    text = f"""
    steps:
      - {{name: a, image: "i:1", commands: x, when: {{{key}}}}}
      - {{name: b, image: "i:1", commands: x, depends_on: [a]}}
    """
    assert lint(text) == []
    known = Context(RepoInfo("me/app", ""), system_host="here")
    assert "which does not run" in lint(text, context=known)[0]


def test_of_a_large_matrix_some_cells_are_linted_without_false_warnings_about_the_others() -> None:
    cells = ", ".join(f"c{number}" for number in range(200))
    long = "x" * 4000
    step_ = f"{{name: s, image: 'i:1', commands: {long}, when: {{matrix: {{A: c101}}}}}}"
    text = f"matrix: {{A: [{cells}]}}\nsteps: [{step_}]\n"
    assert lint(text) == []


def test_a_step_with_the_same_condition_as_what_it_depends_on_is_no_mistake() -> None:
    when = "when: {event: push, branch: [develop, 'release/*']}"
    text = f"""
    steps:
      - {{name: a, image: "i:1", commands: x, {when}}}
      - {{name: b, image: "i:1", commands: x, {when}, depends_on: [a]}}
    """
    assert lint(text) == []


def test_what_only_another_workflow_condition_would_allow_is_no_mistake() -> None:
    text = """
    when: {event: tag}
    steps:
      - {name: a, image: "i:1", commands: x, when: {event: tag}}
      - {name: b, image: "i:1", commands: x, depends_on: [a]}
    """
    assert lint(text) == []
    wider = text.replace("event: tag}\n    steps", "event: [push, tag]}\n    steps").replace("[a]", "[]")
    assert names_of(wider) == ["b"]


@pytest.mark.parametrize(
    ("workflow", "own", "why"),
    [
        ("{event: push}", "{event: tag}", "the workflow is for push, the step for tag"),
        (
            "{event: [push, tag]}",
            "[{event: cron}, {event: manual}]",
            "the workflow is for push or tag, the step for cron",
        ),
        ("{event: push, branch: main}", "{branch: dev}", "the workflow is for the branch 'main', the step for 'dev'"),
        (
            "{event: push, branch: 'rel/*'}",
            "{branch: main}",
            "the workflow is for the branch 'rel/*', the step for 'main'",
        ),
        ("{event: push, branch: {exclude: main}}", "{branch: main}", "the branch must be 'main', and that is excluded"),
        (
            "{event: tag}",
            "{ref: refs/heads/main}",
            "the event is tag, and the ref 'refs/heads/main', which is a branch",
        ),
        ("{event: push}", "{ref: 'refs/tags/*'}", "the event is push, and the ref 'refs/tags/*', which is a tag"),
        ("{event: cron, cron: a}", "{cron: b, event: cron}", "the workflow is for the cron job 'a', the step for 'b'"),
        ("{repo: a/b}", "{repo: c/d}", "the workflow is for the repo 'a/b', the step for 'c/d'"),
        ("{local: true}", "{local: false}", "one of the workflow and the step is for local runs only"),
    ],
)
def test_a_step_that_can_never_run_is_reported_with_the_reason(workflow: str, own: str, why: str) -> None:
    found = [problem for problem in lint(f"when: {workflow}\n{step(own)}") if "never runs" in problem]
    assert found == [f"2:46: warning: step 's' never runs: {why}; make one of the conditions wider, or remove it"]


@pytest.mark.parametrize(
    ("workflow", "own"),
    [
        ("{event: [push, tag]}", "{event: tag}"),
        ("{event: [push, tag], branch: main}", "{branch: dev}"),  # a tag has no branch
        ("{event: push, branch: 'rel/*'}", "{branch: rel/1}"),
        ("{event: push, branch: [main, dev]}", "{branch: {exclude: main}}"),
        ("[{event: push, branch: main}, {event: cron}]", "{event: cron, cron: x}"),
        ("{event: tag, ref: 'refs/tags/v*'}", "{ref: refs/tags/v1}"),
        ("{event: push}", "{path: 'a/**'}"),
    ],
)
def test_a_step_that_can_run_is_not_reported_as_unreachable(workflow: str, own: str) -> None:
    assert [problem for problem in lint(f"when: {workflow}\n{step(own)}") if "never runs" in problem] == []


def test_a_workflow_can_contradict_itself() -> None:
    text = f"when: {{event: push, branch: {{include: main, exclude: 'm*'}}}}\n{ONE}"
    assert lint(text) == [
        f"1:1: warning: this workflow never runs: the branch must be 'main', and that is excluded; {WIDER}"
    ]


def test_a_step_that_no_cell_of_the_matrix_chooses_never_runs() -> None:
    text = "matrix: {GO: ['1', '2']}\n" + step("{matrix: {GO: '3'}}")
    assert lint(text)[0].startswith("2:46: warning: step 's' never runs: the GO is '1', not '3'")
    assert lint(text.replace("'3'", "'2'")) == []


def test_cells_may_have_different_steps() -> None:
    text = """
    matrix: {EXTRA: ["", "{name: b, image: 'i:1', when: {event: tag}}"]}
    when: {event: push}
    steps: [{name: a, image: 'i:1'}, {name: z, image: 'i:1', when: {event: tag}}, ${EXTRA}]
    """
    assert [problem.split(":", 2)[2].split(": the")[0] for problem in lint(text)] == [
        " warning: step 'z' never runs",
    ]


def test_conditions_that_belong_to_no_workflow_of_the_event_are_not_held_against_it() -> None:
    text = """
    when: [{event: push}, {event: tag, branch: main}]
    steps: [{name: a, image: 'i:1', when: {event: push, repo: x/y}}]
    """
    assert [problem.split("; ")[0] for problem in lint(text)] == [
        "1:36: warning: 'branch' has no effect here: a tag has no branch",
    ]


def test_a_workflow_that_depends_on_one_of_other_events_never_runs() -> None:
    files = [
        PipelineFile(".headway/a.yml", b"when: {event: push}\n" + ONE.encode()),
        PipelineFile(".headway/b.yml", b"when: {event: tag}\ndepends_on: [a]\n" + ONE.encode()),
        PipelineFile(".headway/c.yml", b"when: {event: tag}\ndepends_on: [{name: a, optional: true}]\n" + ONE.encode()),
    ]
    (problem,) = lint_files(files)
    assert str(problem) == (
        ".headway/b.yml:2:14: warning: workflow 'b' never runs: it depends on workflow 'a', and "
        f"workflow 'a' is for push, this one for tag; {WIDER}"
    )


def test_a_cycle_of_workflows_is_reported() -> None:
    files = [
        PipelineFile(f".headway/{name}.yml", f"depends_on: {other}\n{ONE}".encode()) for name, other in ("ab", "ba")
    ]
    assert "these workflows wait for each other" in str(lint_files(files)[0])


def test_depends_on_may_name_workflows_that_are_not_linted() -> None:
    assert lint(f"depends_on: [build]\n{ONE}", other_workflows=["build"]) == []
    assert "does not exist" in lint(f"depends_on: [build]\n{ONE}")[0]


@pytest.mark.parametrize(
    ("when", "key"),
    [
        ("{event: tag, branch: main}", "'branch' has no effect here: a tag has no branch"),
        (
            "{event: [tag, manual], path: a}",
            "'path' has no effect here: only pushes and pull requests have changed files",
        ),
        ("{event: push, cron: a}", "'cron' has no effect here: it is checked for cron events only"),
        ("{cron: a}", "'cron' is checked for cron events only, so this condition holds for every other event"),
    ],
)
def test_keys_of_a_condition_without_effect_are_reported(when: str, key: str) -> None:
    assert [problem.split(": ", 2)[2].split(";")[0] for problem in lint(step(when))] == [key]


@pytest.mark.parametrize("when", ["{event: [push, tag], branch: main}", "{event: [push, cron], cron: a}", "{path: a}"])
def test_keys_that_count_for_one_of_the_events_are_fine(when: str) -> None:
    assert lint(step(when)) == []


def test_a_workflow_does_not_choose_by_the_matrix_and_a_service_does_not_wait() -> None:
    assert "'matrix' has no effect here" in lint(f"matrix: {{A: [x]}}\nwhen: {{matrix: {{A: x}}}}\n{ONE}")[0]
    service = f"services: {{db: {{image: 'postgres:17', when: {{status: failure}}}}}}\n{ONE}"
    assert "'status' has no effect here: a service starts before the first step" in lint(service)[0]
    assert "'canceled' has no effect here" in lint(f"when: {{status: [success, canceled]}}\n{ONE}")[0]


SECRET = "steps: [{name: s, image: 'i:1', settings: {a: {from_secret: Token}}%s}]\n"


@pytest.mark.parametrize(
    ("workflow", "more", "level"),
    [
        ("", "", "hint"),
        ("when: {event: pull_request}\n", "", "warning"),
        ("", ", when: {event: [push, pull_request]}", "warning"),
        ("when: {event: push}\n", "", None),
        ("when: {event: [push, pull_request]}\n", ", when: {event: push}", None),
    ],
)
def test_a_secret_in_a_step_for_pull_requests_is_reported(workflow: str, more: str, level: str | None) -> None:
    found = lint(workflow + SECRET % more)
    told = f"{level}: step 's' uses the secret 'Token' and runs for pull requests; those from forks get no secrets"
    assert [told in problem for problem in found] == ([True] if level else [])


@pytest.mark.parametrize("files", ["{source: Token, file: /s/a}", "[{source: Token, file: /s/a}]"])
def test_secrets_that_are_files_count_too(files: str) -> None:
    step = f"{{name: s, image: 'i:1', commands: x, secrets: {files}}}"
    (problem,) = lint(f"when: {{event: pull_request}}\nsteps: [{step}]\n")
    assert "step 's' uses the secret 'Token' and runs for pull requests" in problem


@pytest.mark.parametrize("member", ["build: {secrets: [Token]}", "build: {secrets: {id: Token}}"])
def test_secrets_of_a_build_count_too(member: str) -> None:
    found = lint(f"when: {{event: pull_request}}\nsteps: [{{name: s, {member}}}]\n")
    assert len(found) == ("[" in member)


@pytest.mark.parametrize(
    ("service", "told"),
    [
        ("{image: 'r.example.org/api:1'}", True),
        ("{image: 'r.example.org/api:1', ready: {port: 80}}", False),
        ("{image: 'postgres:17'}", False),
        ("{image: 'docker.io/library/redis:7-alpine'}", False),
    ],
)
def test_a_service_with_an_unknown_image_should_say_when_it_is_ready(service: str, told: bool) -> None:
    assert bool(lint(f"services: {{a: {service}}}\n{ONE}")) is told


@pytest.mark.parametrize(
    ("image", "told"),
    [
        ("alpine", True),
        ("alpine:latest", True),
        ("localhost:5000/alpine", True),
        ("alpine:3", False),
        (f"alpine@sha256:{'0123' * 16}", False),
        ("localhost:5000/alpine:3", False),
    ],
)
def test_an_image_without_a_version_is_a_hint(image: str, told: bool) -> None:
    found = lint(f"steps: [{{name: s, image: '{image}', commands: x}}]")
    assert [problem.split(": ")[1] for problem in found] == (["hint"] if told else [])


def test_two_services_on_one_port() -> None:
    text = "services: {a: {image: 'x:1', ready: {port: 80}}, b: {image: 'x:1', ports: [80/tcp], ready: ls}}\n" + ONE
    assert lint(text) == ["1:53: hint: services 'a' and 'b' both listen on port 80; that works, at a:80 and b:80"]
    host = text.replace("ready:", "network_mode: host, ready:")
    assert any("warning: services 'a' and 'b' both listen on port 80 of the host" in problem for problem in lint(host))


def test_trust_is_a_hint_for_an_unknown_repository_and_an_error_for_a_known_one() -> None:
    text = "steps: [{name: s, image: 'i:1', commands: x, privileged: true}]"
    assert lint(text)[0].startswith("1:46: hint: 'privileged' in step 's' runs only where the repository is trusted")
    untrusted = lint(text, context=Context(RepoInfo("a/b", "")))
    assert untrusted[0].startswith("1:46: error: 'privileged' in step 's' needs trust in 'security'")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("skip_clone: true\nclone: {git: {image: 'plugin-git:2'}}\n", "'clone' has no effect beside skip_clone: true"),
        ("runs_on: [success]\n", "'runs_on' is an old key"),
        ("labels: {woodpecker-ci.org/a: b}\n", "the label 'woodpecker-ci.org/a' is reserved and is ignored"),
        ("labels: {a: ''}\n", "the label 'a' has no value and is ignored"),
        ("matrix: {A: [x], include: [{A: y}]}\n", "beside 'include' the rest of the matrix has no effect, here 'A'"),
        ("when: {branch: }\n", "'branch' has no value and is ignored"),
        ("services: {a: {image: 'redis:7', failure: cancel}}\n", "'failure: cancel' of a service counts as 'fail'"),
    ],
)
def test_keys_that_would_be_ignored_silently_are_reported(text: str, told: str) -> None:
    assert told in lint(text + ONE)[0]


def test_a_key_of_a_step_without_a_value_is_reported() -> None:
    assert lint("steps: [{name: s, image: 'i:1', when: }]") == [
        "1:33: warning: 'when' has no value and is ignored; give it a value, or remove it",
    ]
    assert lint("steps: [{name: s, image: 'i:1', commands: }]") == [
        "1:43: error: 'commands' is missing or empty in step 's'; add a command",
    ]


def test_ports_of_a_step_and_two_steps_of_one_name() -> None:
    text = "steps: [{name: s, image: 'i:1', commands: x, ports: [80]}, {name: s, image: 'i:1', commands: x}]"
    assert [problem.split("; ")[0] for problem in lint(text)] == [
        "1:46: warning: 'ports' has no effect in step 's'",
        "1:67: hint: two steps are named 's', so their logs are hard to tell apart",
    ]


def test_a_step_that_only_some_cells_of_the_matrix_have_may_be_unreachable_there() -> None:
    never = "{name: b, image: 'i:1', commands: x, when: {event: tag}}"
    both = """
    matrix: {{MORE: ["{0}", "{1}"]}}
    when: {{event: push}}
    steps: [{{name: a, image: "i:1", commands: x}}, ${{MORE}}]
    """
    assert lint(both.format(never, "")) == []
    (warning,) = lint(both.format(never, f"{never} "))
    assert "step 'b' never runs: the workflow is for push, the step for tag" in warning


def test_hints_are_never_part_of_a_run() -> None:
    assert lint("steps: [{name: s, image: i, commands: x}]") != []
    assert job_of("steps: [{name: s, image: i, commands: x}]").steps


def test_strictness_makes_warnings_count() -> None:
    warning = lint_files([PipelineFile(".headway.yml", f"labels: {{a: ''}}\n{ONE}".encode())])
    assert [problem.level for problem in warning] == [Level.WARNING]
    assert (has_errors(warning), has_errors(warning, strict=True)) == (False, True)
    assert not has_errors(lint_files([PipelineFile(".headway.yml", b"steps: [{image: i}]")]), strict=True)


def test_the_events_of_conditions_and_the_triggers_that_are_tried() -> None:
    workflow = job_workflow("when: {event: [push, tag], branch: [main, 'rel/*']}\n" + step("{ref: 'refs/tags/v*'}"))
    triggers = triggers_for(workflow, "main")
    assert {trigger.event for trigger in triggers} == {Event.PUSH, Event.TAG}
    assert [trigger.event for trigger in triggers[:2]] == [Event.PUSH, Event.TAG]
    assert {"main", "rel/x", "another-branch"} <= {trigger.branch for trigger in triggers}
    assert "vx" in {trigger.tag for trigger in triggers}
    assert named_events(()) == frozenset(Event)


def job_workflow(text: str) -> Workflow:
    (read,) = read_file(PipelineFile(".headway.yml", text.encode()), Variables({}), Diagnostics("x"))
    return read.located.workflow


@pytest.mark.parametrize(
    ("pattern", "example"),
    [("main", "main"), ("rel/*", "rel/x"), ("{a,b}c", "ac"), ("[ab]?", "ax"), ("\\*", "*"), ("[!a]", ""), ("{a", "")],
)
def test_examples_of_patterns(pattern: str, example: str) -> None:
    assert example_of(pattern) == example


LONG = "steps:\n" + "".join(f"  - name: s{n}\n    image: i:1\n    commands: [make {n}]\n" for n in range(1600))
MANY_NAMES = "steps:\n" + "".join(f"  - {{name: s{n}, image: 'i:1', depends_on: [t{n}]}}\n" for n in range(1900))
BRACES = "'{a,b,c,d,e,f,g}{a,b,c,d,e,f,g}%d'"
MANY_BRACES = "steps:\n" + "".join(f"  - {{image: 'i:1', when: {{branch: {BRACES % n}}}}}\n" for n in range(600))
EVALUATE = 'CI_COMMIT_BRANCH == "a" && CI_REPO matches "^x*$"'
MANY_EXPRESSIONS = "steps:\n" + f"  - {{image: 'i:1', when: {{evaluate: '{EVALUATE}'}}}}\n" * 1200
DENSE = (
    "matrix: {A: ["
    + ", ".join(map(str, range(256)))
    + "]}\nsteps:\n"
    + "".join(f"  - {{name: s{n}, image: 'i:${{A}}', commands: {'x' * 350}}}\n" for n in range(6))
)


@pytest.mark.stress
@pytest.mark.parametrize(
    ("text", "count"),
    [
        (LONG, 0),
        (MANY_NAMES, PROBLEMS_COUNT_MAX),
        (MANY_BRACES, 0),
        (MANY_EXPRESSIONS, 0),
        (DENSE, 0),
        ("a: b\n" * 2_000_000, 1),
        ("[" * 100_000, 1),
    ],
    ids=["long", "names", "braces", "expressions", "dense", "large", "deep"],
)
def test_large_and_hostile_files_are_linted_in_bounded_time(text: str, count: int) -> None:
    assert len(lint(text)) == count


def test_an_image_without_a_version_is_reported_once_and_only_if_it_is_used() -> None:
    text = """
    clone: {git: {image: woodpeckerci/plugin-git}}
    steps:
      - {name: a, image: alpine, commands: x}
      - {name: b, image: alpine, commands: x}
      - {name: c, image: plugins/docker, settings: {repo: a/b}}
      - {name: d, image: plugins/docker, settings: {unheard_of: x}}
    """
    hints = [str(found) for found in lint(text) if "has no version" in str(found)]
    assert [hint.split(":")[0] for hint in hints] == ["3", "6"]


def test_a_name_that_no_image_can_have_is_reported_once_with_its_rule() -> None:
    text = """
    steps:
      - {name: a, image: "Alpine:1", commands: x}
      - {name: b, image: "Alpine:1", commands: x}
      - {name: c, image: "$IMAGE", commands: x}
    """
    (found,) = [str(each) for each in lint(text) if "cannot be" in str(each)]
    assert found.startswith("2:22: ")
    assert "warning: the image 'Alpine:1' cannot be: its letters must be small; write the name as" in found


def test_what_only_a_server_knows_has_a_value_that_makes_no_error() -> None:
    text = """
    steps:
      - {name: a, image: "x:${CI_PIPELINE_NUMBER}", commands: x}
      - {name: b, image: "${CI_FORGE_URL##https://}/${CI_REPO}:1", commands: x, timeout: "${CI_PIPELINE_NUMBER}m"}
      - {name: c, build: .}
      - {name: d, push: {repo: "${CI_SYSTEM_HOST}/${CI_REPO}", tags: "n-${CI_PREV_PIPELINE_NUMBER}"}}
    """
    assert lint(text) == []


def test_what_a_push_does_not_have_is_still_an_error() -> None:
    text = "steps: [{name: c, build: .}, {name: d, push: {repo: 'r.example.org/a/b', tags: 'v/${CI_COMMIT_TAG}'}}]"
    assert "'v/' is not a tag" in lint(text)[0]


def test_an_expression_that_cannot_be_read_is_one_error_and_no_warning() -> None:
    (problem,) = lint("when: {evaluate: 'A # B'}\n" + ONE)
    assert problem.startswith("1:7: error: 'evaluate': '# B' is not understood")
