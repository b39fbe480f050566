"""What a step's commands may do, and what is told of it, on the engine."""

import hashlib
import os
from typing import Any

import pytest

from pipelines.state import Outcome, Reason, State
from runner.docker.containers.specs import Limits
from runner.events import Stream
from runner.execution.job.git_settings import git_variables
from runner.execution.job.options import Options
from tests.support.engine import JobRunner, need_limit
from tests.support.job_result import JobResult
from tests.support.plans import BUSYBOX, build, container, shell

pytestmark = pytest.mark.engine


def test_each_command_is_shown_before_its_output(ran: JobRunner) -> None:
    job = ran(shell("echo one", "echo 'two'\necho '\\three'"))
    assert job.log() == b"+ echo one\none\n+ echo 'two'\necho '\\three'\ntwo\n\\three\n"


@pytest.mark.parametrize("code", [1, 2, 7, 42, 125, 255])
def test_the_exit_code_is_the_commands(ran: JobRunner, code: int) -> None:
    job = ran(shell(f"exit {code}"))
    assert job.step() == Outcome(State.FAILED, Reason.EXIT_CODE, f"exited with {code}", code)
    assert job.log(1, Stream.NOTE).decode() == f"headway: exited with {code}\n"


def test_a_command_that_is_not_there_is_127_with_a_hint(ran: JobRunner) -> None:
    job = ran(shell("frobnicate --all"))
    assert job.step().exit_code == 127
    assert "a command was not found in the image" in job.step().message
    assert b"frobnicate: not found" in job.log(1, Stream.STDERR)


def test_a_command_that_is_no_program_is_126_with_a_hint(ran: JobRunner) -> None:
    job = ran(shell("./data"), files={"data": "no program"})
    assert job.step().exit_code == 126
    assert "cannot be executed" in job.step().message


def test_commands_after_a_failed_one_do_not_run(ran: JobRunner) -> None:
    job = ran(shell("echo before", "false", "echo after"))
    assert job.said() == ["before"]
    assert job.step().exit_code == 1


def test_one_shell_runs_all_commands(ran: JobRunner) -> None:
    job = ran(shell("cd /tmp", "NAME=value", "twice() { echo $1 $1; }", "pwd", "twice $NAME"))
    assert job.said() == ["/tmp", "value value"]


def test_a_syntax_error_fails_the_step(ran: JobRunner) -> None:
    job = ran(shell("if true; then"))
    assert job.step().state is State.FAILED
    assert b"syntax error" in job.log(1, Stream.STDERR)


def test_an_unset_variable_under_set_u_fails_the_step(ran: JobRunner) -> None:
    job = ran(shell("set -u", "echo $THERE_IS_NONE", "echo never"))
    assert job.step().state is State.FAILED
    assert job.said() == []


def test_traps_of_the_script_run_at_its_end(ran: JobRunner) -> None:
    job = ran(shell("trap 'echo bye' EXIT", "exit 6"))
    assert job.said() == ["bye"]
    assert job.step().exit_code == 6


def test_a_script_may_replace_its_shell(ran: JobRunner) -> None:
    job = ran(shell("exec sh -c 'echo replaced; exit 9'"))
    assert job.said() == ["replaced"]
    assert job.step().exit_code == 9


def test_standard_input_is_empty(ran: JobRunner) -> None:
    job = ran(shell("cat", "read -r line || echo nothing to read", "wc -c"))
    assert job.said() == ["nothing to read", "0"]


def test_a_process_left_behind_does_not_hold_the_step(ran: JobRunner) -> None:
    job = ran(shell("sleep 1000 &", "setsid sh -c 'sleep 1000' &", "(trap '' TERM HUP; sleep 1000) &", "echo done"))
    assert job.said() == ["done"]
    assert job.outcome.state is State.PASSED


def test_a_script_of_300_kilobytes_runs_as_it_is(ran: JobRunner) -> None:
    words = [f"echo '{number:05} {'x' * 90}'" for number in range(3000)]
    job = ran(shell("\n".join(words)))
    assert job.said()[-3000:] == [word[6:-1] for word in words]
    assert job.outcome.state is State.PASSED


def test_a_script_too_large_for_a_custom_entrypoint_says_so(ran: JobRunner) -> None:
    job = ran(shell("true #" + "x" * 200_000, box=container(entrypoint=("sh", "-c", "true"))))
    assert job.step().state is State.FAILED
    assert job.step().reason is Reason.BAD_COMMAND
    assert "too long" in job.step().message


