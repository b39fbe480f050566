"""The demo: a git push becomes a tested, pushed image. Called by `make demo`.

Everything that it keeps is in `.demo/` in this checkout; delete that folder to start from nothing.
Variables: HEADWAY_DEMO_EXIT=1 (stop at the end), HEADWAY_PORT (8080), HEADWAY_REGISTRY_PORT (the first free
one from 5000 on).
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from types import FrameType
from typing import Any

from scripts.demo_services import (
    ROOT,
    STATE,
    DemoError,
    await_answer,
    prove_shared_folder,
    registry_port,
    remove_containers,
    start_program,
    start_redis,
    start_registry,
)  # fmt: skip

SAMPLE = ROOT / "examples" / "shortlink"
HEADWAY = ROOT / ".venv" / "bin" / "headway"
REPO = "demo/shortlink"
RUN_S = 600
LAST_LINES = 3
ENDING = (signal.SIGTERM, signal.SIGHUP)
"""In addition to Ctrl-C. SIGHUP: the terminal was closed."""
FINAL = {"passed", "failed", "broken", "canceled"}


@dataclass(frozen=True)
class Place:
    """Where things listen."""

    port: int
    registry_port: int
    redis_url: str = ""
    """Empty: ``headway serve`` starts its own Redis."""

    @property
    def url(self) -> str:
        return f"http://localhost:{self.port}"

    @property
    def registry(self) -> str:
        return f"127.0.0.1:{self.registry_port}"

    @property
    def environment(self) -> dict[str, str]:
        own = {
            "HEADWAY_DATA_DIR": str(STATE / "data"), "HEADWAY_PORT": str(self.port), "HEADWAY_BASE_URL": self.url,
            "HEADWAY_HOST": "127.0.0.1",
        }  # fmt: skip
        own |= {"HEADWAY_REDIS_URL": self.redis_url} if self.redis_url else {}
        return {name: value for name, value in os.environ.items() if not name.startswith("HEADWAY_")} | own


def main() -> int:
    """The whole show. 0 when all of it worked."""
    for number in ENDING:
        signal.signal(number, end)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        remove_containers()  # before a port is chosen: a container of a killed demo may hold it
        place = Place(int(os.environ.get("HEADWAY_PORT") or "8080"), registry_port())
        with ExitStack() as stack:
            return show(place, stack)
    except DemoError as error:
        print(f"\ndemo: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\ndemo: stopped")
        return 130


def end(number: int, _frame: FrameType | None) -> None:
    for each in ENDING:
        signal.signal(each, signal.SIG_IGN)  # a closed terminal may send it twice: the cleanup continues
    sys.exit(128 + number)


def show(place: Place, stack: ExitStack) -> int:
    STATE.mkdir(exist_ok=True)
    stack.callback(remove_containers)
    prove_shared_folder()
    say("start a registry, and Headway with all its parts (headway serve)")
    start_registry(place.registry_port, stack)
    place = replace(place, redis_url=start_redis())
    start_headway(place, stack)
    say("make a git repository with a small web service, and connect it (headway repo add)")
    make_repository(place)
    say("git push")
    number = push(place)
    token = headway(place, "token", "create", "admin", "demo").strip().splitlines()[-1]
    run = follow(place, token, number)
    passed = run["state"] == "passed"
    report(place, run)
    if os.environ.get("HEADWAY_DEMO_EXIT") == "1":
        return 0 if passed else 1
    login = headway(place, "user", "link", "admin").strip().splitlines()[-1]
    print(f"\nOpen this link to log in; it works once:\n  {login}")
    print(f"Push a change of your own:\n  cd {STATE / 'work'}   # edit shortlink.py, git commit -a, git push")
    print("Headway runs until you press Ctrl-C.", flush=True)
    with suppress(KeyboardInterrupt):
        signal.pause()
    return 0 if passed else 1


def say(what: str) -> None:
    print(f"\n==> {what}", flush=True)


def start_headway(place: Place, stack: ExitStack) -> None:
    check = start_program("headway", [str(HEADWAY), "serve"], place.environment, stack)
    await_answer("headway", f"{place.url}/readyz", check)


def headway(place: Place, *arguments: str) -> str:
    done = subprocess.run(
        [HEADWAY, *arguments],
        env=place.environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise DemoError(f"headway {' '.join(arguments)} failed: {done.stderr.strip() or done.stdout.strip()}")
    return done.stdout


def git(folder: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=Ada Example", "-c", "user.email=ada@example.com", "-c", "init.defaultBranch=main"]
    done = subprocess.run(
        ["git", *identity, "-C", str(folder), *arguments],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise DemoError(f"git {arguments[0]} failed: {done.stderr.strip()}")
    return done.stdout + done.stderr


def make_repository(place: Place) -> None:
    bare, work = STATE / "shortlink.git", STATE / "work"
    if not bare.exists():
        git(STATE, "init", "--quiet", "--bare", str(bare))
        git(STATE, "clone", "--quiet", str(bare), str(work))
    hook = bare / "hooks" / "post-receive"
    if not hook.exists() or str(place.port) not in hook.read_text():
        arguments = ["--name", REPO, "--forge", "generic", "--hook-file", str(hook)]
        headway(place, "repo", "add", "--replace", f"file://{bare}", *arguments)
    shutil.copytree(SAMPLE, work, dirs_exist_ok=True)
    pipeline = work / ".headway.yml"
    pipeline.write_text(pipeline.read_text().replace("127.0.0.1:5000", place.registry))
    git(work, "add", "--all")
    message = "Shorten links, and count who follows them"
    git(work, "commit", "--quiet", "--allow-empty", "-m", message)


def push(place: Place) -> int:
    """Pushes, and returns the number of the run that the hook prints."""
    told = git(STATE / "work", "push", "--quiet", "origin", "HEAD:main")
    print(told.rstrip(), flush=True)
    found = [word.rsplit("/", 1)[1] for word in told.split() if f"{place.url}/repos/{REPO}/runs/" in word]
    if not found:
        raise DemoError(f"the hook named no run; it said: {told.strip() or 'nothing'}")
    return int(found[-1])


def ask(place: Place, token: str, path: str) -> Any:  # noqa: ANN401 - JSON
    request = urllib.request.Request(f"{place.url}/api{path}", headers={"Authorization": f"Bearer {token}"})
    with urllib.request.urlopen(request, timeout=10) as answer:
        return answer.read() if answer.headers.get_content_type() != "application/json" else json.load(answer)


def follow(place: Place, token: str, number: int) -> Any:  # noqa: ANN401 - JSON
    """Prints each step when it ends, with its last lines, until the run ends."""
    shown: set[int] = set()
    deadline = time.monotonic() + RUN_S
    while time.monotonic() < deadline:
        run = ask(place, token, f"/repos/{REPO}/runs/{number}")
        steps = [step for job in run["jobs"] for step in job["steps"]]
        for step in steps:
            if step["id"] not in shown and step["state"] not in {"queued", "running"}:
                shown.add(step["id"])
                print_step(place, token, step)
        if run["state"] in FINAL and len(shown) == len(steps):
            return run
        time.sleep(0.2)
    page = f"{place.url}/repos/{REPO}/runs/{number}"
    raise DemoError(f"the run did not end within {RUN_S} s; look at {page} and {STATE}/headway.log")


def print_step(place: Place, token: str, step: dict[str, Any]) -> None:
    took = (step["finished_ms"] - step["started_ms"]) / 1000 if step["started_ms"] else 0
    print(f"  {step['state']:<8} {step['name']:<14} {took:6.1f} s  {step['message']}", flush=True)
    log = bytes(ask(place, token, f"/steps/{step['id']}/log")).decode(errors="replace")
    for line in log.splitlines()[-LAST_LINES:]:
        print(f"           | {line[:110]}", flush=True)


def report(place: Place, run: dict[str, Any]) -> None:
    pushed = [push for job in run["jobs"] for step in job["steps"] for push in step["facts"].get("pushed", [])]
    say(f"run {run['number']} {run['state']}: {place.url}/repos/{REPO}/runs/{run['number']}")
    if run["sentence"]:
        print(f"  {run['sentence']}")
    for image in pushed:
        print(f"  pushed {image['repo']}:{image['tag']}@{image['digest']}")
    if pushed and os.environ.get("HEADWAY_DEMO_EXIT") != "1":
        last = pushed[-1]
        print("\nRun the image that was pushed:")
        print(f"  docker run --rm -p 8000:8000 {last['repo']}:{last['tag']}")
        print('  curl -d \'{"url": "https://example.com/"}\' http://localhost:8000/', flush=True)


if __name__ == "__main__":
    sys.exit(main())
