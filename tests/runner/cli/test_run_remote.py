"""``headway run --remote``: which options it has, and what is said where it cannot send."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from runner.cli import exit_status
from runner.cli.main import app
from tests.support.repos import Repo

ALONE = [
    ("--push",), ("--event", "tag"), ("--tag", "v1"), ("--like", "http://x/repos/a/runs/1"), ("--secret", "A"),
    ("--secrets-file", "x"), ("--workflow", "a"), ("--matrix", "A=1"), ("--step", "a"), ("--from", "a"), ("--json",),
    ("--watch",), ("--keep-on-failure",), ("--jobs", "2"),
]  # fmt: skip


def refused(*words: str) -> str:
    done = CliRunner().invoke(app, ["run", *words])
    assert done.exit_code == exit_status.USAGE, done.output
    return done.stderr


@pytest.mark.parametrize("words", ALONE, ids=lambda words: words[0])
def test_options_that_a_run_on_a_server_does_not_have_are_refused(words: tuple[str, ...]) -> None:
    assert f"{words[0]} works only without --remote: the server runs the pipeline as a push" in refused(
        "--remote", *words
    )


def test_options_of_a_server_need_remote() -> None:
    for words in (("--server", "http://x"), ("--repo", "a/b")):
        assert "--server and --repo need --remote" in refused(*words)


def test_a_folder_without_git_is_refused(tmp_path: Path) -> None:
    assert "is in no repository of git: --remote sends the tree of one" in refused("--remote", str(tmp_path))
    assert "is not a folder" in refused("--remote", str(tmp_path / "none"))


def test_without_a_known_server_it_says_how_to_log_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HEADWAY_SERVER", "HEADWAY_TOKEN", "XDG_CONFIG_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    Repo(tmp_path / "x.git").git("init", "--quiet", str(tmp_path / "work"), at=False)
    (tmp_path / "work" / "file").write_text("")
    said = refused("--remote", str(tmp_path / "work"))
    assert "sending the working tree of work, " in said
    assert "as a whole: no remote branch has a commit of it" in said
    assert "headway login https://ci.example.com" in said
