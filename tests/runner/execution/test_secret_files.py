"""Secrets as files: in memory, whole, of the step's user, masked, and nowhere else."""

import hashlib
import json
from pathlib import Path

import pytest

from pipelines.plan import CommandsStep
from pipelines.state import Reason, State
from pipelines.step_options.retry_policy import Retry
from pipelines.step_options.secret_files import FILES_BYTES_MAX, SecretFile
from runner.docker.containers.specs import JOB_LABEL
from runner.events import Stream
from tests.support.engine import JobRunner, when_said
from tests.support.plans import BUSYBOX, build, container, plugin, shell

pytestmark = pytest.mark.engine

KEY = "-----BEGIN KEY-----\nfirst line of it\nsecond 'line' \"of\" $it\n-----END KEY-----\n"
FILE = SecretFile(secret="key", path="/run/secrets/key")
HASH = hashlib.sha256(KEY.encode()).hexdigest()


def reads(*more: str, **keys: object) -> CommandsStep:
    return shell("sha256sum < /run/secrets/key", *more, secret_files=(FILE,), **keys)  # type: ignore[arg-type]


def test_a_step_reads_its_file_and_the_log_has_none_of_its_lines(ran: JobRunner) -> None:
    look = "stat -c '%a %u' /run/secrets/key; grep ' /run/secrets ' /proc/mounts | cut -d' ' -f3; cat /run/secrets/key"
    job = ran(reads(look), secrets={"key": KEY})
    said = job.said()
    assert said[0].split()[0] == HASH
    assert said[1:3] == ["400 0", "tmpfs"]
    assert "first line" not in job.everything()
    assert "********" in said


def test_it_belongs_to_the_user_of_the_step_and_has_its_mode(ran: JobRunner) -> None:
    box = container(user="4711:42")
    files = (FILE, SecretFile(secret="other", path="/opt/app/deep/other", mode=0o440))
    look = "stat -c '%a %u %g' /run/secrets/key /opt/app/deep/other; cat /run/secrets/key > /dev/null"
    job = ran(
        shell(look, "wc -c < /opt/app/deep/other", secret_files=files, box=box), secrets={"key": KEY, "other": "1234"}
    )
    assert job.said() == ["400 4711 42", "440 4711 42", "4"]


def test_a_plugin_and_an_own_entrypoint_have_it_before_they_start_and_no_input(ran: JobRunner) -> None:
    look = "sha256sum < /run/secrets/key; cat; echo end"
    own = shell(
        look, box=container(entrypoint=("sh", "-c", 'echo "$CI_SCRIPT" | base64 -d | sh')), secret_files=(FILE,)
    )
    alone = plugin(container(entrypoint=("sh", "-c", look)), secret_files=(FILE,))
    job = ran(own, alone, secrets={"key": KEY})
    assert [line.split()[0] for line in job.said(1) if not line.startswith("+")] == [HASH, "end"]
    assert [line.split()[0] for line in job.said(2)] == [HASH, "end"]


def test_each_step_and_each_attempt_has_its_own(ran: JobRunner) -> None:
    once = reads("rm -f /run/secrets/key", "[ -e again ] || { touch again; exit 1; }", retry=Retry(attempts=1))
    job = ran(once, reads(), shell("ls /run/secrets 2>/dev/null || echo none"), secrets={"key": KEY})
    assert job.outcome.state is State.PASSED
    assert [line.split()[0] for line in job.said(1) if HASH in line] == [HASH, HASH]
    assert job.said(2)[0].split()[0] == HASH
    assert job.said(3) == ["none"]


def test_all_files_of_a_step_may_have_so_many_bytes_and_no_more(ran: JobRunner) -> None:
    files = (FILE, SecretFile(secret="more", path="/s/more"))
    step = shell("cat /run/secrets/key /s/more | wc -c", secret_files=files)
    whole = {"key": "k" * 1000, "more": "m" * (FILES_BYTES_MAX - 1000)}
    assert ran(step, secrets=whole).said() == [str(FILES_BYTES_MAX)]
    job = ran(step, secrets={**whole, "key": "k" * 1001})
    assert job.step().reason is Reason.SECRETS_TOO_LARGE
    assert "have 1,048,577 bytes together; the limit is 1,048,576; keep large files elsewhere" in job.step().message


def test_a_missing_one_is_named_before_anything_runs(ran: JobRunner) -> None:
    job = ran(reads("echo never"), secrets={"other": KEY})
    assert job.step().reason is Reason.SECRET_MISSING
    assert "'key'" in job.step().message
    assert job.said() == []


def test_behind_a_link_of_the_image_it_is_never_on_a_disk(ran: JobRunner) -> None:
    """Newer engines mount the folder behind the link, and then the checkout over it; 20.10 the other way round."""
    dockerfile = f"FROM {BUSYBOX}\nRUN mkdir /headway && ln -s /headway/src /s\n"
    look = ("stat -f -c %T /s/key", "cp /s/key /tmp", "sha256sum < /tmp/key")
    step = shell(*look, box=container(1), secret_files=(SecretFile(secret="key", path="/s/key"),))
    job = ran(build(), step, files={"Dockerfile": dockerfile}, secrets={"key": KEY})
    if job.step(2).state is State.PASSED:
        assert [line.split()[0] for line in job.said(2)] == ["tmpfs", HASH]
    else:
        assert b"is not written to /s/key: it would be on a disk, not in memory" in job.log(2, Stream.STDERR)
        assert job.said(2) == [], "no program has started"
    assert _files_with(b"first line", job.folder) == []


def test_while_it_runs_no_file_of_the_engine_and_no_description_has_it(ran: JobRunner) -> None:
    descriptions: list[str] = []
    found: list[Path] = []
    running = ran.new()

    def look() -> None:
        for entry in ran.engine.containers_labelled(f"{JOB_LABEL}={running.key}"):
            about = ran.engine.inspect(entry["Id"]) or {}
            descriptions.append(json.dumps(about))
            upper = ((about.get("GraphDriver") or {}).get("Data") or {}).get("UpperDir") or "/none"
            own = Path(ran.engine.info()["DockerRootDir"], "containers", entry["Id"])
            found.extend(path for folder in (Path(upper), own) for path in _files_with(b"first line", folder))
        found.extend(_files_with(b"first line", running.folder))
        (running.folder / "workspace/src/go").touch()

    step = reads("echo up", "while [ ! -e go ]; do sleep 0.02; done")
    job = ran(step, secrets={"key": KEY}, key=running.key, on_event=when_said(b"up", look))
    assert job.outcome.state is State.PASSED
    assert found == []
    assert descriptions
    assert "first line" not in "".join(descriptions)


def _files_with(content: bytes, folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    files = (path for path in folder.rglob("*") if path.is_file() and not path.is_symlink())
    return [path for path in files if content in path.read_bytes()]
