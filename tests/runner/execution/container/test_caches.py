"""Caches of steps on the engine: found, mounted, kept, and apart from each other."""

import os
import shutil
import subprocess
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest

from pipelines.context import Access, Trust
from pipelines.state import Reason, State
from pipelines.step_options.caches import Cache, CacheFolder, Checksum
from pipelines.step_options.retry_policy import Retry
from runner.caches.job_caches import CacheAccess
from runner.caches.keeping import LAYERS_COUNT_MAX
from runner.caches.store import CacheStore
from runner.caches.trimming import stored_versions
from runner.cleanup.folder_removal import remove_tree
from runner.events import CachesUsed, CacheUse, Event, StepOutput, Stream
from runner.execution.job.journal import boot_id
from tests.support.engine import JobRunner
from tests.support.job_result import JobResult
from tests.support.plans import BUSYBOX, build, container, shell

pytestmark = pytest.mark.engine

FORK = Access(Trust(), push=False, shared_caches=False, untrusted="it comes from a fork")
DATA = CacheFolder(path="/data")


@pytest.fixture
def caches(ran: JobRunner, tmp_path: Path) -> Iterator[CacheAccess]:
    store = CacheStore(tmp_path / "caches", boot_id())
    yield CacheAccess(store, "repo")
    remove_tree(ran.engine, store.root)


def cache(*folders: CacheFolder, key: str = "k", **keys: object) -> tuple[Cache, ...]:
    return (Cache.model_validate({"name": "c", "key": (key,), "folders": folders or (DATA,), **keys}),)


def notes(job: JobResult, step: int = 1) -> list[str]:
    return [line for line in job.log(step, Stream.NOTE).decode().splitlines() if "cache" in line]


def uses(job: JobResult) -> list[CacheUse]:
    return [use for event in job.events if isinstance(event, CachesUsed) for use in event.caches]


def versions(caches: CacheAccess) -> list[tuple[str, int]]:
    return [(each.version.key, len(each.version.layers)) for each in stored_versions(caches.store)]


def test_a_step_finds_what_the_last_one_kept(ran: JobRunner, caches: CacheAccess) -> None:
    fill = shell("ls /data", "echo one > /data/a && mkdir /data/d && echo two > /data/d/b", caches=cache())
    change = shell("cat /data/a /data/d/b", "rm /data/a && echo three > /data/d/b", caches=cache())
    first = ran(fill, caches=caches)
    assert notes(first)[0] == "headway: cache c: nothing is kept for k yet"
    assert [(use.found, use.saved_bytes > 0) for use in uses(first)] == [("", False), ("", True)]
    second = ran(change, caches=caches)
    assert b"\none\ntwo\n" in second.log(1, Stream.STDOUT)
    assert [(use.found, use.key, use.copied) for use in uses(second)] == [("k", "k", False)] * 2
    third = ran(shell("cd /data && find . -type f -exec cat {} +", caches=cache()), caches=caches)
    assert third.log(1, Stream.STDOUT).splitlines()[-1] == b"three"
    assert b"one" not in third.log(1, Stream.STDOUT).splitlines()
    assert versions(caches) == [("k", 2)]
    assert list(caches.store.views.iterdir()) == list(caches.store.gone.iterdir()) == []


def test_a_later_step_of_the_job_sees_it_too(ran: JobRunner, caches: CacheAccess) -> None:
    job = ran(shell("echo x > /data/x", caches=cache()), shell("cat /data/x", caches=cache()), caches=caches)
    assert job.outcome.state is State.PASSED


def test_a_step_that_failed_keeps_nothing(ran: JobRunner, caches: CacheAccess) -> None:
    ran(shell("echo good > /data/x", caches=cache()), caches=caches)
    ran(shell("echo bad > /data/x", "exit 1", caches=cache()), caches=caches)
    job = ran(shell("cat /data/x", caches=cache()), caches=caches)
    assert job.log(1, Stream.STDOUT).endswith(b"good\n")
    assert versions(caches) == [("k", 1)]


def test_a_fork_reads_the_caches_of_the_repository_and_changes_nothing(ran: JobRunner, caches: CacheAccess) -> None:
    ran(shell("echo good > /data/x", caches=cache()), caches=caches)
    fork = replace(caches, untrusted="it comes from a fork")
    poison = "cat /data/x; echo bad > /data/x; echo bad > /data/y; rm -rf /data/x; chmod 777 /data"
    job = ran(shell(poison, caches=cache()), shell("ls /data", caches=cache(key="own")), caches=fork, access=FORK)
    assert b"good" in job.log(1)
    assert notes(job)[-1] == "headway: its caches are not kept: this run is untrusted (it comes from a fork)"
    assert uses(job)[0].saved_bytes == 0
    later = ran(shell("ls /data && cat /data/x", caches=cache()), caches=caches)
    assert later.log(1, Stream.STDOUT).endswith(b"x\ngood\n")
    assert versions(caches) == [("k", 1)]


