"""Which shell the words of ``headway shell`` mean, and what it says where they mean none."""

import subprocess
import sys
from pathlib import Path

import pytest

from runner.cli.shell.choice import NO_TERMINAL, open_chosen_shell

HEADWAY = str(Path(sys.executable).with_name("headway"))


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))


@pytest.mark.parametrize(
    ("words", "server", "remove", "said"),
    [
        (["a/b", "1", "unit", "more"], "", False, "too many words"),
        (["1", "unit"], "", True, "--remove is for what is kept on this machine"),
        ([], "https://ci.test", False, "--server is for a step that runs there"),
        (["folder"], "https://ci.test", False, "--server is for a step that runs there"),
        (["12"], "", False, "name the step, too: headway shell 12 STEP"),
        (["#12"], "", False, "name the step, too: headway shell #12 STEP"),
        (["https://ci.test/repos/a/b/runs/1"], "", False, "name the step, too"),
        (["1", "\udcff"], "", False, "the argument \\udcff is no text in UTF-8"),
        (["1", "unit"], "", False, NO_TERMINAL),
        (["a/b", "1", "unit"], "", False, NO_TERMINAL),
        ([], "", False, "nothing is kept of"),
        (["folder"], "", True, "nothing is kept of"),
    ],
)
def test_words_that_mean_no_shell(
    words: list[str], server: str, remove: bool, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert open_chosen_shell(words, server, remove=remove) == 2
    assert said in capsys.readouterr().err


def test_a_folder_may_be_called_like_a_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "12").mkdir()
    assert open_chosen_shell(["12"], "", remove=False) == 2
    assert f"nothing is kept of {tmp_path}/12" in capsys.readouterr().err


@pytest.mark.slow
def test_the_command_line_hands_its_words_over_and_help_says_which_is_which() -> None:
    done = subprocess.run([HEADWAY, "shell", "12"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (2, "headway: name the step, too: headway shell 12 STEP\n")
    shown = subprocess.run([HEADWAY, "shell", "--help"], capture_output=True, text=True, check=True).stdout
    assert "FOLDER | [REPO] RUN STEP" in shown
    assert "Without them: in the step that failed here" in shown
