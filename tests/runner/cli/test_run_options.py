"""The options of ``headway run`` that need no Typer."""

from pathlib import Path

from runner.cli.run.options import RunOptions, plain_options


def test_no_reuse_is_an_option_beside_others() -> None:
    assert plain_options(["--no-reuse", "here", "--push"]) == RunOptions(Path("here"), push=True, no_reuse=True)
    assert plain_options([]) == RunOptions()
    assert plain_options(["--no-reuses"]) is None