def test_text_that_looks_like_options_escapes_or_patterns_stays_text(ran: JobRunner) -> None:
    hostile = [
        "-n",
        "-e \\n",
        "%s%n%d",
        "$(reboot)",
        "`id`",
        "a'b\"c",
        "\\c\\0101\\\\",
        "* ?",
        "<script>",
        "\t|\x1e|\r|",
        "ü☃",
    ]
    quoted = ["printf '%s\\n' '" + word.replace("'", "'\\''") + "'" for word in hostile]
    job = ran(shell(*quoted))
    shown = b"".join(f"+ {line}\n{word}\n".encode() for line, word in zip(quoted, hostile, strict=True))
    assert job.log() == shown


def test_a_here_document_over_several_lines_is_kept(ran: JobRunner) -> None:
    job = ran(shell("cat <<'END'\n  indented\n\n\\backslash $HOME\nEND", "echo after"))
    assert job.log(1, Stream.STDOUT).endswith(b"  indented\n\n\\backslash $HOME\n+ echo after\nafter\n")


def test_every_byte_comes_through(ran: JobRunner) -> None:
    data = bytes(range(256)) * 40 + b"no line end"
    job = ran(shell("cat data"), files={"data": data})
    assert job.log(1, Stream.STDOUT) == b"+ cat data\n" + data


def test_output_without_an_end_of_line_is_kept(ran: JobRunner) -> None:
    job = ran(shell("printf half"))
    assert job.log() == b"+ printf half\nhalf"


def test_the_two_outputs_are_told_apart(ran: JobRunner) -> None:
    job = ran(shell("echo out; echo err >&2; echo out2"))
    assert job.said() == ["out", "out2"]
    assert job.log(1, Stream.STDERR) == b"err\n"


def test_a_megabyte_on_either_output_just_before_the_end_is_whole(ran: JobRunner) -> None:
    data = os.urandom(1_000_000)
    job = ran(*(shell("cat data >&2") for _ in range(3)), *(shell("cat data") for _ in range(2)), files={"data": data})
    for number in (1, 2, 3):
        assert hashlib.sha256(job.log(number, Stream.STDERR)).digest() == hashlib.sha256(data).digest()
    for number in (4, 5):
        assert job.log(number, Stream.STDOUT).endswith(data[-1000:])
        assert len(job.log(number)) == len(b"+ cat data\n" + data)


def test_fifty_megabytes_are_whole(ran: JobRunner) -> None:
    data = os.urandom(500_000)
    job = ran(shell("for i in $(seq 100); do cat data; done"), files={"data": data})
    said = job.log(1, Stream.STDOUT).partition(b"done\n")[2]
    assert hashlib.sha256(said).hexdigest() == hashlib.sha256(data * 100).hexdigest()


def test_past_its_limit_the_log_ends_with_a_sentence_and_the_step_goes_on(ran: JobRunner) -> None:
    job = ran(shell("head -c 50000 /dev/zero | tr '\\0' x", "exit 3"), options=Options(log_bytes_max=1000))
    sentence = b"\nheadway: the output ends here: it is larger than the limit of 1,000 bytes for a step.\n"
    assert job.log().endswith(b"x" + sentence)
    assert len(job.log()) == 1000 + len(sentence)
    assert job.step().exit_code == 3


def test_variables_with_any_text_reach_the_commands(ran: JobRunner) -> None:
    values = {"QUOTES": "a'b\"c $HOME `id`", "LINES": "one\ntwo\n", "EMPTY": "", "EQUALS": "a=b=c"}
    job = ran(shell(*(f'printf "%s|" "${name}"' for name in values), box=container(environment=values)))
    said = job.log(1, Stream.STDOUT)
    for name, value in values.items():
        assert f'"${name}"\n{value}|'.encode() in said


def test_variables_of_the_runner_do_not_reach_the_commands(ran: JobRunner) -> None:
    job = ran(shell("env | cut -d= -f1 | sort"))
    known = {"HOME", "HOSTNAME", "PATH", "PWD", "OLDPWD", "SHLVL", *git_variables({})}
    assert [name for name in job.said() if name not in known and not name.startswith("CI_")] == []


def test_a_step_runs_as_the_user_that_it_asks_for(ran: JobRunner) -> None:
    job = ran(shell("id -u", "sleep 1000 &", box=container(user="1000")))
    assert job.said() == ["1000"]
    assert job.outcome.state is State.PASSED


def test_a_user_that_is_not_in_the_image_fails_the_step(ran: JobRunner) -> None:
    job = ran(shell("true", box=container(user="somebody")))
    assert job.step().state is State.FAILED
    assert "somebody" in job.step().message


def test_an_image_without_a_shell_says_what_to_do(ran: JobRunner) -> None:
    files = {"Dockerfile": "FROM scratch\nCOPY Dockerfile /\n"}
    job = ran(build(), shell("true", box=container(1)), files=files)
    assert job.step(2).reason is Reason.BAD_COMMAND
    assert "needs an image that has a shell" in job.step(2).message


