"""``headway run --like``: what started a run on a server, with the files of this folder."""

from pathlib import Path

import pytest

from pipelines.commit_id import NO_COMMIT
from pipelines.plan import Plan
from pipelines.trigger import Event, PullRequest, Trigger
from runner.cli import exit_status
from runner.cli.run.choice.plan import notes_of, plan_for
from runner.cli.run.launch import launch
from runner.cli.run.options import RunOptions
from runner.source.working_tree import working_tree
from tests.runner.reuse.test_working_files import Folder

FILE = """\
when: {event: [pull_request, manual]}
inputs: {LEVEL: {default: quick}}
steps:
  - {name: always, image: i, commands: [a]}
  - {name: docs, image: i, commands: [b], when: {path: 'docs/**'}}
  - {name: into-main, image: i, commands: [b], when: {branch: main}}
"""
SHA = "5" * 40
PULL = Trigger(
    event=Event.PULL_REQUEST, sha=SHA, ref="refs/pull/7/head", branch="main", changed_files=("docs/a.md",),
    pull_request=PullRequest(number=7, source_branch="topic", target_branch="main"),
)  # fmt: skip
BY_HAND = Trigger(event=Event.MANUAL, sha=SHA, ref="refs/heads/x", branch="x", inputs={"LEVEL": "full"}, no_reuse=True)


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    folder = Folder(tmp_path)
    folder.write(".headway.yml", FILE)
    folder.commit()
    return folder


def planned(folder: Folder, trigger: Trigger) -> Plan:
    return plan_for(working_tree(folder.path), RunOptions(folder.path, like="x", trigger=trigger))


def steps(plan: Plan) -> list[str]:
    return [step.name for job in plan.jobs for step in job.steps]


def shown(plan: Plan) -> tuple[str, ...]:
    """What the first step finds in its environment: an input, the commit, the pull request's number."""
    environment = plan.jobs[0].steps[0].model_dump()["container"]["environment"]
    return tuple("".join(environment.get(name, ())) for name in ("LEVEL", "CI_COMMIT_SHA", "CI_COMMIT_PULL_REQUEST"))


def test_conditions_hold_as_they_did_there(folder: Folder) -> None:
    assert steps(planned(folder, PULL)) == ["always", "docs", "into-main"]
    assert steps(planned(folder, PULL.model_copy(update={"changed_files": ("a.py",)}))) == ["always", "into-main"]
    assert steps(planned(folder, BY_HAND)) == ["always", "docs"], "a run by hand has no changed files to look at"
    assert steps(planned(folder, PULL.model_copy(update={"event": Event.PUSH}))) == []


def test_the_commit_is_that_of_the_folder_and_the_inputs_are_those_of_the_run(folder: Folder) -> None:
    tree = working_tree(folder.path)
    assert shown(planned(folder, BY_HAND)) == ("full", tree.head, "")
    assert shown(planned(folder, PULL)) == ("quick", tree.head, "7")


def test_a_note_says_what_is_not_as_it_was_there(folder: Folder) -> None:
    tree = working_tree(folder.path)
    (note,) = notes_of(tree, RunOptions(like="x", trigger=PULL))
    assert note == (
        f"as in the run for the event pull_request, refs/pull/7/head at {SHA[:10]}; the files are those of this folder"
        f", which is at {tree.head[:10]}; secrets come from here alone"
    )
    (note,) = notes_of(tree, RunOptions(like="x", trigger=PULL.model_copy(update={"sha": tree.head})))
    assert "the files are those of this folder; secrets" in note


def test_a_folder_without_git_has_no_commit(tmp_path: Path) -> None:
    (tmp_path / ".headway.yml").write_text(FILE)
    plan = plan_for(working_tree(tmp_path), RunOptions(tmp_path, like="x", trigger=BY_HAND))
    assert shown(plan) == ("full", NO_COMMIT, "")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (RunOptions(like="x", event="push"), "leave out --event"),
        (RunOptions(like="x", branch="b", tag="t"), "leave out --branch and --tag"),
        (RunOptions(like="x", inputs=("A=1",)), "leave out --input"),
        (RunOptions(like="x"), "--like is no address of a run's page: 'x'. Copy it from the browser"),
    ],
)
def test_what_cannot_be_meant_is_a_sentence(options: RunOptions, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert launch(options) == exit_status.USAGE
    assert said in capsys.readouterr().err
