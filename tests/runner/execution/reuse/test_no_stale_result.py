"""No result is stale: random pipelines and edits, compared with running everything."""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, cast

from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.plan import CommandsStep, Container, JobPlan, NamedImage, SecretRef
from pipelines.state import PASSED, Outcome, Reason, State
from runner.artifacts.files import KeptFile
from runner.events import StepReused
from runner.execution.job.job import Job
from runner.execution.job.job_status import JobStatus
from runner.execution.reuse.step_reuse import StepReuse
from runner.reuse.records import Record, ReuseAccess
from runner.reuse.sources import TREE, SourceTree, TreeEntry

FOLDERS = ("a", "b")
STEPS = ("one", "two", "three")
FAILED = Outcome(State.FAILED, Reason.EXIT_CODE, "exit status 1", 1)


@dataclass
class World:
    """All that a run depends on: contents of files, ids of images, and what the pipeline file says of each step.

    The commands say whether the step fails; the job goes on then.
    """

    files: dict[str, int] = field(default_factory=lambda: dict.fromkeys(("a/x", "a/y", "b/x", "b/y"), 0))
    images: dict[str, int] = field(default_factory=lambda: dict.fromkeys(STEPS, 0))
    commands: dict[str, int] = field(default_factory=lambda: dict.fromkeys(STEPS, 0))
    variables: dict[str, int] = field(default_factory=lambda: dict.fromkeys(STEPS, 0))
    secret: int = 0
    sources: dict[str, tuple[str, ...]] = field(default_factory=lambda: dict.fromkeys(STEPS, ("a",)))
    fails: dict[str, int] = field(default_factory=lambda: dict.fromkeys(STEPS, 0))

    def result(self, name: str, before: tuple[str, ...]) -> str:
        """What the step prints. It reads its sources, and what the steps before it have left."""
        seen = self.sources[name] or FOLDERS
        read = sorted((path, text) for path, text in self.files.items() if path[0] in seen)
        said = [name, read, self.images[name], self.commands[name], self.variables[name], self.secret, before]
        return hashlib.sha256(repr(said).encode()).hexdigest()

    def steps(self) -> tuple[CommandsStep, ...]:
        return tuple(
            CommandsStep(
                number=number, name=name, needs=tuple(range(1, number)), failure="ignore",
                commands=(f"{self.commands[name]} {self.fails[name]}",), sources=self.sources[name],
                container=Container(
                    image=NamedImage(name=name),
                    environment={"V": (str(self.variables[name]),), "S": ("x", SecretRef(secret="s"))},
                ),
            )
            for number, name in enumerate(STEPS, 1)
        )  # fmt: skip

    def entries(self) -> list[TreeEntry]:
        return [TreeEntry(folder, TREE, "") for folder in FOLDERS] + [
            TreeEntry(path, "100644", str(text)) for path, text in self.files.items()
        ]


@dataclass
class Results:
    """Records in memory, with what each step printed."""

    kept: dict[str, tuple[Record, str]] = field(default_factory=dict)
    taken: dict[int, str] = field(default_factory=dict)
    printed: dict[int, str] = field(default_factory=dict)

    def find(self, step: CommandsStep, key: str) -> Record | None:
        return self.kept[key][0] if key in self.kept else None

    def latest(self, step: CommandsStep) -> Record | None:
        return next((record for record, _ in reversed(self.kept.values())), None)

    def take(self, step: CommandsStep, record: Record) -> bool:
        self.taken[step.number] = self.kept[str(record.address)][1]
        return True

    def keep(self, step: CommandsStep, key: str, parts: Mapping[str, str], seconds: float) -> None:
        self.kept[key] = Record("run", seconds, parts, address=key), self.printed[step.number]

    def read(self, file: KeptFile) -> Iterator[bytes]:
        raise NotImplementedError


def run(world: World, results: Results, *, reuse: bool) -> tuple[list[str], int]:
    """What each step prints, and how many did not run."""
    plan = JobPlan(name="w", file="w.yml", number=1, steps=world.steps())
    access = ReuseAccess(results, SourceTree(world.entries), lambda text: hashlib.sha256(text.encode()).hexdigest())
    assignment = SimpleNamespace(
        plan=plan, secrets={"s": str(world.secret)}, artifacts=None, reuse=access, take_files=None, carried={},
        failed_needs=(),
    )  # fmt: skip
    events: list[Any] = []
    job = SimpleNamespace(
        assignment=assignment, plan=plan, status=JobStatus(), built={}, retried=set[int](), resumption=None,
        reuse_notes=dict[int, str](), emit=events.append, image_of=lambda step, _: f"id {world.images[step.name]}",
    )  # fmt: skip
    deciding, before, printed = StepReuse(cast("Job", job)), tuple[str, ...](), list[str]()
    results.taken.clear()
    for step in plan.steps:
        outcome = deciding.take(step) if reuse else None
        if outcome is None:
            failed = bool(world.fails[step.name])
            results.printed[step.number] = world.result(step.name, before) + ("!" if failed else "")
            outcome = FAILED if failed else PASSED
        printed.append(results.taken.get(step.number) or results.printed[step.number])
        before = (*before, printed[-1])
        if reuse:
            deciding.ended(step, outcome)
    return printed, sum(isinstance(event, StepReused) for event in events)


_STEP = st.sampled_from(STEPS)
_VALUE = st.integers(0, 1)
EDITS = st.one_of(
    st.tuples(st.just("files"), st.sampled_from(["a/x", "a/y", "b/x", "b/y"]), _VALUE),
    st.tuples(st.sampled_from(["images", "commands", "variables", "fails"]), _STEP, _VALUE),
    st.tuples(st.just("sources"), _STEP, st.sampled_from([(), ("a",), ("b",), ("a", "b")])),
    st.tuples(st.just("secret"), st.none(), _VALUE),
)


@settings(deadline=None)
@given(st.lists(st.lists(EDITS, max_size=3), min_size=1, max_size=8))
def test_a_result_is_what_running_everything_gives(runs: list[list[tuple[str, Any, Any]]]) -> None:
    world, results = World(), Results()
    for edits in runs:
        for what, which, value in edits:
            if which is None:
                world.secret = value
            else:
                getattr(world, what)[which] = value
        assert run(world, results, reuse=True)[0] == run(world, Results(), reuse=False)[0]


def test_an_unchanged_run_runs_nothing_and_a_failure_that_is_ignored_makes_what_follows_run() -> None:
    world, results = World(), Results()
    assert run(world, results, reuse=True)[1] == 0
    assert run(world, results, reuse=True)[1] == len(STEPS)
    world.files["b/x"] = 1
    assert run(world, results, reuse=True)[1] == len(STEPS)
    world.fails["two"], world.commands["two"] = 1, 1
    assert run(world, results, reuse=True)[1] == 1
    world.sources["one"] = ()
    assert run(world, results, reuse=True)[1] == 0