def test_an_entrypoint_that_is_not_in_the_image_fails_the_step(ran: JobRunner) -> None:
    job = ran(shell("true", box=container(entrypoint=("/no/such/program",))))
    assert job.step().exit_code == 127
    assert "`entrypoint` '/no/such/program'" in job.step().message
    assert b"/no/such/program" in job.log(1, Stream.STDERR)


@pytest.mark.parametrize(
    "bad",
    [
        {"volumes": ("/x:relative",)},
        {"extra_hosts": ("nonsense",)},
        {"devices": ("/dev/nonesuch",)},
        {"tmpfs": ("relative",)},
    ],
)
def test_what_the_engine_does_not_take_fails_the_step_and_is_shown(ran: JobRunner, bad: dict[str, Any]) -> None:
    job = ran(shell("true", box=container(**bad)))
    assert job.step().state is State.FAILED
    assert next(iter(bad.values()))[0].rpartition(":")[2] in job.step().message


def test_a_name_that_can_be_no_image_fails_the_step(ran: JobRunner) -> None:
    job = ran(shell("true", box=container("Not An Image")))
    assert job.step().state is State.FAILED
    assert "Not An Image" in job.step().message


def test_what_a_container_asks_for_it_gets(ran: JobRunner) -> None:
    box = container(
        extra_hosts=("db.example:10.1.2.3",), dns=("10.9.9.9",), dns_search=("example.org",), tmpfs=("/fast",)
    )
    job = ran(shell("grep db.example /etc/hosts", "cat /etc/resolv.conf", "grep ' /fast ' /proc/mounts", box=box))
    text = job.log().decode()
    assert "10.1.2.3\tdb.example" in text
    assert "search example.org" in text
    assert "tmpfs /fast tmpfs" in text


def test_a_network_mode_of_none_has_no_network(ran: JobRunner) -> None:
    job = ran(shell("ls /sys/class/net", box=container(network_mode="none")))
    assert job.said() == ["lo"]


def test_a_step_that_needs_too_much_memory_is_told_apart_from_one_that_was_killed(ran: JobRunner) -> None:
    need_limit(ran.engine, "MemoryLimit")
    limits = Options(limits=Limits(memory_bytes=16 * 1024**2))
    job = ran(shell("x=a; while true; do x=$x$x; done"), options=limits)
    step = job.step()
    assert (step.state, step.reason, step.exit_code) == (State.FAILED, Reason.OUT_OF_MEMORY, 137)
    assert step.message.startswith("killed for memory: it used 16 MiB, its limit; ")


def test_a_step_whose_shell_was_killed_says_so(ran: JobRunner) -> None:
    job = ran(shell("echo before", "kill -KILL $$", "sleep 1000"))
    assert job.step().reason is Reason.KILLED
    assert job.step().message.startswith("its shell was killed by SIGKILL (exit code 137)")
    assert job.said()[0] == "before"


def test_more_processes_than_the_limit_cannot_be_started(ran: JobRunner) -> None:
    need_limit(ran.engine, "PidsLimit")
    job = ran(shell("for i in $(seq 40); do sleep 1000 & done"), options=Options(limits=Limits(pids=20)))
    assert job.step().state is State.FAILED
    assert b"fork" in job.log(1, Stream.STDERR)


def test_the_number_of_open_files_is_the_engines_or_the_limits_and_one_too_high_for_the_engine_is_said(
    ran: JobRunner,
) -> None:
    def limited(files: int) -> JobResult:
        return ran(shell("ulimit -Sn", "ulimit -Hn"), options=Options(limits=Limits(files=files)))

    assert limited(0).said() != ["512", "512"]
    assert limited(512).said() == ["512", "512"]
    refused = limited(2**31 - 2)  # more than any kernel gives
    assert (refused.step().state, refused.step().reason) == (State.BROKEN, Reason.ENGINE_UNSUITABLE)
    assert "or lower HEADWAY_STEP_FILES_MAX" in refused.step().message


def test_a_step_cannot_gain_privileges(ran: JobRunner) -> None:
    job = ran(shell("grep NoNewPrivs /proc/self/status"))
    assert job.said() == ["NoNewPrivs:\t1"]


@pytest.mark.parametrize("image", [BUSYBOX, "python:3.13-slim"])
def test_the_shells_of_common_images_behave_the_same(ran: JobRunner, image: str) -> None:
    job = ran(
        shell(
            "sleep 1000 &", "printf 'a\\\\b%s\\n' \"$(echo c)\"", "trap 'echo end' EXIT", "false", box=container(image)
        )
    )
    assert job.said() == ["a\\bc", "end"]
    assert job.step().exit_code == 1
