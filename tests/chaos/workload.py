"""Runs with known outcomes, and the program that delivers their webhooks: again and again, until each is accepted."""

import hashlib
import hmac
import json
import random
import re
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

from tests.chaos.stack import Stack
from tests.e2e.stack import ask
from tests.support.repos import Repo

REPO = "chaos/roof"
IMAGE = "chaos"
EARLY_S = 4.0
"""A run that is to be canceled is canceled so long after it was delivered."""
ANSWER_S = 5.0
"""As forges, which wait for an answer for some seconds."""
GIVE_UP_S = 240.0
MATRIX = ("red", "green", "blue")
LONG, ENDLESS, CHATTY = 25, 400, 120_000
KINDS = ("pass", "fail", "long", "chatty", "push", "cancel", "matrix")
NO_SHA = "0" * 40


@dataclass(frozen=True)
class Expected:
    """A step's command, the lines that it prints after its echo, and how it ends. ``whole``: all of them are there."""

    command: str
    lines: tuple[str, ...] = ()
    state: str = "passed"
    whole: bool = True

    @property
    def log(self) -> bytes:
        """Its whole output."""
        return "".join(f"{line}\n" for line in (f"+ {self.command}", *self.lines)).encode()


@dataclass
class Sent:
    """One delivery. ``runs`` are the numbers that its answers named: one, where it was accepted."""

    kind: str
    nonce: str
    body: bytes
    verdict: str
    steps: dict[str, Expected] = field(default_factory=dict)
    accepted: bool = False
    runs: set[int] = field(default_factory=set)
    canceled: bool = False
    sent_s: float = field(default_factory=time.monotonic)


def counting(nonce: str, count: int, pause: str = "") -> Expected:
    """A step that counts."""
    rest = f"; sleep {pause}" if pause else ""
    command = f'n=0; while [ $n -lt {count} ]; do n=$((n+1)); echo "{nonce} $n"{rest}; done'
    return Expected(command, tuple(f"{nonce} {number}" for number in range(1, count + 1)))


def steps_of(kind: str, nonce: str) -> dict[str, Expected]:
    """The steps of a kind of run."""
    match kind:
        case "pass":
            return {"one": counting(nonce, 3), "two": counting(nonce, 20)}
        case "fail":
            last = Expected(f"echo {nonce}; exit 7", (nonce,), "failed")
            return {"one": counting(nonce, 5, "0.1"), "two": last, "three": Expected("echo never", (), "skipped")}
        case "long":
            return {"one": counting(nonce, LONG, "0.3"), "two": counting(nonce, 5)}
        case "chatty":
            lines = tuple(f"{nonce} {number}" for number in range(1, CHATTY + 1))
            return {"one": Expected(f"seq 1 {CHATTY} | sed 's/^/{nonce} /'", lines)}
        case "push":
            return {"check": Expected("cat /nonce; sleep 1", (nonce,))}
        case "cancel":
            slow = counting(nonce, ENDLESS, "0.3")
            return {"one": Expected(slow.command, slow.lines, "canceled", whole=False)}
        case _:
            return {"cell": counting(nonce, 10, "0.1")}


def pipeline(kind: str, nonce: str, steps: dict[str, Expected], registry: str) -> str:
    """The pipeline file."""
    text = "matrix: {COLOR: [" + ", ".join(MATRIX) + "]}\n" if kind == "matrix" else ""
    text += "skip_clone: true\n" if kind != "push" else ""
    text += "steps:\n"
    if kind == "push":
        text += "  - {name: image, build: .}\n"
    for name, step in steps.items():
        image = "" if kind == "push" else "    image: busybox\n"
        text += f"  - name: {name}\n{image}    commands:\n      - {json.dumps(step.command)}\n"
    if kind == "push":
        text += f"  - {{name: push, push: {{repo: {registry}/{IMAGE}, tags: [{nonce}]}}}}\n"
    return text


