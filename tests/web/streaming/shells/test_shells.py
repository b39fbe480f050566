"""Shells in running steps, with a real worker, a real container and a real connection."""

import subprocess
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from dataclasses import replace
from pathlib import Path

import httpx2
import pytest
from sqlalchemy import select
from websockets.exceptions import ConnectionClosed, InvalidStatus

from pipelines.state import State
from runner.docker.client import Engine
from tests.support.routes import sockets_of
from tests.support.services import eventually
from tests.support.shells import ShellClient, running_step, shell
from tests.support.working import PushWorker
from tests.web.conftest import Site, serving
from web.server.app import create_app
from web.server.web_sockets import FRAMES_OF_MESSAGE_COUNT_MAX
from web.streaming.shells import relay
from workers.db.models import AuditEntry
from workers.db.roles import Role
from workers.db.session import reading
from workers.jobs.shells.session import PAUSED
from workers.settings import Settings
from workers.shells import limits
from workers.streaming.redis_stream import connect

pytestmark = pytest.mark.engine
REPO = "acme/roof"
END = "touch ../end\n"


@pytest.fixture
def worker(settings: Settings, engine: Engine, tmp_path: Path) -> Iterator[PushWorker]:
    worker = PushWorker(settings, tmp_path)
    yield worker
    worker.close()


def token_of(site: Site, name: str, role: Role | None) -> dict[str, str]:
    headers = {"authorization": f"Bearer {site.token(site.add_user(name, is_admin=False))}"}
    if role:
        site.give_role(name, role, REPO)
    return headers


def audited(site: Site) -> list[tuple[str, str, str]]:
    with reading(site.engine) as session:
        found = session.scalars(select(AuditEntry).where(AuditEntry.action.like("shell.%")).order_by(AuditEntry.id))
        return [(each.actor, each.action, f"{each.target} {each.detail}") for each in found]


def status_of(refused: InvalidStatus) -> int:
    return refused.response.status_code


def test_a_writer_types_into_a_running_step(site: Site, live_url: str, worker: PushWorker) -> None:
    worker.secret("key", "a-value-that-is-secret")
    writer = token_of(site, "wendy", Role.WRITE)
    with running_step(worker) as running, shell(live_url, running.step.id, writer) as client:
        client.type("echo $((6 * 7))-$(pwd | tail -c 4)-$(stty size | tr ' ' x)\n")
        client.until(b"42-sub-30x100")
        client.resize(20, 90)
        client.type("sleep 0.3; echo now-$(stty size | tr ' ' x)\n")
        client.until(b"now-20x90")
        client.type("exit 5\n")
        assert client.until_end() == "The shell has ended with exit status 5."
        assert client.exit_status == 5
        assert client.opened
        assert not client.shown[:1].isdigit(), "its first line is for the worker"
        with shell(live_url, running.step.id, writer) as second:
            second.type(END)
            assert second.until_end() == "The step has ended, and the shell with it."
            assert second.exit_status is None
    done = running.finished()
    assert done.steps[0].state is State.PASSED
    with done.log() as log:
        assert b"42-sub" not in log.read(0, log.size_bytes), "what a shell shows is not in the log"
    eventually(lambda: len(audited(site)) == 4)
    entries = audited(site)
    assert [each[:2] for each in entries] == [("wendy", "shell.open"), ("wendy", "shell.close")] * 2
    assert entries[0][2] == f"{REPO} #1: waits "
    assert entries[1][2].startswith(f"{REPO} #1: waits after ")
    assert entries[1][2].endswith("s: The shell has ended with exit status 5.")


def test_who_may_not_write_opens_no_shell(site: Site, live_url: str, worker: PushWorker) -> None:
    reader, stranger = token_of(site, "rita", Role.READ), token_of(site, "otto", None)
    writer = token_of(site, "wendy", Role.WRITE)
    with running_step(worker) as running:
        try:
            for headers, status in ((reader, 403), (stranger, 404), ({}, 401)):
                with pytest.raises(InvalidStatus) as refused, shell(live_url, running.step.id, headers):
                    pass
                assert status_of(refused.value) == status
            assert audited(site) == []
        finally:
            end(live_url, running.step.id, writer)
    with pytest.raises(InvalidStatus) as ended, shell(live_url, running.step.id, writer):
        pass
    assert status_of(ended.value) == 409


def end(url: str, step_id: int, headers: dict[str, str]) -> None:
    """Ends the step."""
    with shell(url, step_id, headers) as client:
        client.type(END)
        client.until_end()


