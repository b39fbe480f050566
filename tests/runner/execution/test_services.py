"""Services beside the steps: reachable by name, and ready when the steps begin."""

from collections.abc import Callable
from pathlib import Path

import pytest

from pipelines.plan import CommandCheck, HttpCheck, PortCheck, SecretRef
from pipelines.state import Reason, State
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


def test_an_image_without_tools_is_ready_when_its_port_answers(ran: JobRunner, given_image: Callable[..., str]) -> None:
    name = given_image(
        "FROM busybox AS tools\nFROM scratch\nCOPY --from=tools /bin/busybox /httpd\n"
        'EXPOSE 80\nENTRYPOINT ["/httpd", "-f"]\n'
    )
    job = ran(
        shell("wget -qO- http://web/ 2>&1 | grep -o 404"), services=[service("web", box=container(name, directory=""))]
    )
    assert job.said() == ["404"]


def test_a_step_waits_for_the_images_health_check(ran: JobRunner, given_image: Callable[..., str]) -> None:
    name = given_image("FROM busybox\nHEALTHCHECK --interval=100ms --start-period=30s CMD test -e /tmp/up\n")
    job = ran(shell("nc db 5432 < /dev/null"), services=[service("db", LATE_PORT, box=container(name, directory=""))])
    assert job.said() == ["hello"]


def test_a_service_that_ends_fails_the_job_with_its_last_words(ran: JobRunner) -> None:
    dying = service("db", "echo starting", "echo cannot open the data >&2", "exit 4", ready=PortCheck(port=5432))
    job = ran(shell("true"), services=[dying])
    assert (job.outcome.state, job.outcome.reason) == (State.FAILED, Reason.SERVICE_FAILED)
    assert "'db' ended with exit code 4" in job.outcome.message
    assert "cannot open the data" in job.outcome.message
    assert job.states == [State.SKIPPED]


def test_a_service_that_never_gets_ready_fails_the_job(ran: JobRunner) -> None:
    job = ran(shell("true"), services=[service("db", "sleep 1000", ready=PortCheck(port=5432), ready_timeout_s=1)])
    assert "'db' was not ready after 1 s; it wrote nothing" in job.outcome.message


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