def test_a_fork_cannot_change_a_copy_either(ran: JobRunner, caches: CacheAccess) -> None:
    ran(shell("echo good > /data/x", caches=cache()), caches=caches)
    caches.store.no_overlays()
    fork = replace(caches, untrusted="it comes from a fork")
    ran(shell("cat /data/x; echo bad > /data/x", caches=cache()), caches=fork, access=FORK)
    assert ran(shell("cat /data/x", caches=cache()), caches=caches).log(1, Stream.STDOUT).endswith(b"good\n")


def test_two_jobs_at_once_see_nothing_of_each_other(ran: JobRunner, caches: CacheAccess, tmp_path: Path) -> None:
    ran(shell("echo start > /data/x", caches=cache()), caches=caches)
    begun = threading.Event()
    gate, results = tmp_path / "gate", list[JobResult]()

    def on_event(event: Event) -> None:
        if isinstance(event, StepOutput) and b"written" in event.data:
            begun.set()

    def first() -> None:
        wait = "echo half > /data/x; echo wri''tten; until [ -e /gate/open ]; do sleep 0.05; done; cat /data/x"
        step = shell(wait, box=container(volumes=(f"{gate}:/gate",)), caches=cache())
        results.append(ran(step, caches=caches, on_event=on_event))

    gate.mkdir()
    thread = threading.Thread(target=first)
    thread.start()
    assert begun.wait(60)
    other = ran(shell("cat /data/x", "echo other > /data/y", caches=cache()), caches=caches)
    (gate / "open").touch()
    thread.join()
    assert b"start\n" in other.log(1, Stream.STDOUT)
    assert results[0].log(1, Stream.STDOUT).endswith(b"half\n")
    last = ran(shell("ls /data", caches=cache()), caches=caches)
    assert last.log(1, Stream.STDOUT).splitlines()[-1] == b"x", "the last that passed"


def test_what_runs_on_in_the_container_does_not_write_to_what_is_kept(ran: JobRunner, caches: CacheAccess) -> None:
    stays = "(while true; do echo x >> /data/log; done) & until [ -s /data/log ]; do sleep 0.05; done"
    ran(shell(stays, caches=cache()), caches=caches)
    (log,) = caches.store.layers.glob("*/0/log")
    size = log.stat().st_size
    ran(shell("true", caches=cache()), caches=caches)
    assert log.stat().st_size == size


def test_a_cache_is_the_users_of_the_step(ran: JobRunner, caches: CacheAccess) -> None:
    box = container(user="1234:1234", environment={"HOME": ("/tmp",)})
    step = shell("touch ~/.cache/x /data/x && stat -c %u ~/.cache /data", box=box,
                 caches=(*cache(), *cache(CacheFolder(path="~/.cache"), key="h")))  # fmt: skip
    for _ in range(2):
        job = ran(step, caches=caches)
        assert job.log(1, Stream.STDOUT).endswith(b"1234\n1234\n")
    root = ran(shell("stat -c %u /data && ls /data", caches=cache()), caches=caches)
    assert root.log(1, Stream.STDOUT).endswith(b"0\n"), "of another user it is another cache"


def test_the_home_of_a_user_who_is_not_known_has_a_sentence(ran: JobRunner, caches: CacheAccess) -> None:
    step = shell("true", box=container(user="ada"), caches=cache(CacheFolder(path="~/.cache")))
    job = ran(step, caches=caches)
    assert job.step().reason is Reason.INVALID_PIPELINE
    assert job.step().message == (
        "the folder '~/.cache' of its cache is below the home of user 'ada', which is not known; write its absolute "
        "path, or HOME in `environment`"
    )


def test_a_variable_leads_the_tool_unless_the_step_sets_it(ran: JobRunner, caches: CacheAccess) -> None:
    led = CacheFolder(path="/var/cache/headway/pip", variable="PIP_CACHE_DIR", leads=True)
    found = CacheFolder(path="~/.cargo", variable="CARGO_HOME", below="registry")
    say = 'echo "$PIP_CACHE_DIR"; mount | grep -c " $PIP_CACHE_DIR "; touch "$PIP_CACHE_DIR/x" /root/.cargo/registry/x'
    job = ran(shell(say, caches=cache(led, found)), caches=caches)
    assert job.log(1, Stream.STDOUT).splitlines()[-2:] == [b"/var/cache/headway/pip", b"1"]
    box = container(environment={"PIP_CACHE_DIR": ("/opt/pip",), "CARGO_HOME": ("/opt/cargo",)})
    job = ran(
        shell("echo $PIP_CACHE_DIR; ls /opt/pip /opt/cargo/registry", box=box, caches=cache(led, found)), caches=caches
    )
    assert job.log(1, Stream.STDOUT).splitlines()[-6:] == [
        b"/opt/pip", b"/opt/cargo/registry:", b"x", b"", b"/opt/pip:", b"x",
    ]  # fmt: skip


