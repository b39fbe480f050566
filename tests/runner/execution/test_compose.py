"""Compose steps on an engine: services wait for each other, one decides how the step ends, and nothing is left."""

import threading

import pytest

from pipelines.state import Reason, State
from runner.cancellation import Cancel
from runner.events import Event, StepOutput
from tests.support.compose import FILE, compose_job
from tests.support.engine import JobRunner
from tests.support.job_result import JobResult

pytestmark = pytest.mark.engine

# A check looks for the port that is listened on, 5432 or 80, in hexadecimal digits: BusyBox has no `nc -z`.
DB = """\
  db:
    image: busybox
    command: [sh, -c, "sleep 0.5; echo row > /data/rows; echo up; exec nc -ll -p 5432 -e cat /data/rows"]
    healthcheck: {test: [CMD, grep, -q, ":1538 ", /proc/net/tcp, /proc/net/tcp6], interval: 1s}
    volumes: [data:/data]
"""
HEALTHCHECK = "HEALTHCHECK --interval=1s CMD grep -q ':0050 ' /proc/net/tcp /proc/net/tcp6\n"
VOLUMES = "volumes: {data: }\n"


def run_compose(ran: JobRunner, services: str, step: str = "", after: str = "", **more: object) -> JobResult:
    """Runs a step ``it`` with these services, and then the steps of ``after``."""
    main = f"steps:\n  - name: it\n    compose: {FILE}\n{step}{after}"
    return ran(*compose_job(f"services:\n{services}", main).steps, **more)  # type: ignore[arg-type]


def test_services_are_healthy_before_the_next_and_the_last_one_decides(ran: JobRunner) -> None:
    job = run_compose(
        ran,
        f"""\
{DB}
  migrate:
    image: busybox
    entrypoint: [sh, -c]
    command: ["cat /data/rows; echo second >> /data/rows"]
    volumes: [data:/data]
    depends_on: {{db: {{condition: service_healthy}}}}
  tests:
    image: busybox
    working_dir: /tmp
    user: "1000"
    environment: [WORD]
    entrypoint: [sh, -c]
    command: ["pwd; id -u; echo $$WORD; nc db 5432 < /dev/null; ls /headway; exit ${{CODE}}"]
    depends_on: {{migrate: {{condition: service_completed_successfully}}}}
{VOLUMES}""",
        "    environment: {CODE: 7, WORD: here}\n",
    )
    assert job.states == [State.PASSED, State.PASSED, State.FAILED], job.everything()
    assert job.said(2) == ["row"]
    assert job.said(3) == ["/tmp", "1000", "here", "row", "second", "src"]
    assert job.step(3).exit_code == 7
    assert "up" in job.said(1)
    assert job.step(1).message == "ended with the job"


def test_services_run_in_the_image_just_built_and_a_secret_is_masked(ran: JobRunner) -> None:
    job = run_compose(
        ran,
        """\
  web:
    build: {context: ..}
    command: [sh, -c, "echo got $$TOKEN; exec nc -ll -p 80 -e cat /word"]
    environment: [TOKEN]
  tests: {build: .., command: "nc web 80", depends_on: [web]}
""",
        "    environment: {TOKEN: {from_secret: token}}\n",
        files={"Dockerfile": f"FROM busybox\nRUN echo built > /word\n{HEALTHCHECK}"},
        secrets={"token": "s3cr3t-value"},
    )
    assert job.states == [State.PASSED] * 3, job.everything()
    assert job.said(3) == ["built"]
    assert "got ********" in job.log(2).decode()
    assert b"s3cr3t-value" not in job.everything().encode()


def test_a_service_that_does_not_get_healthy_fails_the_job_with_its_log(ran: JobRunner) -> None:
    services = """\
services:
  db: {image: busybox, command: sh -c "echo no config; sleep 1000", healthcheck: {test: [CMD, "false"]}}
  tests: {image: busybox, command: "true", depends_on: [db]}
"""
    db, tests = compose_job(services).steps
    job = ran(db.model_copy(update={"ready_timeout_s": 1}), tests)
    assert job.states == [State.FAILED, State.SKIPPED], job.everything()
    assert job.outcome.reason is Reason.SERVICE_FAILED
    wanted = "was not ready after 1 s: the steps wait for its healthcheck (`false`) to succeed"
    assert wanted in job.outcome.message
    assert "or `healthcheck: {disable: true}` to wait for nothing" in job.outcome.message
    assert "no config" in job.outcome.message
    assert "no config" in job.log(1).decode()


def test_a_service_may_do_its_work_and_end(ran: JobRunner) -> None:
    job = run_compose(
        ran,
        f"""\
  seed: {{image: busybox, command: [sh, -c, "echo done > /data/x"], volumes: [data:/data]}}
  tests:
    image: busybox
    command: [sh, -c, "until [ -e /data/x ]; do sleep 0.1; done; cat /data/x"]
    volumes: [data:/data:ro]
    depends_on: [seed]
{VOLUMES}""",
    )
    assert job.states == [State.PASSED, State.PASSED], job.everything()
    assert job.said(2) == ["done"]


