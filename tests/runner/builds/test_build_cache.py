"""What a build finds of earlier ones, and builds that go on together."""

from functools import partial

import pytest

from pipelines.plan import Checkout
from pipelines.state import State
from runner.source.mirrors.mirror import Mirror
from tests.support.engine import JobRunner
from tests.support.job_result import JobResult
from tests.support.plans import build, container, secrets_hex, shell
from tests.support.repos import Repo

pytestmark = pytest.mark.engine

COPY_ALL = "FROM busybox\nWORKDIR /app\nCOPY . .\nRUN ls -A > /names\n"


def cached(job: JobResult) -> list[str]:
    """What came from the cache. A base image that is here is said to, or not, as BuildKit likes."""
    texts = [news.text.partition("] ")[2] for news in job.instructions() if news.cached]
    return [text for text in texts if not text.startswith("FROM")]


def test_all_of_a_commit_is_copied_from_the_cache_the_second_time(ran: JobRunner, repo: Repo, mirror: Mirror) -> None:
    sha = repo.commit({"Dockerfile": COPY_ALL, "new": secrets_hex()})
    mirror.fetch(sha)
    lay_out = partial(mirror.checkout, sha, how=Checkout(), for_builds=True)
    first = ran(build(), shell("cat /names", box=container(1)), files=lay_out)
    assert "COPY . ." not in cached(first)
    assert first.said(2) == [".git", "Dockerfile", "new"]
    second = ran(build(), files=lay_out)
    assert cached(second) == COPY_ALL.splitlines()[1:]
    assert second.built[0].image_id == first.built[0].image_id


def test_a_cache_mount_is_kept_between_runs(ran: JobRunner) -> None:
    kept = f"--mount=type=cache,id={secrets_hex()},target=/kept"
    for run in ("first", "second"):
        text = f"FROM busybox\nRUN {kept} echo {run} >> /kept/runs && cp /kept/runs /\n"
        job = ran(build(dockerfile_inline=text), shell("cat /runs", box=container(1)))
    assert job.said(2) == ["first", "second"]


def test_builds_that_wait_for_each_other_both_end_for_they_run_together(ran: JobRunner) -> None:
    met = f"--mount=type=cache,id={secrets_hex()},target=/met"
    text = f"FROM busybox\nARG ME OTHER\nRUN {met} touch /met/$ME; until [ -e /met/$OTHER ]; do sleep 0.05; done\n"
    pairs = (("a", "b"), ("b", "a"))
    steps = [build(dockerfile_inline=text, args={"ME": me, "OTHER": other}, needs=(), timeout_s=60)
             for me, other in pairs]  # fmt: skip
    assert ran(*steps).states == [State.PASSED, State.PASSED]


def test_a_job_that_only_builds_makes_no_network(ran: JobRunner) -> None:
    found: list[object] = []
    job = ran.new(key=f"test-{secrets_hex()}")
    listen = partial(_networks_of, ran, job.key, found)
    assert ran(build(dockerfile_inline="FROM busybox\n"), key=job.key, on_event=listen).outcome.state is State.PASSED
    assert found == []


def _networks_of(ran: JobRunner, key: str, found: list[object], _event: object) -> None:
    found += ran.engine.networks_labelled(f"headway.job={key}")