class Workload:
    """Delivers runs to a stack. ``sent`` are all of them."""

    def __init__(self, stack: Stack, seed: str) -> None:
        self.stack = stack
        self.sent: list[Sent] = []
        self._chance = random.Random(seed)
        self._repo = Repo(stack.folder / "origin.git")
        said = stack.site.headway("repo", "add", self._repo.url, "--name", REPO)
        found = re.search(r"^Secret\s+(\S+)", said, re.MULTILINE)
        assert found, said
        self._secret = found[1]
        self._stop = threading.Event()
        self._threads: list[threading.Thread] = []
        self.error: Exception | None = None

    def deliver(self, kind: str) -> Sent:
        """Commits and delivers a run of this kind: its webhook is sent until it is accepted, sometimes twice."""
        nonce = f"{kind}-{len(self.sent)}-{self._chance.randrange(16**6):06x}"
        steps = steps_of(kind, nonce)
        dockerfile = f"FROM busybox\nRUN echo {nonce} > /nonce\nLABEL nonce={nonce}\n"
        text = pipeline(kind, nonce, steps, self.stack.registry_host)
        branch = f"refs/heads/{nonce}"  # else a newer run of the branch would supersede it
        sha = self._repo.commit({".headway.yml": text, "Dockerfile": dockerfile}, ref=branch)
        body = json.dumps({"ref": branch, "before": NO_SHA, "after": sha, "delivery": nonce}).encode()
        verdict = {"fail": "failed", "cancel": "canceled"}.get(kind, "passed")
        sent = Sent(kind, nonce, body, verdict, steps)
        self.sent.append(sent)
        self._begin(partial(self._send, sent, twice=self._chance.random() < 0.3))
        return sent

    def _begin(self, work: Callable[[], None]) -> None:
        thread = threading.Thread(target=self._guarded, args=(work,), daemon=True)
        thread.start()
        self._threads.append(thread)

    def _send(self, sent: Sent, *, twice: bool) -> None:
        left = 1 + twice
        while left and time.monotonic() - sent.sent_s < GIVE_UP_S:
            if self._post(sent):
                left -= 1
            else:
                time.sleep(0.5)

    def _post(self, sent: Sent) -> bool:
        signature = hmac.new(self._secret.encode(), sent.body, hashlib.sha256).hexdigest()
        try:
            answer = ask(
                f"{self.stack.site.url}/hooks/{REPO}",
                method="POST",
                body=sent.body,
                headers={"X-Headway-Signature": f"sha256={signature}", "Content-Type": "application/json"},
                timeout_s=ANSWER_S,
            )
        except (OSError, ValueError):
            return False
        if answer.status not in {200, 202}:
            return False
        sent.accepted = True
        sent.runs |= {int(number) for number in re.findall(rb"/runs/(\d+)", answer.body)}
        return True

    def start(self, every_s: float) -> None:
        """Delivers runs of all kinds in turn, and cancels those that are to be canceled, until ``stop``."""
        self._begin(partial(self._deliver_all, every_s))
        self._begin(self._cancel_all)

    def _guarded(self, work: Callable[[], None]) -> None:
        try:
            work()
        except Exception as error:  # noqa: BLE001 - the judge raises it
            self.error = error

    def _deliver_all(self, every_s: float) -> None:
        while not self._stop.is_set():
            kinds = list(KINDS)
            self._chance.shuffle(kinds)
            for kind in kinds:
                if self._stop.wait(every_s):
                    return
                self.deliver(kind)

    def _cancel_all(self) -> None:
        while not self._stop.wait(0.3):
            self.cancel_due()

    def cancel_due(self, early_s: float = EARLY_S) -> bool:
        """Cancels runs that are due. False while some are still to be canceled."""
        waiting = [each for each in list(self.sent) if each.kind == "cancel" and each.runs and not each.canceled]
        for sent in waiting:
            if time.monotonic() - sent.sent_s >= early_s:
                number = next(iter(sent.runs))
                try:
                    answer = self.stack.site.api(f"/repos/{REPO}/runs/{number}/cancel", method="POST")
                except (OSError, ValueError):
                    continue
                sent.canceled = answer.status in {200, 202, 204}
        return all(each.canceled for each in waiting)

    def stop(self) -> None:
        """Begins no more. Returns when all deliveries are accepted."""
        self._stop.set()
        for thread in list(self._threads):
            thread.join()
