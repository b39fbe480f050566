"""The options of ``headway run`` that need no Typer."""

from pathlib import Path

from runner.cli.run.options import RunOptions, plain_options


def test_no_reuse_is_an_option_beside_others() -> None:
    assert plain_options(["--no-reuse", "here", "--push"]) == RunOptions(Path("here"), push=True, no_reuse=True)
    assert plain_options(["--json"]) == RunOptions(json=True)
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
