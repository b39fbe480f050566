"""Services beside the steps: reachable by name, and ready when the steps begin."""

from collections.abc import Callable
from pathlib import Path

import pytest

from pipelines.plan import SecretRef
from pipelines.state import Reason, State
from pipelines.step_options.ready import CommandCheck, ExitCheck, HttpCheck, PortCheck
from runner.cancellation import Cancel
from runner.events import Stream
from tests.support.engine import JobRunner, eventually, in_thread
from tests.support.plans import container, service, shell

pytestmark = [pytest.mark.engine, pytest.mark.both_stores]

LATE_PORT = "sleep 0.5; echo up > /tmp/up; nc -ll -p 5432 -e echo hello"
HTTPD = "mkdir -p /www; sleep 0.5; echo fine > /www/health; httpd -f -p 8080 -h /www"


def test_a_service_is_reached_by_its_name(ran: JobRunner) -> None:
    job = ran(
        # The server listens again only a moment after each connection, so the second step retries.
        shell("nc db 5432 < /dev/null"), shell("until nc db 5432 < /dev/null; do sleep 0.1; done"),
        services=[service("db", LATE_PORT, ready=PortCheck(port=5432))],
    )  # fmt: skip
    assert job.states == [State.PASSED, State.PASSED]
    assert job.said(2) == ["hello"]


def test_services_see_each_other_and_the_checkout(ran: JobRunner) -> None:
    job = ran(
        shell("cat from-b"),
        services=[
            service("a", LATE_PORT, ready=PortCheck(port=5432)),
            service("b", "cd /headway/src", "until nc a 5432 < /dev/null > from-b && [ -s from-b ]; do sleep 0.1; done",
                    "sleep 1000",
                    ready=CommandCheck(command="test -s /headway/src/from-b")),
        ],
    )  # fmt: skip
    assert job.said() == ["hello"]


def test_a_step_waits_for_a_command_to_succeed(ran: JobRunner) -> None:
    late = "sleep 0.5; touch /headway/src/up; sleep 1000"
    ready = CommandCheck(command="test -e /headway/src/up")
    job = ran(shell("test -e up"), services=[service("db", late, ready=ready)])
    assert job.outcome.state is State.PASSED, job.everything()


def test_a_step_waits_for_an_address_to_answer(ran: JobRunner) -> None:
    ready = HttpCheck(url="http://:8080/health")
    job = ran(shell("wget -qO- http://web:8080/health"), services=[service("web", HTTPD, ready=ready)])
    assert job.said() == ["fine"]


def test_an_address_that_answers_with_an_error_is_not_ready(ran: JobRunner) -> None:
    ready = HttpCheck(url="http://:8080/it's-not-there")
    job = ran(shell("true"), services=[service("web", HTTPD, ready=ready, ready_timeout_s=2)])
    assert job.outcome.reason is Reason.SERVICE_FAILED
    assert "was not ready after 2 s" in job.outcome.message


def test_a_step_waits_for_the_ports_that_the_image_exposes(ran: JobRunner, given_image: Callable[..., str]) -> None:
    name = given_image("FROM busybox\nEXPOSE 5432 53/udp\n")
    job = ran(shell("nc db 5432 < /dev/null"), services=[service("db", LATE_PORT, box=container(name, directory=""))])
    assert job.said() == ["hello"]


def test_a_port_that_listens_only_inside_is_not_ready(ran: JobRunner) -> None:
    inside = service("db", "nc -l -s 127.0.0.1 -p 5432", ready=PortCheck(port=5432), ready_timeout_s=1)
    assert ran(shell("true"), services=[inside]).outcome.reason is Reason.SERVICE_FAILED


def test_one_of_the_ports_that_the_image_exposes_is_enough(ran: JobRunner, given_image: Callable[..., str]) -> None:
    name = given_image("FROM busybox\nEXPOSE 2375 5432 5433 53/udp\n")
    job = ran(shell("nc db 5432 < /dev/null"), services=[service("db", LATE_PORT, box=container(name, directory=""))])
    assert job.said() == ["hello"]


