"""Commands on a computer that is not the server: against a real server on a socket."""

import json
import threading
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner, Result

from pipelines.state import PASSED, Outcome, Reason, State
from runner.events import StepFinished, StepOutput, StepStarted, Stream
from tests.chaos.proxy import Mode, Proxies
from tests.web.conftest import REPO, ClaimedRun, Site, serving
from web.cli.main import register
from web.client.api import connected
from web.client.logs import LogReader
from web.client.servers import Server
from web.operations.runs.log_parts import PART_BYTES_MAX
from workers import store
from workers.db.roles import Role
from workers.db.session import transaction
from workers.store.accounts.tokens import drop_token

pytestmark = pytest.mark.slow
FAILED = Outcome(State.FAILED, Reason.EXIT_CODE, "exited with 1", 1)


class Laptop:
    """The command line of a user's computer, which has no installation."""

    def __init__(self, home: Path, site: Site, url: str) -> None:
        self.home, self.site, self.url = home, site, url
        self.env = {
            "HOME": str(home), "XDG_CONFIG_HOME": "", "HEADWAY_DATA_DIR": str(home / "none"),
            "HEADWAY_DATABASE_URL": "", "HEADWAY_SERVER": "", "HEADWAY_TOKEN": "",
        }  # fmt: skip
        self._app = typer.Typer()
        register(self._app)

    def __call__(self, *arguments: str, stdin: str = "", **env: str) -> Result:
        return CliRunner().invoke(self._app, arguments, input=stdin, env={**self.env, **env})

    def ok(self, *arguments: str, stdin: str = "", **env: str) -> str:
        result = self(*arguments, stdin=stdin, **env)
        assert result.exit_code == 0, result.output
        return result.stdout

    def refused(self, *arguments: str, stdin: str = "", **env: str) -> str:
        result = self(*arguments, stdin=stdin, **env)
        assert result.exit_code == 3, result.output
        assert "Traceback" not in result.output
        return result.stderr

    def log_in(self, *, is_admin: bool = True) -> None:
        name = "ada" if is_admin else "bob"
        self.ok("login", self.url, stdin=self.site.token(self.site.add_user(name, is_admin=is_admin)) + "\n")


@pytest.fixture
def laptop(site: Site, tmp_path: Path) -> Iterator[Laptop]:
    site.add_repo()
    with serving(site.services) as url:
        home = tmp_path / "home"
        home.mkdir()
        yield Laptop(home, site, url)


def write(begun: ClaimedRun, number: int, data: bytes, outcome: Outcome | None = PASSED) -> None:
    with begun.recorder() as record:
        record(StepStarted(number))
        record(StepOutput(number, 0, data, Stream.STDOUT))
        if outcome:
            record(StepFinished(number, outcome))


def finish(begun: ClaimedRun, outcome: Outcome) -> None:
    with transaction(begun.site.engine) as session:
        store.finish_job(session, begun.queued.job_id, begun.claim.attempt, outcome)


def test_only_standard_error_is_printed(laptop: Laptop) -> None:
    begun = laptop.site.begin()
    with begun.recorder() as record:
        record(StepStarted(1))
        record(StepOutput(1, 0, b"x" * PART_BYTES_MAX, Stream.STDOUT))
        record(StepOutput(1, PART_BYTES_MAX, b"bad\n", Stream.STDERR))
        record(StepOutput(1, PART_BYTES_MAX + 4, b"good\n", Stream.STDOUT))
        record(StepFinished(1, PASSED))
    laptop.log_in()
    assert laptop.ok("logs", REPO, "1", "--stderr") == "bad\n"


def test_after_a_login_runs_and_logs_are_shown_and_canceled(laptop: Laptop) -> None:
    begun = laptop.site.begin()
    write(begun, 1, b"built\n")
    write(begun, 2, b"one\n\xff\x1b[31mtwo\n", None)
    laptop.log_in()
    assert laptop.ok("runs") == f"{REPO}\t#1\trunning\tmain\t{begun.site.trigger().sha[:8]}\tWarm the lights\n"
    assert laptop.ok("runs", REPO, "--branch", "main", "--state", "running").startswith(f"{REPO}\t#1\t")
    assert laptop.ok("runs", REPO, "--state", "failed") == ""
    assert json.loads(laptop.ok("runs", REPO, "--json"))[0]["number"] == 1
    shown = laptop("logs", REPO, "1")
    assert shown.stdout_bytes == b"built\none\n\xff\x1b[31mtwo\n"
    assert shown.stderr == "==> build\n==> test\n"
    assert laptop.ok("logs", REPO, "1", "build") == "built\n"
    assert laptop.ok("logs", REPO, "1", "--stderr") == ""
    assert laptop.refused("logs", REPO, "1", "tset") == (
        "headway: Run 1 has no step 'tset'. Its steps: 'build', 'test', 'push'.\n"
    )
    assert laptop.ok("cancel", REPO, "1") == "Run 1 is asked to stop.\n"


