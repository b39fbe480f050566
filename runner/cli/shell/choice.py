"""Which shell ``headway shell`` opens: one on this machine, or one in a step of a server."""

import os
import sys
import termios
from collections.abc import Sequence
from importlib.metadata import entry_points
from pathlib import Path

from pipelines.state import Reason
from pipelines.visible import visible_line
from runner.cli import exit_status
from runner.errors import StepError

_PROVIDERS = "headway.remote_shells"
"""The entry points of what speaks to a server: "open" opens a shell and returns its exit status; raises StepError."""
_WORDS_OF_SERVER = (2, 3)
NO_TERMINAL = (
    "a shell in a step of a server needs a terminal, and standard input is none. To run commands and to see what they "
    "print, put them into the pipeline file"
)


def open_chosen_shell(words: Sequence[str], server: str, *, remove: bool) -> int:
    """Opens the shell that the words of the command line mean. Returns its exit status, or one of ``exit_status``."""
    if refusal := _wrong_words(words, server, remove=remove):
        return _refuse(refusal)
    if len(words) not in _WORDS_OF_SERVER:
        from runner.cli.shell.shell import open_shell, remove_shell

        folder = Path(*words)
        return remove_shell(folder) if remove else open_shell(folder)
    if not os.isatty(0):
        return _refuse(NO_TERMINAL)
    try:
        (provider,) = entry_points(group=_PROVIDERS, name="open")
        status: int = provider.load()(words, server, _repo_here)
    except KeyboardInterrupt:
        return exit_status.INTERRUPTED
    except (StepError, OSError, termios.error) as error:
        return _refuse(str(error), exit_status.BROKEN)
    return status


def _wrong_words(words: Sequence[str], server: str, *, remove: bool) -> str:
    """What is wrong with the command line; empty if nothing is."""
    for word in (*words, server):
        if word.encode(errors="ignore").decode() != word:  # what is no UTF-8 arrives as surrogates
            return f"the argument {word.encode(errors='backslashreplace').decode()} is no text in UTF-8; write it anew"
    if len(words) > max(_WORDS_OF_SERVER):
        return "these are too many words; write: headway shell [REPO] RUN STEP"
    if len(words) in _WORDS_OF_SERVER:
        return "--remove is for what is kept on this machine; leave RUN and STEP out" if remove else ""
    if server:
        return "--server is for a step that runs there; write: headway shell RUN STEP"
    if words and _is_run(words[0]) and not Path(words[0]).exists():
        return f"name the step, too: headway shell {words[0]} STEP"
    return ""


def _is_run(word: str) -> bool:
    return word.removeprefix("#").isdecimal() or word.startswith(("http://", "https://"))


def _repo_here() -> str:
    """What a server probably calls the repository of this folder. Raises StepError."""
    from runner.source.working_tree import working_tree

    tree = working_tree(Path())
    if not tree.remote():
        message = "this folder has no git remote that names the repository; write: headway shell REPO RUN STEP"
        raise StepError(Reason.INVALID_PIPELINE, message)
    return tree.context().repo.name


def _refuse(sentence: str, status: int = exit_status.USAGE) -> int:
    sys.stderr.write(f"{visible_line(f'headway: {sentence}')}\n")
    return status