def test_an_image_without_tools_is_ready_when_its_port_answers(ran: JobRunner, given_image: Callable[..., str]) -> None:
    name = given_image(
        "FROM busybox AS tools\nFROM scratch\nCOPY --from=tools /bin/busybox /httpd\n"
        'EXPOSE 80 443\nENTRYPOINT ["/httpd", "-f"]\n'
    )
    job = ran(
        shell("wget -qO- http://web/ 2>&1 | grep -o 404"), services=[service("web", box=container(name, directory=""))]
    )
    assert job.said() == ["404"]


def test_a_step_waits_for_the_images_health_check(ran: JobRunner, given_image: Callable[..., str]) -> None:
    name = given_image("FROM busybox\nHEALTHCHECK --interval=100ms --start-period=30s CMD test -e /tmp/up\n")
    job = ran(shell("nc db 5432 < /dev/null"), services=[service("db", LATE_PORT, box=container(name, directory=""))])
    assert job.said() == ["hello"]


@pytest.mark.parametrize("check", ["CMD test -e /tmp/up", 'CMD ["test", "-e", "/tmp/up"]'])
def test_a_health_check_is_asked_in_the_first_seconds_whatever_its_interval(
    ran: JobRunner, given_image: Callable[..., str], check: str
) -> None:
    name = given_image(f"FROM busybox\nEXPOSE 99\nHEALTHCHECK --interval=5m {check}\n")
    slow = service("db", LATE_PORT, box=container(name, directory=""), ready_timeout_s=20)
    job = ran(shell("nc db 5432 < /dev/null"), services=[slow])
    assert job.said() == ["hello"]


NEVER = "sleep 1000"
HEALTH = "FROM busybox\nEXPOSE 1\nHEALTHCHECK"
TOLD = [
    ("FROM busybox\nEXPOSE 2376 2375\n", NEVER, None,
     ("one of ports 2375 and 2376, which its image exposes, to accept connections; none of its ports is open: write "
      "`ready: exit` if it does some work and ends, `ready:` with a command that fits, or raise its `timeout:`")),
    ("FROM busybox\nEXPOSE 80\n", "echo up; nc -l -p 8080", None,
     ("port 80, which its image exposes, to accept connections; it listens on port 8080: write `ready: {port: 8080}` "
      "if that is what steps need, or raise its `timeout:`; the end of its log:\nup")),
    ("", "httpd -f -p 127.0.0.1:80", PortCheck(port=80),
     ("port 80 to accept connections; it listens on port 80 of 127.0.0.1 alone, which steps do not reach: let it "
      "listen on 0.0.0.0")),
    (f"{HEALTH} --interval=5m CMD exit 1\n", "nc -l -p 8080", None,
     "its image's HEALTHCHECK (`/bin/sh -c exit 1`) to succeed, which ended with 1 the last time; it listens on port"),
    (f"{HEALTH} CMD sleep 1000\n", NEVER, None, "(`/bin/sh -c sleep 1000`) to succeed, which did not end; none"),
    (f'{HEALTH} CMD ["/nonesuch"]\n', NEVER, None, "its image's HEALTHCHECK (`/nonesuch`) to succeed, which"),
    (f"{HEALTH} NONE\n", NEVER, None, "port 1, which its image exposes"),
    ("", NEVER, CommandCheck(command="exit 3"), "`exit 3` to succeed in its container, which ended with 3 the last"),
    ("", NEVER, HttpCheck(url="http://:80/x"), "`http://:80/x` to answer, asked with wget or curl in its container"),
    ("", "mkdir /www; httpd -f -p 80 -h /www", HttpCheck(url="http://:80/x"),
     ("asked with wget or curl in its container, which ended with 1 the last time; it says: wget: server returned "
      "error: HTTP/1.1 404 Not Found; correct `ready:`, or raise its `timeout:`")),
    ("", NEVER, CommandCheck(command="pg_isready"), "127 the last time (a command was not found in the image)"),
    ("", NEVER, ExitCheck(), "it to end with 0 (`ready: exit`); it still runs: `ready: exit` is for a service that"),
]  # fmt: skip


def test_what_was_waited_for_what_answered_and_what_would_help_is_told(
    ran: JobRunner, given_image: Callable[..., str]
) -> None:
    services = [
        service(f"s{number}", script, box=container(given_image(image), directory="") if image else None,
                ready=ready, ready_timeout_s=6, failure="ignore")
        for number, (image, script, ready, _) in enumerate(TOLD)
    ]  # fmt: skip
    job = ran(shell("true"), services=services)
    assert job.outcome.state is State.PASSED
    notes = job.notes.split("the service '")
    for number, (*_, said) in enumerate(TOLD):
        (note,) = [note for note in notes if note.startswith(f"s{number}' was not ready after 6 s: the steps wait for")]
        assert said in note