def test_there_is_no_other_socket(site: Site) -> None:
    """The table of routes and roles has none: a second one needs tests like these."""
    assert sockets_of(create_app(site.services)) == ["/api/steps/{step_id}/shell"]


def test_a_run_of_a_fork_needs_the_role_admin(site: Site, live_url: str, worker: PushWorker) -> None:
    writer, maintainer = token_of(site, "wendy", Role.WRITE), token_of(site, "mona", Role.ADMIN)
    with running_step(worker, from_fork=True) as running:
        try:
            with pytest.raises(InvalidStatus) as refused, shell(live_url, running.step.id, writer):
                pass
            assert status_of(refused.value) == 403
        finally:
            end(live_url, running.step.id, maintainer)


def test_a_page_of_another_site_opens_no_shell(site: Site, live_url: str, worker: PushWorker) -> None:
    """A browser sends its cookie with a WebSocket that any page opens."""
    link, writer = site.login_link("ada"), token_of(site, "wendy", Role.WRITE)
    with httpx2.Client(base_url=live_url, headers={"sec-fetch-site": "same-origin"}) as http:
        http.post("/login", data={"link": link})
        cookie = {"cookie": "; ".join(f"{name}={value}" for name, value in http.cookies.items())}
    with running_step(worker) as running:
        try:
            for origin in ("https://evil.test", "null", ""):
                headers = cookie | ({"origin": origin} if origin else {})
                with pytest.raises(InvalidStatus) as refused, shell(live_url, running.step.id, headers):
                    pass
                assert status_of(refused.value) == 403
        finally:
            end(live_url, running.step.id, cookie | {"origin": live_url})
    assert writer


def test_an_idle_shell_ends_and_so_does_its_process(
    site: Site, live_url: str, worker: PushWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "SHELL_IDLE_S_MAX", 2)
    writer = token_of(site, "wendy", Role.WRITE)
    with running_step(worker) as running:
        try:
            with shell(live_url, running.step.id, writer) as client:
                client.type("trap '' HUP; echo pid=$$;\n")
                client.until(b"pid=$$;\r\npid=")
                client.until(b"\n", after=b"\r\npid=")
                pid = client.shown.partition(b"\r\npid=")[2].split()[0].decode()
                began_s = time.monotonic()
                assert "no key came" in client.until_end()
                assert 1.5 < time.monotonic() - began_s < 6
            monkeypatch.setattr(limits, "SHELL_IDLE_S_MAX", 60)
            time.sleep(1.5)
            with shell(live_url, running.step.id, writer) as client:
                client.type("kill -0 {pid} && echo it-still-$((2)) || echo it-is-$((1 + 2))\n".replace("{pid}", pid))
                client.until(b"it-is-3")
        finally:
            end(live_url, running.step.id, writer)


