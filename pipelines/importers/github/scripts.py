"""``run`` steps as the commands of one step: what they set for each other works as on a runner."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from pipelines.importers.github.expressions.folding import fold
from pipelines.importers.github.expressions.names import github_variable
from pipelines.importers.github.expressions.parser import (
    Lit,
    UnreadableError,
    parse_condition,
    parts_of,
    without_expressions,
)
from pipelines.importers.github.expressions.quoting import expressions_as_they_are
from pipelines.importers.github.expressions.statuses import ResultsError, Statuses, by_status
from pipelines.importers.github.expressions.texts import Texts
from pipelines.importers.remarks import Remarks
from pipelines.importers.yaml_text import Raw, Value, literal
from pipelines.syntax.diagnostics import Place

OUTPUTS, ENV, PATHS = "/headway/{}.outputs", "/headway/github.env", "/headway/github.path"
_BASH = re.compile(
    r"\[\[|<<<|\bsource\s|\bpushd\b|\bdeclare\s|\bpipefail\b|=\(|\$\{\w+(?:\^|,|//?|:\d|\[|@)|\bshopt\b|\bmapfile\b"
    r"|^[ \t]*function\s|\bread -a|\blocal -|\{\d+\.\.\d+\}|\$'|<\(|&>|\|&|\(\(",
    re.MULTILINE,
)
_CHANGES_SHELL = re.compile(r"(?:^|[;&|])[ \t]*(?:cd|exit|export|set|trap|exec|umask|pushd|return)\b", re.MULTILINE)
_SUDO = re.compile(
    r"(^|&&|\|\||;|\||\$\(|\bthen|\bdo|\bxargs)([ \t]*)sudo[ \t]+(?:-[EHn]+[ \t]+|--[ \t]+)*", re.MULTILINE
)
_SET_OUTPUT = re.compile(r"echo\s+([\"']?)::set-output name=([\w-]+)::(.{0,1000}?)\1[ \t]*$", re.MULTILINE)
_READS = re.compile(r"\$\{?((?:GITHUB|RUNNER)_[A-Z_]+)\b")
_WITH_VARIABLES = frozenset({"", "sh", "bash", "dash", "ksh", "zsh"})
_NOT_HERE = frozenset({"pwsh", "powershell", "cmd"})
_SHELLS = {"bash": "bash -eo pipefail", "sh": "sh -e", "python": "python3"}


@dataclass
class Run:
    """A step with ``run``, or with commands in place of an action. ``condition`` is what its ``if`` says.

    ``kept`` are values that it appends to files after its commands: the file, the name and the value of each.
    """

    text: str
    place: Place
    name: str = ""
    step_id: str = ""
    shell: str = ""
    directory: str = ""
    env: tuple[tuple[str, str, Place], ...] = ()
    condition: str = ""
    continues: bool = False
    timeout: str = ""
    kept: tuple[tuple[str, str, str], ...] = ()


@dataclass
class Script:
    """Runs that share one container. ``statuses`` are those after which they run; ``alone``: there is one only."""

    runs: list[Run]
    statuses: tuple[str, ...] = ("success",)
    alone: bool = False
    artifacts: dict[str, Value] = field(default_factory=dict)

    @property
    def text(self) -> str:
        """All of it."""
        return "\n".join(run.text for run in self.runs)


def cleaned(text: str) -> str:
    """The text without ``sudo``, which images do not have, and without old spellings."""
    plain = _SUDO.sub(r"\1\2", text.strip("\n"))
    return _SET_OUTPUT.sub(r'echo \1\2=\3\1 >> "$GITHUB_OUTPUT"', plain).rstrip()


def read_variables(text: str) -> dict[str, Value]:
    """The variables of GitHub that a script reads."""
    names = dict.fromkeys(_READS.findall(text))
    return {name: Raw(value) for name in names if (value := github_variable(name)) is not None}


def unset_variables(text: str) -> list[str]:
    """The variables of GitHub that a script reads and that nothing sets here."""
    known = {"GITHUB_OUTPUT", "GITHUB_ENV", "GITHUB_PATH"}
    return [name for name in dict.fromkeys(_READS.findall(text)) if github_variable(name) is None and name not in known]


def statuses_of(condition: str, texts: Texts) -> tuple[str, ...]:
    """The statuses after which a step runs; none for one that only ``when`` of a step of its own can say."""
    try:
        found = by_status(parse_condition(condition or "true"), texts.names)
    except UnreadableError:
        return ("success",)
    return () if len(found) > 1 or found[0].named else found[0].statuses


def holds_always(condition: str, events: Sequence[str], texts: Texts) -> bool:
    """Does a condition hold for each of the events, as far as they decide it?"""
    try:
        tree = _rest(condition or "true", texts).tree
        return all(
            isinstance(each, Lit) and each.holds for each in (fold(tree, event, texts.names) for event in events)
        )
    except UnreadableError:
        return False


def _rest(condition: str, texts: Texts) -> Statuses:
    """What is left of a condition. One with another rest for each status is not asked for: its step is alone."""
    return by_status(parse_condition(condition), texts.names)[0]


def test_of(run: Run, events: Sequence[str], texts: Texts) -> str | None:
    """The shell's test for a condition: empty where it always holds, None where it never does."""
    if not run.condition:
        return ""
    try:
        tree = _rest(run.condition, texts).tree
        found = [fold(tree, event, texts.names) for event in events]
        if (
            all(isinstance(each, Lit) for each in found)
            and len({each.holds for each in found if isinstance(each, Lit)}) == 1
        ):
            return "" if isinstance(found[0], Lit) and found[0].holds else None
        return texts.shell_test(fold(tree, "", texts.names), run.place)
    except ResultsError as error:
        texts.remarks.error(run.place, f"the condition {run.condition} asks for {error}, which no condition can here")
        return None
    except UnreadableError as error:
        texts.remarks.error(
            run.place, f"the condition {run.condition} cannot be taken over, for '{error}'; it is left out"
        )
        return ""


