"""A step fills the disk of the data directory at once, while another repository's job runs and hooks come in."""

import hashlib
import hmac
import json
import re
import shutil
import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.e2e.stack import FINAL, Repository, Stack, ask, until
from tests.support.disks import mounted_disk
from tests.support.registry import Registry

pytestmark = pytest.mark.slow
MIB = 1024**2

INNOCENT = """\
steps:
  - name: count
    image: busybox
    commands:
      - for n in $(seq 120); do echo line $n; sleep 0.1; done
      - echo all counted
"""


def filling(command: str) -> dict[str, str]:
    return {".headway.yml": f"steps:\n  - name: fill\n    image: busybox\n    commands:\n      - {command}\n"}


class CrowdedStack(Stack):
    """What a step writes to a disk in memory counts as its memory, too."""

    @property
    def environment(self) -> dict[str, str]:
        return super().environment | {"HEADWAY_STEP_MEMORY_BYTES_MAX": str(2 * 1024**3)}


@pytest.fixture(scope="module")
def crowded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """`headway serve` with its data on a disk of 300 MB."""
    folder = tmp_path_factory.mktemp("crowded")
    with mounted_disk(folder / "data", "300m"):
        stack = CrowdedStack(folder, Registry("localhost:1", locked=False))
        stack.start()
        try:
            yield stack
        finally:
            assert stack.stop() == 0


def delivered(repo: Repository) -> int:
    """Sends a signed hook that starts no run, and whose delivery is stored; the status of the answer."""
    (inner,) = re.findall(r"^inner='(.*)'", (repo.bare / "hooks" / "post-receive").read_text(), re.MULTILINE)
    secret = bytes(int(octal, 8) ^ 0x36 for octal in inner.split("\\")[1:]).rstrip(b"\0")
    body = json.dumps({"ref": "refs/heads/gone", "before": "a" * 40, "after": "0" * 40, "at": time.time_ns()}).encode()
    signature = hmac.new(secret, body, hashlib.sha256).hexdigest()
    headers = {"x-headway-signature": f"sha256={signature}"}
    return ask(f"{repo.stack.url}/hooks/{repo.name}", method="POST", body=body, headers=headers).status


@pytest.mark.parametrize(
    "command",
    [
        "dd if=/dev/zero of=big bs=1M count=400",
        "'while true; do dd if=/dev/zero of=big$((n=n+1)) bs=1M count=40 2>/dev/null; done'",
    ],
    ids=["at-once", "again-and-again"],
)
def test_the_job_that_fills_the_disk_ends_alone(crowded: Stack, command: str) -> None:
    name = f"team/{time.monotonic_ns()}"
    innocent, guilty = Repository(crowded, f"{name}/b"), Repository(crowded, f"{name}/a")
    counted = innocent.push({".headway.yml": INNOCENT})
    innocent.running(counted, "count", "line 3")
    filled = guilty.push(filling(command))
    answers: list[int] = []
    workers: list[int] = []

    def ended() -> Any:
        answers.append(delivered(innocent))
        workers.append(len(crowded.api("/workers").json))
        run = guilty.run(filled)
        return run if run.get("state") in FINAL else None

    run = until("the filling run ends", ended, patience_s=30)
    assert (run["state"], run["reason"]) == ("broken", "disk_full")
    assert "this job filled it" in run["sentence"]
    assert [job["attempt"] for job in run["jobs"]] == [1]
    assert set(answers) == {200}
    assert min(workers) == 1
    assert shutil.disk_usage(crowded.data).free > 150 * MIB
    other = innocent.ended(counted)
    assert (other["state"], other["sentence"], [job["attempt"] for job in other["jobs"]]) == ("passed", "", [1])
    counting, lines = innocent.log(innocent.step(counted, "count")).decode().splitlines(), range(1, 121)
    assert [line for line in counting if not line.startswith("+")] == [*(f"line {n}" for n in lines), "all counted"]
    until("nothing is left in the engine", lambda: not crowded.left_behind())
