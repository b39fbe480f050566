"""Every ``headway`` command line in the documents names an existing command and existing options."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

import pytest
import typer
from typer.core import TyperGroup
from typer.main import get_command

from runner.cli.main import app as own_commands
from tests.support.documents import PAGES, CommandLine, command_lines_of
from tests.support.paths import ROOT
from web.cli.main import register as register_web
from workers.cli.main import register as register_workers


class Parameter(Protocol):
    """An option or an argument of a command."""

    opts: list[str]


PLACEHOLDERS = {"...", "COMMAND"}
CHANGELOG = ROOT / "CHANGELOG.md"
LINES = [line for page in PAGES if page != CHANGELOG for line in command_lines_of(page)]


def application() -> TyperGroup:
    """The whole command line, as the entry points put it together."""
    more = typer.Typer()
    register_workers(more)
    register_web(more)
    command, server = get_command(own_commands), get_command(more)
    assert isinstance(command, TyperGroup)
    assert isinstance(server, TyperGroup)
    command.commands = {**command.commands, **server.commands}
    return command


APPLICATION = application()


def problem_of(line: CommandLine) -> str:
    """What the command line does not accept; empty where it is right."""
    group, words = APPLICATION, list(line.words)
    while words and words[0] in group.commands:
        command = group.commands[words.pop(0)]
        if not isinstance(command, TyperGroup):
            return _unknown_option(words, command.params) or (
                _misuse(command.make_context, words) if line.whole else ""
            )
        group = command
    if words and words[0] in PLACEHOLDERS:
        return ""
    if words and not words[0].startswith("-"):
        return f"there is no command {words[0]}"
    return _unknown_option(words, group.params)


def _unknown_option(words: Sequence[str], parameters: Sequence[Parameter]) -> str:
    known = {"--help"}.union(*(parameter.opts for parameter in parameters))
    unknown = {word.partition("=")[0] for word in words if word.startswith("-") and word != "-"} - known
    return f"there is no option {', '.join(unknown)}" if unknown else ""


def _misuse(parse: Callable[[str, list[str]], object], words: list[str]) -> str:
    """What typer says of these arguments: one is missing, one too many, or of the wrong type."""
    try:
        parse("headway", words)
    except Exception as error:  # noqa: BLE001 - the exceptions of typer have no public name
        return str(error) or type(error).__name__
    return ""


def test_there_are_command_lines() -> None:
    assert sum(line.whole for line in LINES) > 40
    assert sum(not line.whole for line in LINES) > 40


@pytest.mark.parametrize("line", LINES, ids=str)
def test_a_command_line_of_the_documents_is_accepted(line: CommandLine) -> None:
    assert problem_of(line) == ""


def test_every_command_is_in_the_documents() -> None:
    named = {line.words[:depth] for line in LINES for depth in (1, 2)}
    commands = {
        (name, *below)
        for name, command in APPLICATION.commands.items()
        for below in ([(word,) for word in command.commands] if isinstance(command, TyperGroup) else [()])
    }
    assert commands - named == set()


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("headway repo add /srv/app.git --name team/app", ""),
        ("headway repo put /srv/app.git", "there is no command put"),
        ("X=1 .venv/bin/headway secret set team/app TOKEN --evnt push < token.txt", "there is no option --evnt"),
        ("docker compose exec -T web headway cron add team/app nightly", "expression"),
        ("true && headway token create ada backup --days never", "integer"),
        ("headway user list ada", "extra argument"),
    ],
)
def test_a_wrong_command_line_is_found(tmp_path: Path, text: str, problem: str) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"```\n{text}\n```\n")
    (line,) = command_lines_of(page)
    assert problem in problem_of(line)
    assert bool(problem) == bool(problem_of(line))