def test_one_that_ends_with_an_error_before_the_others_start_fails_the_job(ran: JobRunner) -> None:
    services = """\
  db: {image: busybox, command: "sh -c 'exit 4'", healthcheck: {test: [CMD, test, -e, /never]}}
  tests: {image: busybox, command: "true", depends_on: [db]}
"""
    job = run_compose(ran, services)
    assert job.states == [State.FAILED, State.SKIPPED], job.everything()


def test_a_volume_that_is_read_only_cannot_be_written(ran: JobRunner) -> None:
    services = "  tests: {image: busybox, command: touch /data/x, volumes: ['data:/data:ro']}\n"
    job = run_compose(ran, services + VOLUMES)
    assert job.states == [State.FAILED]
    assert "Read-only file system" in job.log(1).decode()


def test_steps_after_a_detached_project_reach_its_services(ran: JobRunner) -> None:
    after = "  - {name: ask, image: busybox, commands: 'nc db 5432 < /dev/null'}\n"
    job = run_compose(ran, DB + VOLUMES, "    detach: true\n", after)
    assert job.states == [State.PASSED, State.PASSED], job.everything()
    assert job.said(2) == ["row"]


def test_a_canceled_job_leaves_nothing_of_its_project(ran: JobRunner) -> None:
    """Files in the volume belong to root, so that only a container can remove them."""
    cancel, begun = Cancel(), threading.Event()

    def on_event(event: Event) -> None:
        if isinstance(event, StepOutput) and event.step == 2 and b"begun" in event.data:
            begun.set()
            cancel.set("me")

    tests = "  tests: {image: busybox, command: \"sh -c 'echo begun; sleep 1000'\", depends_on: [db]}\n"
    job = run_compose(ran, DB + tests + VOLUMES, cancel=cancel, on_event=on_event)
    cancel.close()
    assert begun.is_set()
    assert job.states[1] is State.CANCELED, job.everything()
    assert ran.left() == []


MOUNTS = """\
services:
  first:
    image: busybox
    entrypoint: [sh, -c]
    command: ["cat /etc/app/deep/link; touch /etc/app/deep/new; sh /etc/run.sh"]
    user: "1000"
    volumes: ["../conf:/etc/app", "../run.sh:/etc/run.sh:ro"]
  tests:
    image: busybox
    entrypoint: [sh, -c]
    command:
      - exec 2>&1; stat -c '%a %F' /etc/app/deep/a /etc/app/deep /etc/run.sh;
        ls /etc/app/deep /copy/conf; ls -A /gone | wc -l; touch /etc/app/made; touch /copy/late; ls $$CI_WORKSPACE/conf
    volumes: [{type: bind, source: ../conf, target: /etc/app}, "../run.sh:/etc/run.sh", "..:/copy:ro", "../no:/gone"]
    depends_on: {first: {condition: service_completed_successfully}}
"""


def test_a_service_finds_copies_of_the_checkouts_files_where_they_are_mounted(ran: JobRunner) -> None:
    main = """\
steps:
  - name: make
    image: busybox
    commands:
      - mkdir -p conf/deep && echo one > conf/deep/a && chmod 644 conf/deep/a && ln -s a conf/deep/link
      - echo 'echo ran' > run.sh && chmod 755 run.sh
  - {name: it, compose: ci/compose.yml, failure: ignore}
  - {name: after, image: busybox, commands: [ls conf/deep]}
"""
    job = ran(*compose_job(MOUNTS, main).steps)
    first, tests = job.log(2).decode(), job.log(3).decode()
    assert first.splitlines()[:2] == ["one", "ran"], first
    assert tests.splitlines()[:3] == ["644 regular file", "777 directory", "755 regular file"], tests
    assert "/etc/app/deep:\na\nlink\nnew\n" in tests, "services that name the same folder share the copy"
    # An empty folder; one that cannot be written; and what a service writes stays in the copy.
    assert job.said(3)[-3:] == ["0", "touch: /copy/late: Read-only file system", "deep"]
    assert job.said(4) == ["a", "link"]
    assert "the checkout has no 'no', which a Compose file mounts" in job.everything()


def test_a_volume_without_a_name_begins_with_what_the_image_has(ran: JobRunner) -> None:
    job = run_compose(
        ran,
        """\
  tests: {build: .., command: cat /app/deps/x /app/code, volumes: ["..:/app", /app/deps]}
""",
        files={
            "Dockerfile": "FROM busybox\nRUN mkdir -p /app/deps && echo installed > /app/deps/x\n",
            "code": "code\n",
        },
    )
    assert job.states == [State.PASSED, State.PASSED], job.everything()
    assert job.said(2) == ["installed", "code"]


def test_a_link_on_the_way_to_a_mounted_path_is_an_error(ran: JobRunner) -> None:
    main = """\
steps:
  - {name: make, image: busybox, commands: [ln -s / root]}
  - {name: it, compose: ci/compose.yml}
"""
    for path in ("root", "root/etc/shadow"):
        text = f"services:\n  tests: {{image: busybox, command: cat /x, volumes: ['../{path}:/x']}}\n"
        job = ran(*compose_job(text, main).steps)
        assert job.states == [State.PASSED, State.FAILED], job.everything()
        assert f"'{path}' leads through a link, and is not mounted" in job.step(2).message
