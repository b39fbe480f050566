"""The plan of ``headway run``: for which event, branch or tag, and which notes belong to it."""

from pathlib import Path

import pytest

from pipelines.trigger import Event
from runner.cli.run.choice.plan import event_of, notes_of, plan_for
from runner.cli.run.options import RunOptions
from runner.errors import StepError
from runner.source.working_tree import working_tree
from tests.runner.reuse.test_working_files import Folder

FILE = """\
steps:
  - {name: test, image: i, commands: [a]}
  - name: ship
    image: "i:${CI_COMMIT_TAG:-none}"
    commands: ["b ${CI_COMMIT_BRANCH}."]
    when: {event: tag, ref: refs/tags/v*}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    folder = Folder(tmp_path)
    folder.write(".headway.yml", FILE)
    folder.commit()
    return folder


def steps(folder: Folder, **options: object) -> list[str]:
    plan = plan_for(working_tree(folder.path), RunOptions(folder.path, **options))  # type: ignore[arg-type]
    return [step.name for job in plan.jobs for step in job.steps]


def test_a_tag_makes_its_event_and_its_ref(folder: Folder) -> None:
    assert steps(folder) == ["test"]
    assert steps(folder, tag="v1.2.3") == ["test", "ship"]
    assert steps(folder, tag="1.2.3") == ["test"]
    (job,) = plan_for(working_tree(folder.path), RunOptions(folder.path, tag="v1.2.3")).jobs
    assert "i:v1.2.3" in job.model_dump_json()
    assert "b ." in job.model_dump_json()


def test_a_part_of_the_pipeline_is_taken_of_what_runs_for_the_tag(folder: Folder) -> None:
    assert steps(folder, tag="v1", steps=("test",)) == ["test"]
    assert steps(folder, tag="v1", first_step="ship") == ["ship"]
    assert steps(folder, tag="v1", workflows=("headway",), steps=("ship",)) == ["test", "ship"]


@pytest.mark.parametrize("tag", ["a b", "a..b", "a.lock", "a~1", "/a", "a\x1b[2J"])
def test_a_tag_that_git_would_not_take_is_an_error(folder: Folder, tag: str) -> None:
    with pytest.raises(StepError, match=r"is no name of a tag in git; write for example --tag v1.2.3") as raised:
        steps(folder, tag=tag)
    assert "\x1b" not in str(raised.value)


def test_a_folder_with_a_dockerfile_alone_takes_a_tag(tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_text("FROM scratch\n")
    assert steps(Folder(tmp_path), tag="v1") == ["build"]


@pytest.mark.parametrize(
    ("options", "event"),
    [
        (RunOptions(), Event.PUSH),
        (RunOptions(tag="v1"), Event.TAG),
        (RunOptions(tag="v1", inputs=("A=1",)), Event.TAG),
        (RunOptions(inputs=("A=1",)), Event.MANUAL),
        (RunOptions(tag="v1", event="release"), Event.RELEASE),
        (RunOptions(event="cron"), Event.CRON),
    ],
)
def test_the_event_follows_from_the_options(options: RunOptions, event: Event) -> None:
    assert event_of(options) is event


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (RunOptions(event="puhs"), "there is no event 'puhs'; the events are push, tag,"),
        (RunOptions(tag="v1", event="push"), "--tag is for the events tag and release; leave out --event push or"),
        (RunOptions(tag="v1", branch="main"), "--tag is for the events tag and release; leave out --branch or --tag"),
    ],
)
def test_options_that_contradict_each_other_are_an_error(options: RunOptions, said: str) -> None:
    with pytest.raises(StepError) as raised:
        event_of(options)
    assert str(raised.value).startswith(said)


def test_from_a_step_on_a_note_says_what_must_be_there(folder: Folder) -> None:
    tree = working_tree(folder.path)
    assert list(notes_of(tree, RunOptions())) == []
    assert list(notes_of(tree, RunOptions(first_step="unit"))) == [
        (
            "steps before 'unit' do not run, but for builds: what they would have made must be in the folder, "
            "and not be ignored by git"
        ),
    ]