def test_a_log_is_followed_to_the_end_of_the_run_also_after_a_cut(laptop: Laptop) -> None:
    begun = laptop.site.begin()
    got, heads, verdicts, seen = bytearray(), list[str](), list[State](), threading.Event()

    def take(data: bytes) -> None:
        got.extend(data)
        if b"first\n" in got:
            seen.set()

    def follow(url: str) -> None:
        with connected(Server(url, laptop.site.token(laptop.site.add_user()))) as api:
            verdicts.append(LogReader(api, take, heads.append).follow(REPO, 1, ""))

    proxies = Proxies()
    proxy = proxies.add(int(laptop.url.rpartition(":")[2]))
    thread = threading.Thread(target=follow, args=[f"http://127.0.0.1:{proxy.port}"])
    thread.start()
    write(begun, 1, b"built\n")
    with begun.recorder() as record:
        record(StepStarted(2))
        record(StepOutput(2, 0, b"first\n", Stream.STDOUT))
        assert seen.wait(60)
        proxies.change(proxy, Mode.CUT)
        record(StepOutput(2, 6, b"while away\n", Stream.STDOUT))
        proxies.change(proxy, Mode.OPEN)
        record(StepOutput(2, 17, b"last\n", Stream.STDOUT))
        record(StepFinished(2, FAILED))
    finish(begun, FAILED)
    thread.join(60)
    proxies.close()
    assert (bytes(got), heads) == (b"built\nfirst\nwhile away\nlast\n", ["build", "test"])
    assert verdicts == [State.FAILED]