def test_the_end_of_a_service_that_no_step_waits_for_decides_nothing(
    ran: JobRunner, given_image: Callable[..., str]
) -> None:
    server = container(given_image("FROM busybox\nEXPOSE 5432\n"), directory="")
    services = [
        service("seed", "echo seeded"),
        service("crash", "exit 4"),
        service("psql", "exit 0", box=server),  # an image that serves, with another command
        service("late", "sleep 0.4", box=server),
        service("short", "exit 0", ready=PortCheck(port=80)),
        service("there", "touch /tmp/there", ready=CommandCheck(command="test -e /tmp/there")),
        service("db", LATE_PORT, ready=PortCheck(port=5432)),
    ]
    job = ran(shell("nc db 5432 < /dev/null"), services=services)
    assert job.outcome.state is State.PASSED
    for name in ("seed", "psql", "late", "short", "there"):
        assert f"'{name}' ended with exit code 0 (`ready: exit` lets the steps wait for that)" in job.notes
    assert "'crash' ended with exit code 4; it wrote nothing" in job.notes
    assert "'db'" not in job.notes


def test_steps_wait_for_the_end_of_a_service_that_ends(ran: JobRunner) -> None:
    seed = service("seed", "cd /headway/src", "sleep 0.5", "echo rows > rows", ready=ExitCheck())
    job = ran(shell("cat rows"), shell("false"), services=[seed, service("db", "sleep 1000")])
    assert job.said() == ["rows"]
    assert "seed" not in job.notes + job.log(2).decode()


@pytest.mark.parametrize("order", [1, -1])
def test_a_service_that_was_ready_may_end_while_another_is_waited_for(ran: JobRunner, order: int) -> None:
    mortal = service("mortal", "nc -l -p 80 & sleep 4; exit 3", ready=PortCheck(port=80))
    slow = service("slow", "sleep 6; touch /tmp/up; sleep 1000", ready=CommandCheck(command="test -e /tmp/up"))
    job = ran(shell("true"), services=[mortal, slow][::order])
    assert job.outcome.state is State.PASSED
    assert "'mortal' ended with exit code 3" in job.notes


def test_a_seed_that_fails_fails_the_job_that_waits_for_it(ran: JobRunner) -> None:
    seed = service("seed", "echo no table; exit 3", ready=ExitCheck())
    job = ran(shell("true"), services=[service("db", "sleep 1000"), seed])
    assert (job.outcome.reason, job.states) == (Reason.SERVICE_FAILED, [State.SKIPPED])
    said = "'seed' ended with exit code 3, and the steps wait for it to end with 0 (`ready: exit`)"
    assert f"{said}; the end of its log:\nno table" in job.outcome.message
    forgiven = ran(shell("true"), services=[seed.model_copy(update={"failure": "ignore"})])
    assert forgiven.outcome.state is State.PASSED
    assert said in forgiven.notes


def test_a_service_that_cannot_be_started_may_be_ignored(ran: JobRunner) -> None:
    box = container(directory="", devices=("/dev/nonesuch",))
    job = ran(shell("true"), services=[service("db", "sleep 1000", box=box, failure="ignore")])
    assert job.outcome.state is State.PASSED
    assert "the job goes on: the service has `failure: ignore`" in job.notes


def test_a_service_that_ends_fails_the_job_with_its_last_words(ran: JobRunner) -> None:
    dying = service("db", "echo starting", "echo cannot open the data >&2", "exit 4", ready=PortCheck(port=5432))
    job = ran(shell("true"), services=[dying])
    assert (job.outcome.state, job.outcome.reason) == (State.FAILED, Reason.SERVICE_FAILED)
    assert "'db' ended with exit code 4" in job.outcome.message
    assert "cannot open the data" in job.outcome.message
    assert job.states == [State.SKIPPED]