def test_relative_paths_are_below_where_the_step_starts(ran: JobRunner, caches: CacheAccess) -> None:
    folder = CacheFolder(path="node_modules")
    box = container(directory="/headway/src/web")
    ran(shell("pwd", "touch node_modules/x", box=box, caches=cache(folder)), files={"web/a": ""}, caches=caches)
    own = shell("ls node_modules", box=container(1), caches=cache(folder))
    job = ran(build(), own, files={"Dockerfile": f"FROM {BUSYBOX}\nWORKDIR /app\n"}, caches=caches)
    assert job.log(2, Stream.STDOUT).endswith(b"x\n")


def test_a_key_without_its_file_fails_the_step(ran: JobRunner, caches: CacheAccess) -> None:
    broken = Cache(name="c", key=(Checksum(files=("none.lock",)),), folders=(DATA,))
    job = ran(shell("true", caches=(broken,)), caches=caches)
    assert job.step().reason is Reason.INVALID_PIPELINE
    assert job.step().message.startswith("the key of its cache takes the checksum of 'none.lock', and the checkout has")


def test_with_another_lock_file_a_step_begins_with_what_was_there(ran: JobRunner, caches: CacheAccess) -> None:
    of_file = Cache(name="c", key=("c-", Checksum(files=("lock",))), restore=(("c-",),), folders=(DATA,))
    ran(shell("echo x > /data/x", caches=(of_file,)), files={"lock": "1"}, caches=caches)
    job = ran(shell("cat /data/x", caches=(of_file,)), files={"lock": "2"}, caches=caches)
    use = uses(job)[-1]
    assert (use.found != use.key, use.saved_bytes > 0) == (True, True)
    assert [layers for _, layers in versions(caches)] == [1, 1], "the same layer, by both keys"
    again = ran(shell("cat /data/x", caches=(of_file,)), files={"lock": "2"}, caches=caches)
    assert uses(again)[-1].found == use.key


def test_how_much_faster_a_step_was_is_said(ran: JobRunner, caches: CacheAccess) -> None:
    step = shell("[ -e /data/x ] || sleep 3; touch /data/x", caches=cache())
    assert uses(ran(step, caches=caches))[-1].faster_s is None
    faster_s = uses(ran(step, caches=caches))[-1].faster_s
    assert faster_s is not None
    assert faster_s > 0


def test_a_small_change_makes_no_layer(ran: JobRunner, caches: CacheAccess) -> None:
    ran(shell("dd if=/dev/urandom of=/data/big bs=1k count=400", caches=cache()), caches=caches)
    ran(shell("echo x > /data/small", caches=cache()), caches=caches)
    assert versions(caches) == [("k", 1)]
    ran(shell("dd if=/dev/urandom of=/data/more bs=1k count=40", caches=cache()), caches=caches)
    assert versions(caches) == [("k", 2)]


def test_many_layers_become_one_by_a_copy(ran: JobRunner, caches: CacheAccess) -> None:
    fill = shell("echo x > /data/first; touch /data/$(ls /data | wc -l)", caches=cache())
    for _ in range(LAYERS_COUNT_MAX):
        ran(fill, caches=caches)
    assert versions(caches) == [("k", LAYERS_COUNT_MAX)]
    job = ran(shell("rm /data/first && ls /data && echo new > /data/new", caches=cache()), caches=caches)
    assert uses(job)[-1].copied
    assert versions(caches) == [("k", 1)]
    last = ran(shell("ls /data", caches=cache()), caches=caches)
    assert len(last.log(1, Stream.STDOUT).splitlines()) == LAYERS_COUNT_MAX + 2


