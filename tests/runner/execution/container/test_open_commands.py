"""What a shell needs more lines for, also compared with what shells say themselves."""

import shutil
import subprocess

import pytest

from runner.execution.container.open_commands import OpenCommands
from runner.execution.container.script import script_of

CLOSED = [
    "make", "echo a | cat", "true || false", "a && b", "echo 'a |'", 'echo "a |"', "echo a \\|", "echo a # |",
    "echo a#|cat", "if a; then b; fi", "for a in b c; do echo $a; done", "while read a; do b; done < file",
    "until a; do b; done", "case $a in b) c ;; (d|e) f;; *) g; esac", "case a in b) case c in d) e;; esac ;; esac",
    "f() { a; }", "(a; b)", "{ a; }", "echo if", "echo case in", "echo done", "echo {", "./if", "cat <<E\na | b '\nE",
    "cat <<-'E' | tr a b\n\ta\n\tE", "cat <<A <<B\na\nA\nb\nB", "cat <<<'a'", "echo $((1<<2))",
    "echo $(( (1 + 2) * 3 ))", "echo $(a | b)", 'echo "$(echo "a" | b)"', "echo `a | b`", "echo ${a:-b}",
    "echo ${a:-'}'}", "a &", "a; b;", "[ a ] && b", "[[ a || b ]]", "a=(b c)", "diff <(a) <(b)", "echo $'it\\'s'",
    "echo 2>&1 | cat", "a &&\nb", "if a\nthen b\nfi", "echo $(case a in b) c;; esac)", "echo a \\\nb", "", "# a |",
    "! a", "x=$(cat <<E\na\nE\n)",
]  # fmt: skip
OPEN = [
    "a |", "a ||", "a &&", "a | # why", "a |\n\n", "echo 'a", 'echo "a', "echo `a", "echo $(a", "echo ${a", "if a",
    "if a; then b", "if a; then b; else", "for a in b", "for a in b; do c", "while a; do", "case a in",
    "case a in b) c", "case a in b) c ;;", "f() {", "(a", "{ a", "cat <<E", "cat <<E\na", "cat <<'E F'\nE",
    "cat <<-E\n a\n E", "cat <<A <<B\na\nA", 'echo "$(echo ")"', "echo $((1<<2", "a && {",
    "if a; then if b; then c; fi", "echo $'it\\'s",
]  # fmt: skip
CASES = [(text, False) for text in CLOSED] + [(text, True) for text in OPEN]
# bash reads it so only as `sh`.
OF_POSIX = [('echo "${a:-it\'s}"', False)]


@pytest.mark.parametrize(("text", "is_open"), CASES + OF_POSIX)
def test_what_is_open(text: str, is_open: bool) -> None:
    assert OpenCommands().read(f"{text}\n") is is_open


@pytest.mark.parametrize(("text", "is_open"), CASES)
def test_bash_agrees(text: str, is_open: bool) -> None:
    """It complains of the end of its input only where something is open; of a here-document by a warning."""
    if not (bash := shutil.which("bash")):
        pytest.skip("bash is not installed")
    done = subprocess.run([bash, "-n", "-c", f"{text}\n"], capture_output=True, text=True, check=False)
    says = (
        "unexpected end of file",
        "unexpected EOF",
        "here-document",
        "matching",
        "syntax error near unexpected token `newline'",
    )
    assert any(each in done.stderr for each in says) is is_open, done.stderr


def test_lines_may_come_one_by_one() -> None:
    reader = OpenCommands()
    found = [reader.read(f"{line}\n") for line in ("cat <<E |", "a 'b", "E", "cat", "if a", "then", "fi", "make")]
    assert found == [True, True, True, False, True, True, False, False]


def test_commands_that_belong_together_are_printed_before_them() -> None:
    script = script_of(["true ||", "rm -r x", "echo 'a", "b'", "make \\", "make"], "", {})
    assert script.splitlines() == [
        "printf '%s\\n' '+ true ||'", "printf '%s\\n' '+ rm -r x'", "true ||", "rm -r x",
        """printf '%s\\n' '+ echo '"'"'a'""", """printf '%s\\n' '+ b'"'"''""", "echo 'a", "b'",
        "printf '%s\\n' '+ make \\'", "make \\", "", "printf '%s\\n' '+ make'", "make",
    ]  # fmt: skip


def test_a_script_that_stays_open_is_given_to_the_shell_as_it_is() -> None:
    assert script_of(["if a", "then b"], "", {}).endswith("if a\nthen b\n")