def test_what_a_terminal_answers_by_itself_is_no_key(
    site: Site, live_url: str, worker: PushWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A program that asks again and again where the cursor is would keep a shell open that its user has left."""
    monkeypatch.setattr(limits, "SHELL_IDLE_S_MAX", 3)
    writer = token_of(site, "wendy", Role.WRITE)
    with running_step(worker) as running:
        with shell(live_url, running.step.id, writer) as client, ThreadPoolExecutor(1) as pool:
            client.type("while sleep 0.5; do printf '\\033[6n'; done\n")
            client.until(b"\x1b[6n")
            over = threading.Event()

            def answers() -> None:
                with suppress(ConnectionClosed):
                    while not over.wait(0.5):
                        client.type("\x1b[12;40R")

            answering = pool.submit(answers)
            assert "no key came" in client.until_end(15)
            over.set()
            answering.result()
        monkeypatch.setattr(limits, "SHELL_IDLE_S_MAX", 60)
        end(live_url, running.step.id, writer)


def test_a_shell_in_a_paused_container_says_why_there_is_none(
    site: Site, live_url: str, worker: PushWorker, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "CONTAINER_S_MAX", 1)
    writer = token_of(site, "wendy", Role.WRITE)
    with running_step(worker) as running:
        with shell(live_url, running.step.id, writer) as client:
            client.type("echo box=$(hostname)=\n")
            client.until(b"=\r\n", after=b"\r\nbox=")
            container = client.shown.partition(b"\r\nbox=")[2].partition(b"=")[0].decode()
        subprocess.run(["docker", "pause", container], check=True, capture_output=True)
        try:
            with shell(live_url, running.step.id, writer) as client:
                assert client.until_end() == PAUSED
        finally:
            subprocess.run(["docker", "unpause", container], check=True, capture_output=True)
        end(live_url, running.step.id, writer)


def test_output_that_no_browser_takes_holds_neither_memory_nor_the_step(
    site: Site, live_url: str, worker: PushWorker, settings: Settings
) -> None:
    writer = token_of(site, "wendy", Role.WRITE)
    redis = connect(settings.redis_url)
    with running_step(worker) as running, shell(live_url, running.step.id, writer) as client:
        client.type("yes | head -c 300000000; touch ../end\n")
        client.until(b"y\r\ny\r\n")
        most = 0

        def has_filled() -> bool:
            nonlocal most
            most = max([redis.llen(key) for key in redis.keys("headway:shell:*:out")], default=0)
            return most >= limits.WAITING_MESSAGES_MAX

        eventually(has_filled, 60)  # first the buffers of the connection fill
        time.sleep(1)
        has_filled()
        assert limits.WAITING_MESSAGES_MAX <= most <= limits.WAITING_MESSAGES_MAX + 16
        end(live_url, running.step.id, writer)
    assert running.finished().steps[0].state is State.PASSED
    redis.close()


def test_a_message_may_have_so_many_frames_and_no_more(site: Site, live_url: str, worker: PushWorker) -> None:
    writer = token_of(site, "wendy", Role.WRITE)
    with running_step(worker) as running:
        with shell(live_url, running.step.id, writer) as client:
            client.type_in_frames("echo in-$((1 + 1))-frames\n", FRAMES_OF_MESSAGE_COUNT_MAX)
            client.until(b"in-2-frames")
            client.type_in_frames("", FRAMES_OF_MESSAGE_COUNT_MAX + 1)
            assert client.until_end() == ""
        end(live_url, running.step.id, writer)


def test_a_browser_that_leaves_at_once_leaves_neither_messages_nor_a_process(
    site: Site, live_url: str, worker: PushWorker, settings: Settings
) -> None:
    writer = token_of(site, "wendy", Role.WRITE)
    redis = connect(settings.redis_url)
    with running_step(worker) as running:
        alone = processes(live_url, running.step.id, writer)
        for _ in range(3):
            with shell(live_url, running.step.id, writer) as client:
                client.until_opened()
        eventually(lambda: not redis.keys("headway:shell:*"), 20)
        eventually(lambda: processes(live_url, running.step.id, writer) == alone, 10)
        end(live_url, running.step.id, writer)
    redis.close()


def processes(url: str, step_id: int, headers: dict[str, str]) -> bytes:
    """How many shells a shell sees in the step, itself among them."""
    with shell(url, step_id, headers) as client:
        client.type("echo shells=$(ps | grep -c '[/ ]sh$\\|{.*sh}')=; exit\n")
        client.until_end()
        return client.shown.partition(b"\r\nshells=")[2].partition(b"=")[0]


def test_a_job_has_so_many_shells_and_no_more(site: Site, live_url: str, worker: PushWorker) -> None:
    writers = [token_of(site, name, Role.WRITE) for name in ("wendy", "willy")]
    with running_step(worker) as running, ExitStack() as stack:
        opened: list[ShellClient] = []
        for index in range(limits.SHELLS_OF_JOB_MAX):
            client = stack.enter_context(shell(live_url, running.step.id, writers[index % 2]))
            client.type("echo ready-$((1 + 1))\n")
            client.until(b"ready-2")
            opened.append(client)
        with shell(live_url, running.step.id, writers[0]) as refused:
            assert "which is the limit" in refused.until_end()
        opened[0].type(END)
        opened[0].until_end()


def test_a_server_without_shells_opens_none(site: Site, worker: PushWorker, settings: Settings) -> None:
    writer = token_of(site, "wendy", Role.WRITE)
    off = replace(site.services, settings=settings.model_copy(update={"step_shells": False}))
    with running_step(worker, "sleep 3") as running, serving(off) as url:
        with pytest.raises(InvalidStatus) as refused, shell(url, running.step.id, writer):
            pass
        assert status_of(refused.value) == 403
        assert b"HEADWAY_STEP_SHELLS" in refused.value.response.body


def test_a_worker_without_shells_does_not_answer(
    site: Site, live_url: str, tmp_path: Path, settings: Settings, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "OPENING_S_MAX", 1)
    quiet = PushWorker(settings.model_copy(update={"step_shells": False}), tmp_path)
    writer = token_of(site, "wendy", Role.WRITE)
    with running_step(quiet, "sleep 4") as running, shell(live_url, running.step.id, writer) as client:
        assert client.until_end() == relay.NO_ANSWER
        assert not client.opened
    quiet.close()