def test_a_service_that_never_gets_ready_fails_the_job(ran: JobRunner) -> None:
    job = ran(shell("true"), services=[service("db", "sleep 1000", ready=PortCheck(port=5432), ready_timeout_s=1)])
    assert job.outcome.message == (
        "the service 'db' was not ready after 1 s: the steps wait for port 5432 to accept connections; none of its "
        "ports is open: correct `ready:`, or raise its `timeout:`; it wrote nothing"
    )


def test_a_check_that_hangs_does_not_outlive_the_services_time(ran: JobRunner) -> None:
    hanging = service("db", "sleep 1000", ready=CommandCheck(command="sleep 1000"), ready_timeout_s=1)
    job = ran(shell("true"), services=[hanging])
    assert job.outcome.reason is Reason.SERVICE_FAILED


def test_a_service_whose_failing_is_ignored_leaves_a_note(ran: JobRunner) -> None:
    dying = service("db", "exit 4", ready=PortCheck(port=5432), failure="ignore")
    job = ran(shell("echo ran"), services=[dying])
    assert job.said() == ["ran"]
    assert "'db' ended with exit code 4" in job.notes


def test_a_service_that_cannot_be_started_leaves_nothing(ran: JobRunner, given_image: Callable[..., str]) -> None:
    box = container(directory="", entrypoint=("true",), devices=("/dev/nonesuch",))
    job = ran(shell("true"), services=[service("first", "sleep 1000"), service("db", box=box)])
    assert job.outcome.state is State.FAILED
    assert "/dev/nonesuch" in job.outcome.message


MORTAL = "echo lent | nc -l -p 5432; echo lost $MINE >&2; exit 3"
DEATH = "the service 'db' ended with exit code 3; the end of its log:\nlost my data"


@pytest.mark.parametrize(("end", "state"), [("true", State.PASSED), ("exit 5", State.FAILED)])
def test_a_service_that_dies_is_told_in_the_steps_log_and_the_verdict_is_the_steps(
    ran: JobRunner, end: str, state: State
) -> None:
    mortal = service(
        "db", MORTAL, box=container(environment={"MINE": "my data"}, directory=""), ready=PortCheck(port=5432)
    )
    job = ran(shell("nc db 5432 < /dev/null", "sleep 1", end), shell("true"), services=[mortal])
    assert job.said() == ["lent"]
    assert f"headway: {DEATH}\n" in job.log(1, Stream.NOTE).decode()
    assert DEATH in job.notes
    assert (job.step().state, job.step().exit_code) == (state, 5 if state is State.FAILED else 0)
    assert b"db" not in job.log(2)


def test_a_service_that_ends_with_the_job_is_no_news(ran: JobRunner) -> None:
    job = ran(shell("true"), services=[service("db", "exec sleep 1000")])
    assert "db" not in job.notes


def test_a_failed_step_shows_what_services_wrote_meanwhile_and_no_secret(ran: JobRunner) -> None:
    talk = service(
        "db", "echo too early", "nc -l -p 5432", "echo no table $TABLE", "sleep 1000",
        box=container(environment={"TABLE": (SecretRef(secret="table"),)}, directory=""), ready=PortCheck(port=5432),
    )  # fmt: skip
    mute = service("cache", "sleep 1000")
    job = ran(
        shell("sleep 0.1"), shell("nc db 5432 < /dev/null; sleep 0.5", "false"),
        services=[talk, mute], secrets={"table": "passengers"},
    )  # fmt: skip
    assert job.log(1, Stream.NOTE) == b""
    assert job.log(2, Stream.NOTE).decode().splitlines() == [
        "headway: the service 'db' wrote meanwhile:", "no table ********", "headway: exited with 1",
    ]  # fmt: skip


def test_cancel_ends_the_wait_for_a_service(ran: JobRunner) -> None:
    cancel = Cancel()
    waiting = service("db", "sleep 1000", ready=CommandCheck(command=f"touch {'/headway/src/asked'}; false"))

    def lay_out(target: Path) -> None:
        target.mkdir(parents=True)

        def cancel_when_checked() -> None:
            eventually((target / "asked").exists)
            cancel.set("ada")

        in_thread(cancel_when_checked)

    job = ran(shell("true"), services=[waiting], cancel=cancel, files=lay_out)
    cancel.close()
    assert job.outcome.state is State.CANCELED
    assert job.states == [State.SKIPPED]
