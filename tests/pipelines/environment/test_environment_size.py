"""Variables that are too large for a program: ours are made to fit, those of people are refused by name."""

import json

import pytest

from pipelines.environment.environment_size import (
    OWN_BYTES_MAX,
    OWN_VALUE_BYTES_MAX,
    WORD_BYTES_MAX,
    WORDS_BYTES_MAX,
    byte_count,
    fit_own,
    too_large,
)
from pipelines.trigger import Event, PullRequest, Trigger
from tests.support.pipelines import container_of, event, job_of, problems_of, push, step_of, value_of

STEP = "steps: [{name: a, image: i, commands: x}]"
PLUGIN = "steps: [{name: a, image: i, settings: {x: y}}]"
ROOM = WORD_BYTES_MAX - len("LONG=") - 1


def test_a_commit_message_at_the_limit_is_whole_and_one_past_it_is_shortened() -> None:
    at, past = "m" * OWN_VALUE_BYTES_MAX, "m" * (OWN_VALUE_BYTES_MAX + 1)
    whole, cut = job_of(STEP, push(message=at)), job_of(STEP, push(message=past))
    assert value_of(container_of(whole.steps[0]), "CI_COMMIT_MESSAGE") == at
    assert whole.notes == ()
    assert value_of(container_of(cut.steps[0]), "CI_COMMIT_MESSAGE") == at
    (note,) = cut.notes
    assert note == (
        "CI_COMMIT_MESSAGE has only the first 131,008 of its 131,009 bytes, and a program gets no larger variable; "
        "ask git for what is missing"
    )


def test_a_text_is_cut_between_two_characters() -> None:
    fitted = fit_own({"CI_COMMIT_MESSAGE": "x" + "ü" * OWN_VALUE_BYTES_MAX})
    text = fitted.values["CI_COMMIT_MESSAGE"]
    assert text == "x" + "ü" * ((OWN_VALUE_BYTES_MAX - 1) // 2)


@pytest.mark.parametrize(
    ("trigger", "name"),
    [
        (push(changed_files=tuple(f"{'d' * 300}/{number}" for number in range(480))), "CI_PIPELINE_FILES"),
        (push(branch="b" * 200_000), "CI_COMMIT_BRANCH"),
        (push(url="https://x/" + "u" * 200_000), "CI_PIPELINE_FORGE_URL"),
        (event("deployment", deploy_task="t" * 200_000), "CI_PIPELINE_DEPLOY_TASK"),
    ],
)
def test_what_would_be_wrong_if_it_were_cut_is_left_out(trigger: Trigger, name: str) -> None:
    job = job_of(STEP, trigger)
    assert name not in container_of(job.steps[0]).environment
    assert any(note.startswith(f"{name} is empty: it would have ") for note in job.notes)


def test_480_short_paths_are_all_there() -> None:
    files = tuple(f"src/{number}.py" for number in range(480))
    job = job_of(STEP, push(changed_files=files))
    assert json.loads(value_of(container_of(job.steps[0]), "CI_PIPELINE_FILES")) == list(files)


def test_ours_leave_room_for_the_users_and_a_plugins_second_names() -> None:
    long = "x" * OWN_VALUE_BYTES_MAX
    pull = PullRequest(number=1, source_branch=long, target_branch=long, labels=(long,), milestone=long)
    trigger = Trigger(event=Event.PULL_REQUEST, sha="0" * 40, ref=long, branch=long, message=long, author=long,
                      author_email=long, sender=long, url=long, pull_request=pull)  # fmt: skip
    environment = container_of(step_of(PLUGIN, trigger)).environment
    sizes = {name: byte_count(value_of(container_of(step_of(PLUGIN, trigger)), name)) for name in environment}
    assert sum(sizes.values()) <= 2 * OWN_BYTES_MAX
    assert not list(too_large(sizes))
    assert max(sizes.values()) > 32 * 1024


@pytest.mark.parametrize("value", ["x" * ROOM, "ü" * (ROOM // 2)])
def test_a_value_of_the_users_is_taken_up_to_the_limit_and_named_with_its_place_past_it(value: str) -> None:
    def pipeline(text: str) -> str:
        return (
            f'steps:\n  - name: a\n    image: i\n    commands: x\n    environment:\n      B: c\n      LONG: "{text}"\n'
        )

    assert problems_of(pipeline(value)) == []
    (problem,) = problems_of(pipeline(value + "yy"))
    assert problem.startswith("7:13: error: the variable LONG has 131,07")
    assert "bytes with its name; a program gets at most 131,072 in one (in step 'a')" in problem
    assert "put it into a file" in problem


@pytest.mark.parametrize(
    "text",
    [
        "steps: [{name: a, image: i, settings: {LONG: '%s'}}]",
        "steps: [{name: a, image: i, commands: x}]\nservices: [{name: s, image: i, environment: {LONG: '%s'}}]",
        "matrix: {LONG: ['%s']}\nsteps: [{name: a, image: i, commands: x}]",
        "steps: [{name: a, image: i, commands: x, entrypoint: [sh, '%s']}]",
        "steps: [{name: a, image: i, commands: x}]\nservices: [{name: s, image: i, commands: ['%s']}]",
        "steps: [{name: a, image: i, commands: x}]\nservices: [{name: s, image: i, ready: '%s'}]",
        "steps: [{name: a, build: {args: {LONG: '%s'}}}]",
        "steps: [{name: a, build: {labels: {LONG: '%s'}}}]",
        "steps: [{name: a, build: {target: '%s'}}]",
    ],
)
def test_every_way_to_a_large_value_is_an_error_that_lint_finds(text: str) -> None:
    (problem,) = problems_of(text % ("x" * WORD_BYTES_MAX))
    assert "131,0" in problem
    assert ": error: " in problem


def test_a_value_by_substitution_is_named_too() -> None:
    long = push(message="m " * OWN_VALUE_BYTES_MAX)
    twice = "two ${CI_COMMIT_MESSAGE} ${CI_COMMIT_MESSAGE}"
    (problem,) = problems_of(f"steps: [{{name: a, image: i, commands: x, environment: {{LONG: '{twice}'}}}}]", long)
    assert "the variable LONG has 262,0" in problem
    (problem,) = problems_of("steps: [{name: a, image: i, commands: 'echo ${CI_COMMIT_MESSAGE//m/mm}'}]", long)
    assert "a value that ${...} puts into the commands" in problem
    assert problems_of("steps: [{name: a, image: i, commands: 'echo ${CI_COMMIT_MESSAGE}'}]", long) == []


def test_all_together_have_a_limit_and_the_largest_is_named() -> None:
    sizes = {f"V{number:02}": 100_000 for number in range(19)}
    rest = WORDS_BYTES_MAX - sum(100_000 + len(name) + 2 + 8 for name in sizes) - len("W") - 2 - 8
    assert list(too_large({**sizes, "W": rest})) == []
    (wrong,) = too_large({**sizes, "W": rest + 1})
    assert wrong.message == (
        "the variables have 1,966,081 bytes together; a program gets at most 1,966,080; the largest is V00 with 100,005"
    )