def test_only_standard_error_is_followed(laptop: Laptop) -> None:
    laptop.log_in()
    begun = laptop.site.begin()
    got, seen, done = bytearray(), threading.Event(), list[State]()

    def take(data: bytes) -> None:
        got.extend(data)
        seen.set()

    def follow() -> None:
        with connected(Server(laptop.url, laptop.site.token(laptop.site.add_user("eve")))) as api:
            done.append(LogReader(api, take, lambda _: None).follow(REPO, 1, "", "stderr"))

    thread = threading.Thread(target=follow)
    thread.start()
    write(begun, 1, b"built\n")
    with begun.recorder(lambda: time.time_ns() // 1_000_000) as record:  # what is old is stored
        record(StepStarted(2))
        record(StepOutput(2, 0, b"good\n", Stream.STDOUT))
        record(StepOutput(2, 5, b"bad\n", Stream.STDERR))
        assert seen.wait(60), "it comes while the step runs"
        record(StepOutput(2, 9, b"good\n", Stream.STDOUT))
        record(StepOutput(2, 14, b"worse\n", Stream.STDERR))
        record(StepFinished(2, FAILED))
    finish(begun, FAILED)
    thread.join(60)
    assert (bytes(got), done) == (b"bad\nworse\n", [State.FAILED])
    shown = laptop("logs", REPO, "1", "--stderr", "--follow")
    assert (shown.stdout, shown.exit_code) == ("bad\nworse\n", 1)


def test_the_exit_status_of_following_is_the_verdict(laptop: Laptop) -> None:
    laptop.log_in()
    begun = laptop.site.begin()
    write(begun, 1, b"built\n")
    write(begun, 2, b"wrong\n", FAILED)
    assert laptop("logs", REPO, "1", "build", "-f").exit_code == 0, "of one step its own verdict"
    assert laptop("logs", REPO, "1", "test", "-f").exit_code == 1
    finish(begun, FAILED)
    assert laptop("logs", REPO, "1", "-f").exit_code == 1
    assert laptop("logs", REPO, "1").exit_code == 0


def test_runs_are_started_repeated_and_approved_and_artifacts_saved(laptop: Laptop, tmp_path: Path) -> None:
    laptop.log_in()
    begun = laptop.site.begin()
    begun.keep_all({"dist/app": b"program", "dist/notes.txt": b"notes"})
    write(begun, 1, b"x", FAILED)
    finish(begun, FAILED)
    server = {"HEADWAY_SERVER": laptop.url}
    assert laptop.ok("rerun", REPO, "1", "--failed", "--reason", "again", "--server", laptop.url).endswith("/runs/2\n")
    listed = laptop.ok("artifacts", REPO, "1", **server).splitlines()
    assert [line.split("\t")[1:] for line in listed] == [
        ["7", "", "build", "dist/app"], ["5", "", "build", "dist/notes.txt"]
    ]  # fmt: skip
    archive = tmp_path / "all.zip"
    laptop.ok("artifacts", REPO, "1", "--zip", str(archive), "--folder", "dist", **server)
    with zipfile.ZipFile(archive) as packed:
        name = next(each for each in packed.namelist() if each.endswith("/dist/app"))
        assert packed.read(name) == b"program"
    assert "cannot be made: File exists" in laptop.refused("artifacts", REPO, "1", "--zip", str(archive), **server)
    assert "does not wait for approval" in laptop.refused("approve", REPO, "1", **server)
    assert "NAME=VALUE" in laptop.refused("trigger", REPO, "--input", "x", **server)
    assert laptop.ok("trigger", REPO, "--input", "greeting=hello world", **server).endswith("/runs/3\n")
    assert laptop.site.trigger(3).inputs == {"greeting": "hello world"}


def test_what_one_may_not_do_is_said_as_by_the_server(laptop: Laptop) -> None:
    laptop.site.begin()
    laptop.log_in(is_admin=False)
    assert laptop.ok("runs") == ""
    hidden = laptop.refused("logs", REPO, "1")
    assert hidden == laptop.refused("logs", "no/such", "1").replace("no/such", REPO)
    laptop.site.give_role("bob", Role.READ)
    assert laptop.ok("runs").startswith(REPO)
    assert "write" in laptop.refused("cancel", REPO, "1")


def test_a_server_and_a_token_come_from_the_environment_or_a_login(laptop: Laptop) -> None:
    assert "It is not known which server is meant. Log in once: headway login" in laptop.refused("runs")
    assert f"There is no token for {laptop.url}." in laptop.refused("runs", "--server", f"{laptop.url}/")
    user = laptop.site.add_user()
    token = laptop.site.token(user)
    assert laptop.ok("runs", "--server", laptop.url, HEADWAY_TOKEN=token) == ""
    assert laptop.ok("runs", HEADWAY_SERVER=laptop.url, HEADWAY_TOKEN=token) == ""
    assert not (laptop.home / ".config").exists()
    file = laptop.home / ".config/headway/servers.json"
    said = laptop.ok("login", f"{laptop.url}/", stdin=f" {token}\n")
    assert said == f"Logged in to {laptop.url} as ada. The token is kept in {file}.\n"
    assert file.stat().st_mode & 0o777 == 0o600
    assert laptop.ok("runs") == ""
    with transaction(laptop.site.engine) as session:
        users_token = store.tokens_of(session, user)[0].id
        drop_token(session, user, users_token)
    assert f"does not accept the token. Log in: headway login {laptop.url}" in laptop.refused("runs")
    assert laptop.ok("logout", laptop.url) == f"Logged out of {laptop.url}.\n"
    assert laptop.ok("logout", laptop.url) == f"No token is kept for {laptop.url}.\n"
    assert "It is not known which server" in laptop.refused("runs")


def test_a_token_that_is_not_accepted_is_not_kept(laptop: Laptop) -> None:
    assert "does not accept the token" in laptop.refused("login", laptop.url, stdin="wrong\n")
    for text in ("", "a b\x00", "\u00e4\n"):
        assert "What came is no token" in laptop.refused("login", laptop.url, stdin=text)
    assert not (laptop.home / ".config").exists()


def test_the_addresses_of_pages(laptop: Laptop) -> None:
    laptop.log_in()
    browser = {"BROWSER": "true"}  # of the module webbrowser: the program `true` opens nothing
    assert laptop.ok("open", **browser) == f"{laptop.url}/\n"
    assert laptop.ok("open", "team/a b", **browser) == f"{laptop.url}/repos/team/a%20b\n"
    assert laptop.ok("open", REPO, "3", **browser) == f"{laptop.url}/repos/{REPO}/runs/3\n"
