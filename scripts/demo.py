"""The main job on real input: a git push becomes a tested, pushed image. Called by `make demo`.

Everything it keeps is in `.demo/` beside this checkout's other files; delete that folder to start from nothing.
Variables: HEADWAY_DEMO_EXIT=1 (stop at the end), HEADWAY_PORT (8080), HEADWAY_REGISTRY_PORT (5000).
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
STATE = ROOT / ".demo"
SAMPLE = ROOT / "examples" / "shortlink"
HEADWAY = ROOT / ".venv" / "bin" / "headway"
REPO = "demo/shortlink"
START_S = 60
RUN_S = 600
LAST_LINES = 3
FINAL = {"passed", "failed", "broken", "canceled"}


class DemoError(Exception):
    """Something is not as the demo needs it. The text says what, and what to do."""


@dataclass(frozen=True)
class Place:
    """Where things listen."""

    port: int
    registry_port: int

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
        return {name: value for name, value in os.environ.items() if not name.startswith("HEADWAY_")} | own


def main() -> int:
    """The whole show. 0 when all of it worked."""
    place = Place(int(os.environ.get("HEADWAY_PORT", "8080")), int(os.environ.get("HEADWAY_REGISTRY_PORT", "5000")))
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with ExitStack() as stack:
            return show(place, stack)
    except DemoError as error:
        print(f"\ndemo: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\ndemo: stopped")
        return 130


def show(place: Place, stack: ExitStack) -> int:
    STATE.mkdir(exist_ok=True)
    say("a registry, and Headway all in one (pages, worker, scheduler, Redis, SQLite)")
    start_registry(place, stack)
    start_headway(place, stack)
    say("a repository with a small web service, and a post-receive hook that sends the signed webhook")
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
    print("\nHeadway goes on serving. Log in here (the link works once):")
    print(f"  {login}\nPush more: cd {STATE}/work, commit, git push. Ctrl-C stops everything.", flush=True)
    while True:
        signal.pause()


def say(what: str) -> None:
    print(f"\n==> {what}", flush=True)


def start(name: str, command: list[str], environment: dict[str, str], stack: ExitStack) -> Callable[[], None]:
    """Starts a program that ends with the demo. The returned function raises DemoError when it has ended early."""
    log_path = STATE / f"{name}.log"
    log = stack.enter_context(log_path.open("wb"))
    process = subprocess.Popen(
        command, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
    )
    stack.callback(stop, name, process)

    def check() -> None:
        if process.poll() is not None:
            tail = "\n  ".join(log_path.read_text(errors="replace").splitlines()[-15:])
            raise DemoError(f"{name} ended with {process.returncode}; its last words ({log_path}):\n  {tail}")

    return check


def stop(name: str, process: subprocess.Popen[bytes]) -> None:
    if process.poll() is not None:
        return
    print(f"stopping {name}", flush=True)
    process.terminate()
    try:
        process.wait(timeout=45)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def await_answer(what: str, url: str, check: Callable[[], None]) -> None:
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline:
        check()
        try:
            urllib.request.urlopen(url, timeout=2).read()
        except OSError:
            time.sleep(0.1)
        else:
            return
    raise DemoError(f"{what} did not answer at {url} within {START_S} s; look at {STATE}/{what}.log")


def start_registry(place: Place, stack: ExitStack) -> None:
    config = STATE / "registry.yml"
    storage = STATE / "registry"
    config.write_text(
        f"version: 0.1\nlog: {{level: warn}}\nstorage: {{filesystem: {{rootdirectory: {json.dumps(str(storage))}}}}}\n"
        f"http: {{addr: '{place.registry}'}}\n"
    )
    program = shutil.which("docker-registry", path=os.environ.get("PATH", "") + ":/usr/bin:/usr/sbin")
    if program is None:
        raise DemoError("the program docker-registry is missing; install it (apt-get install docker-registry)")
    check = start("registry", [program, "serve", str(config)], dict(os.environ), stack)
    await_answer("registry", f"http://{place.registry}/v2/", check)


def start_headway(place: Place, stack: ExitStack) -> None:
    check = start("headway", [str(HEADWAY), "serve"], place.environment, stack)
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
    """Pushes; the number of the run that the hook's answer names."""
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
    """Prints steps as they end, with their last lines, until the run does."""
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
    raise DemoError(f"the run did not end within {RUN_S} s; look at {place.url}/repos/{REPO}/runs/{number}")


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
    if pushed:
        last = pushed[-1]
        print(f"\n  docker pull {last['repo']}@{last['digest']}")
        print(f"  docker run --rm -p 8000:8000 {last['repo']}:{last['tag']}")
        print('  curl -d \'{"url": "https://example.com/"}\' http://localhost:8000/', flush=True)


if __name__ == "__main__":
    sys.exit(main())