def test_where_a_view_cannot_be_mounted_it_is_copied(ran: JobRunner, tmp_path: Path) -> None:
    """The kernel takes no folder for writing that is itself in such a view."""
    if os.geteuid() != 0:
        pytest.skip("only root may mount")
    with ExitStack() as at_the_end:
        for name in ("lower", "upper", "work", "view"):
            (tmp_path / name).mkdir()
        options = ",".join(f"{name}dir={tmp_path / name}" for name in ("lower", "upper", "work"))
        mount = ["mount", "-t", "overlay", "overlay", "-o", options, str(tmp_path / "view")]
        if subprocess.run(mount, check=False).returncode:
            pytest.skip("overlays cannot be mounted here")
        at_the_end.callback(subprocess.run, ["umount", "-l", str(tmp_path / "view")], check=True)
        caches = CacheAccess(CacheStore(tmp_path / "view/caches", boot_id()), "repo")
        ran(shell("echo one > /data/x", caches=cache()), caches=caches)
        job = ran(shell("cat /data/x && echo two > /data/x", caches=cache()), caches=caches)
        assert job.outcome.state is State.PASSED
        assert b"one" in job.log(1, Stream.STDOUT)
        assert "the engine cannot mount caches here, so that they are copied: invalid argument" in job.notes
        assert [use.copied for use in uses(job)] == [True, True]
        last = ran(shell("cat /data/x", caches=cache()), caches=caches)
        assert last.log(1, Stream.STDOUT).endswith(b"two\n")
        assert versions(caches) == [("k", 1)]
        assert "cannot mount" not in last.notes
        shutil.rmtree(caches.store.root)


def test_without_a_mount_and_a_copy_a_step_begins_with_nothing(ran: JobRunner, caches: CacheAccess) -> None:
    ran(shell("echo one > /data/x", caches=cache()), caches=caches)
    (folder,) = caches.store.layers.glob("*/0")
    shutil.rmtree(folder)
    folder.write_text("no folder")
    caches.store.no_overlays()
    job = ran(shell("ls /data", "echo two > /data/y", caches=cache()), caches=caches)
    assert job.outcome.state is State.PASSED
    assert "the cache c cannot be copied, so that the step begins without it: " in job.notes
    assert [use.found for use in uses(job)] == ["", ""]
    last = ran(shell("ls /data", caches=cache()), caches=caches)
    assert last.log(1, Stream.STDOUT).endswith(b"y\n")


def test_a_cache_that_is_larger_than_all_may_be_is_not_kept(ran: JobRunner, caches: CacheAccess) -> None:
    small = replace(caches, bytes_max=100_000)
    job = ran(shell("dd if=/dev/zero of=/data/big bs=1k count=200", caches=cache()), caches=small)
    assert job.outcome.state is State.PASSED
    assert notes(job)[-1] == "headway: warning: cache c is not kept: it is larger than all may be (100,000 bytes)"
    assert versions(caches) == []


def test_a_cache_that_cannot_be_kept_changes_no_verdict(ran: JobRunner, caches: CacheAccess) -> None:
    gone: list[Path | None] = []

    def on_event(event: Event) -> None:
        if isinstance(event, StepOutput) and b"written" in event.data and not gone:
            gone.append(caches.store.drop_views(ran.jobs[-1].folder))

    job = ran(shell("echo x > /data/x; echo wri''tten", caches=cache()), caches=caches, on_event=on_event)
    assert job.outcome.state is State.PASSED
    assert notes(job)[-1].startswith("headway: warning: cache c is not kept: [Errno 2]")
    assert versions(caches) == []


def test_what_is_too_much_goes_when_the_job_ends(ran: JobRunner, caches: CacheAccess) -> None:
    for key in ("a", "b"):
        step = shell("dd if=/dev/zero of=/data/big bs=1k count=200", caches=cache(key=key))
        ran(step, caches=replace(caches, bytes_max=300_000))
    assert versions(caches) == [("b", 1)]
    assert len(list(caches.store.layers.iterdir())) == 1


def test_an_attempt_begins_with_what_was_kept(ran: JobRunner, caches: CacheAccess) -> None:
    step = shell("ls /data; touch /data/half; [ -e seen ] || { touch seen; exit 1; }", caches=cache(),
                 retry=Retry(attempts=1, on=("failed",)))  # fmt: skip
    job = ran(step, caches=caches)
    assert job.outcome.state is State.PASSED
    assert b"half" not in job.log(1, Stream.STDOUT).splitlines()


def test_packages_of_apt_stay(ran: JobRunner, caches: CacheAccess) -> None:
    dockerfile = f"FROM {BUSYBOX}\nRUN mkdir -p /etc/apt/apt.conf.d && echo clean > /etc/apt/apt.conf.d/docker-clean\n"
    step = shell("cat /etc/apt/apt.conf.d/docker-clean", box=container(1), caches=cache(tool="apt"))
    job = ran(build(), step, shell("true", caches=cache(tool="apt")), files={"Dockerfile": dockerfile}, caches=caches)
    assert b'APT::Keep-Downloaded-Packages "true";' in job.log(2, Stream.STDOUT)
    assert job.outcome.state is State.PASSED
