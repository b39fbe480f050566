"""The options of ``headway run`` that need no Typer."""

from pathlib import Path

import pytest

from runner.cli.run.options import JOBS_MAX, RunOptions, plain_options


def test_no_reuse_is_an_option_beside_others() -> None:
    assert plain_options(["--no-reuse", "here", "--push"]) == RunOptions(Path("here"), push=True, no_reuse=True)
    assert plain_options(["--json"]) == RunOptions(json=True)
    assert plain_options(["--keep-on-failure"]) == RunOptions(keep_on_failure=True)
    assert plain_options([]) == RunOptions()
    assert plain_options(["--no-reuses"]) is None
    assert plain_options(["a", "b"]) is None


def test_options_with_values_count_once_or_add_up() -> None:
    words = "--event tag --event=push --branch a --secret A --secret=B --input X=1 --secrets-file f"
    words += " --workflow a --workflow=b --matrix GO=1.25 --matrix=A=b=c"
    assert plain_options(words.split()) == RunOptions(
        event="push", branch="a", secrets=("A", "B"), inputs=("X=1",), secrets_file=Path("f"), workflows=("a", "b"),
        cells=("GO=1.25", "A=b=c"),
    )  # fmt: skip
    assert plain_options(["--event"]) == RunOptions()


def test_a_part_of_a_pipeline_is_chosen_by_options() -> None:
    words = "--step a --step=b --from c --from d --tag v1 --jobs 3 --watch"
    assert plain_options(words.split()) == RunOptions(
        steps=("a", "b"), first_step="d", tag="v1", jobs=3, watch=True
    )  # fmt: skip


@pytest.mark.parametrize(
    ("text", "jobs"),
    [
        ("1", 1), (str(JOBS_MAX), JOBS_MAX), (str(JOBS_MAX + 1), None), ("0", None), ("-1", None), ("", None),
        ("two", None), ("\u0663", None), ("9" * 5000, None),
    ],
)  # fmt: skip
def test_the_number_of_jobs_is_from_1_to_its_limit_and_else_typer_says_what_is_wrong(
    text: str, jobs: int | None
) -> None:
    found = plain_options([f"--jobs={text}"])
    assert (found.jobs if found else None) == jobs