def commands_of(script: Script, events: Sequence[str], texts: Texts, loads: frozenset[str]) -> list[Value]:
    """The commands. ``loads`` are the files that earlier containers of the job may have written for later ones."""
    alone = len(script.runs) == 1
    found: list[Value] = [_load(file) for file in (ENV, PATHS) if file in loads]
    for run in script.runs:
        test = "" if alone else test_of(run, events, texts)
        if test is None:
            texts.remarks.note(run.place, f"the condition {run.condition} never holds here; its step is left out")
            continue
        found.append(_command(run, test, texts, alone=alone))
        if not alone:
            found += [_load(file) for file in written_by(run.text)]
    return found or ["true"]


def written_by(text: str) -> list[str]:
    """The files for later steps that a script writes to."""
    return [file for name, file in (("GITHUB_ENV", ENV), ("GITHUB_PATH", PATHS)) if name in text]


def _load(file: str) -> Value:
    change = 'export "$line"' if file == ENV else 'PATH="$line:$PATH"'
    return Raw(f"if [ -f {file} ]; then while IFS= read -r line; do {change}; done < {file}; fi")


def _command(run: Run, test: str, texts: Texts, *, alone: bool) -> Value:
    """One run as a command: by itself, or in a shell of its own where it would change the next one."""
    before = _before(run, texts, alone=alone)
    kept = (
        f'echo "{name}={texts.quoted(value, run.place)[1:-1]}" >> {literal(file)}' for file, name, value in run.kept
    )
    body = "\n".join([texts.script(cleaned(run.text), run.place), *kept])
    program = _program(run, texts)
    _remark_as_it_is(run, texts, program.partition(" ")[0])
    continues = run.continues and not alone
    isolated = bool(program) or continues or (not alone and bool(before or _CHANGES_SHELL.search(run.text)))
    if isolated:
        lines = _own_shell(program or "sh -e", before, body, continues=continues)
    else:
        lines = "\n".join([*before, body])
    if test:
        lines = f"if {test}; then\n{lines}\nfi"
    title = " ".join(without_expressions(run.name).split())
    if title and not (alone and "\n" not in lines):
        lines = f"# {literal(title)}\n{lines}"
    return Raw(lines)


def _remark_as_it_is(run: Run, texts: Texts, program: str) -> None:
    """A remark where a value is only known to a shell, and none puts it in."""
    is_shell = program in _WITH_VARIABLES
    all_parts = (part for part, is_expression in parts_of(run.text) if is_expression)
    silent = Texts(texts.names, Remarks(""))
    for part in expressions_as_they_are(run.text) if is_shell else all_parts:
        made = silent.script(f"${{{{{part}}}}}", run.place)
        if made.startswith(("$$", "$(")):
            where = "in single quotes" if is_shell else f"in a script of {program}"
            text = f"nothing puts in the value of '{part.strip()}' {where} here"
            texts.remarks.warning(run.place, text, "give it as a variable in 'env', and read that")
            return


def _before(run: Run, texts: Texts, *, alone: bool) -> list[str]:
    found: list[str] = []
    if not alone:
        for name, text, place in run.env:
            value = texts.quoted(text, place)
            if value != f'"$${{{name}}}"':
                found.append(f"export {name}={value}")
        if run.directory:
            found.append(f"cd {texts.quoted(run.directory, run.place)}")
    names = {"GITHUB_OUTPUT": OUTPUTS.format(run.step_id or "step"), "GITHUB_ENV": ENV, "GITHUB_PATH": PATHS}
    text = cleaned(run.text)
    used = {"GITHUB_OUTPUT"} if run.step_id and run.step_id in texts.names.read_steps else frozenset[str]()
    found += [f"export {name}={file}" for name, file in names.items() if name in text or name in used]
    return found


def _program(run: Run, texts: Texts) -> str:
    """The program for the script; empty where the step's own shell will do."""
    shell = run.shell.strip()
    text = without_expressions(run.text)
    if shell in _NOT_HERE:
        texts.remarks.error(run.place, f"the shell '{shell}' is not in images of Linux; sh runs these commands")
        return ""
    if "{0}" in shell:
        return shell.replace("{0}", "").strip()
    if shell in {"", "sh"}:
        return "bash -e" if not shell and _BASH.search(text) else ""
    if shell == "bash" and not _BASH.search(text) and "|" not in text:
        return ""
    return _SHELLS.get(shell, shell)


def _own_shell(program: str, before: list[str], body: str, *, continues: bool) -> str:
    """A script on a file descriptor, so that standard input stays as it is."""
    end = "END"
    while re.search(rf"^{end}$", body, re.MULTILINE):
        end += "_"
    is_shell = program.partition(" ")[0] in {"sh", "bash"}
    inside = [*before, body] if is_shell else [body]
    rest = " || true" if continues else ""
    lines = "\n".join([f"{program} /dev/fd/3 3<<'{end}'{rest}", *inside, end])
    return "\n".join(["(", *before, lines, ")"]) if before and not is_shell else lines
