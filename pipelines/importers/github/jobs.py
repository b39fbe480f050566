"""One job as a workflow."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from pipelines.importers.github import images
from pipelines.importers.github.calls.actions import with_steps_of_actions
from pipelines.importers.github.calls.replacing import EXPANDED_CHARACTERS_MAX, TooLargeError
from pipelines.importers.github.calls.workflows import WorkflowCalls
from pipelines.importers.github.expressions.names import Names, output_key
from pipelines.importers.github.expressions.texts import Texts
from pipelines.importers.github.job_steps import StepWriter
from pipelines.importers.github.kept_files import keep
from pipelines.importers.github.matrix import Matrix, matrix_of, text_in_cell
from pipelines.importers.github.reading import ImageBuild, Reading, steps_read_in
from pipelines.importers.github.scripts import Run, Script
from pipelines.importers.github.services import Services
from pipelines.importers.github.steps import read_step
from pipelines.importers.github.triggers import Condition, merged, with_if
from pipelines.importers.keys import Keys, entries_of, items_of, text_of, texts_of
from pipelines.importers.remarks import Remarks
from pipelines.importers.yaml_text import Raw, Value, literal
from pipelines.syntax.nodes import MapNode, Node, ScalarNode, kind_name

_OTHER_MACHINES = re.compile(r"windows|macos|mac-", re.IGNORECASE)
_ARM = re.compile(r"\barm\b|arm64", re.IGNORECASE)
_DAEMON = "docker"
_NOT_NEEDED = {"permissions": "no token is made for a run", "environment": "secrets are those of the repository"}


@dataclass(frozen=True)
class File:
    """What all jobs of a file share."""

    remarks: Remarks
    calls: WorkflowCalls
    conditions: list[Condition]
    inputs: frozenset[str]
    env: dict[str, str]
    title: str
    shell: str
    directory: str
    concurrency: Node | None = None
    uploads: dict[str, list[str]] = field(default_factory=dict)


@dataclass(frozen=True)
class Job:
    """A job: its workflow, and the jobs before it."""

    name: str
    workflow: dict[str, Value]
    needs: list[str]
    comments: tuple[str, ...]


def run_defaults(node: Node | None, remarks: Remarks) -> tuple[str, str]:
    """``shell`` and ``working-directory`` of ``defaults``."""
    run = Keys(node.by_key.get("run") if isinstance(node, MapNode) else None, remarks, "'defaults'")
    found = run.text("shell"), run.text("working-directory")
    run.remark_rest()
    return found


def job_of(name: str, node: Node, file: File) -> Job | None:
    """The job; None where ``remarks`` says why it cannot run here."""
    with file.remarks.comments() as comments:
        keys = Keys(node, file.remarks, f"job '{name}'")
        if uses := keys.text("uses"):
            text = f"job '{name}' calls the workflow {uses} of another repository; it is left out"
            file.remarks.error(keys.place("uses"), text, "put what it does into this file")
            return None
        try:
            keys.node = keys.node and with_steps_of_actions(keys.node, file.calls.files, file.calls.budget)
        except TooLargeError:
            text = f"the actions of job '{name}' have more than {EXPANDED_CHARACTERS_MAX:,} characters; it is left out"
            file.remarks.error(keys.place("steps"), text)
            return None
        workflow = _Converter(name, keys, file).workflow()
        if workflow:
            keys.remark_rest()
    return Job(name, workflow, texts_of(keys.take("needs")), tuple(comments)) if workflow else None


class _Converter:
    def __init__(self, name: str, keys: Keys, file: File) -> None:
        self.name, self.keys, self.file, self.remarks = name, keys, file, file.remarks
        own = {key.text: text_of(value) for key, value in entries_of(keys.take("env"))}
        self.steps = list(self._steps(items_of(keys.take("steps"))))
        ids = {text_of(step.by_key.get("id")).lower() for step in self.steps if "run" in step.by_key}
        needs = frozenset(name.lower() for name in texts_of(keys.take("needs")))
        titles = {"workflow": file.title, "job": name}
        self.names = Names(env={**file.env, **own}, titles=titles, inputs=file.inputs, steps=ids, needs=needs)
        self.names.read_steps = steps_read_in(keys.node)
        self.texts = Texts(self.names, self.remarks)
        strategy = Keys(keys.take("strategy"), self.remarks, f"the strategy of {keys.where}")
        self._set_matrix(matrix_of(strategy, self.remarks))
        strategy.take("fail-fast")
        self.parallel = strategy.text("max-parallel")
        strategy.remark_rest()
        self.labels: dict[str, Value] = {}
        self.more: dict[str, list[str]] = {}

    def _set_matrix(self, matrix: Matrix) -> None:
        self.matrix = matrix
        self.names.matrix, self.names.constants = matrix.names, matrix.constants

    def workflow(self) -> dict[str, Value]:
        """The workflow; empty if it cannot run here."""
        conditions = self._conditions() if self._on_linux() else None
        if conditions is None:
            return {}
        self.names.after_failure = any("status" in each for each in conditions)
        container = self._container()
        services = Services(self.keys.take("services"), self.texts)
        self.names.env.update(services.reached_by(self.names.env))
        reading = self._reading(services, conditions)
        self._outputs(reading)
        image = self._image(container, reading)
        if image == images.DOCKER:
            self._daemon(services)
        ignored = self._ignored()
        steps = StepWriter(self.name, self.texts, reading, conditions, image, ignored=ignored).steps()
        if not steps:
            self.remarks.warning(self.keys.place("steps"), f"{self.keys.where} has no step here; it is left out")
            return {}
        workflow: dict[str, Value] = {"when": merged(conditions), "steps": steps, **self._options(reading)}
        if services.found:
            workflow["services"] = services.value
        matrix = self.matrix.value(self.more)
        return workflow if matrix is None else {**workflow, "matrix": matrix}

    def _on_linux(self) -> bool:
        """Leaves out combinations for other machines; False if none is left."""
        node, place = self.keys.take("runs-on"), self.keys.place("runs-on")
        text = " ".join(texts_of(node.by_key.get("labels") if isinstance(node, MapNode) else node))
        runners = [text_in_cell(text, cell, self.names) for cell in self.matrix.cells or [{}]]
        others = [each for each in dict.fromkeys(runners) if _OTHER_MACHINES.search(each)]
        rest = [each for each in runners if each not in others]
        why = "workers run containers of Linux"
        if not rest:
            self.remarks.error(place, f"{self.keys.where} runs on {others[0]}, and {why}; it is left out")
        elif others:
            self.remarks.warning(place, f"{self.keys.where} does not run on {', '.join(others)} here: {why}")
            self._set_matrix(self.matrix.without(lambda cell: text_in_cell(text, cell, self.names) in others))
        platforms = ["linux/arm64" if _ARM.search(each) else "linux/amd64" for each in rest]
        if "linux/arm64" in platforms:
            shared = self.matrix.text(platforms)
            self.labels["platform"] = Raw("${PLATFORM}") if shared is None else shared or "linux/arm64"
            self.more |= {"PLATFORM": platforms} if shared is None else {}
        return bool(rest)

    def _conditions(self) -> list[Condition] | None:
        text, place = self.keys.text("if"), self.keys.place("if")
        found = (
            with_if(self.file.conditions, text, place, self.texts, self.keys.where) if text else self.file.conditions
        )
        if found is None:
            self.remarks.note(place, f"the condition of {self.keys.where} never holds here; it is left out")
        return found

    def _container(self) -> Raw:
        node, place = self.keys.take("container"), self.keys.place("container")
        if node is None or isinstance(node, ScalarNode):
            return self.texts.value(text_of(node), place)
        keys = Keys(node, self.remarks, f"the container of {self.keys.where}")
        image = self.texts.value(keys.text("image"), place)
        self.names.env |= {key.text: text_of(value) for key, value in entries_of(keys.take("env"))}
        if keys.take("credentials") is not None:
            self.remarks.note(keys.place("credentials"), "log in once on the server: headway registry login")
        keys.remark_rest()
        return image

    def _reading(self, services: Services, conditions: list[Condition]) -> Reading:
        shell, directory = run_defaults(self.keys.take("defaults"), self.remarks)
        events = tuple(dict.fromkeys(str(each["event"]) for each in conditions))
        reading = Reading(
            self.texts, self.file.uploads, events, shell or self.file.shell, directory or self.file.directory
        )
        for step in self.steps:
            read_step(reading, step)
        for run in (run for part in reading.scripts for run in part.runs):
            run.text = services.reached(run.text)
            reached = services.reached_by({key: text for key, text, _ in run.env})
            run.env = tuple((key, reached[key], place) for key, _, place in run.env)
        return reading

    def _outputs(self, reading: Reading) -> None:
        """What other jobs read of this one is a file among its artifacts."""
        node, place = self.keys.take("outputs"), self.keys.place("outputs")
        file = f".outputs/{self.name.lower()}"
        kept = [(f"$CI_WORKSPACE/{file}", output_key(key.text), text_of(value)) for key, value in entries_of(node)]
        if kept:
            reading.add(Run("mkdir -p $CI_WORKSPACE/.outputs", place, "outputs", kept=tuple(kept)))
            keep(reading.scripts[-1], {"paths": [Raw(file)]})

    def _image(self, container: Raw, reading: Reading) -> Raw:
        """The image; a variable where each combination has its own."""
        if container or not reading.scripts:
            return container
        cells = self.matrix.cells or [{}]
        asked = [
            images.Tool(name, tuple(text_in_cell(version, cell, self.names) for cell in cells))
            for name, version in reading.tools
        ]
        tools = images.with_tools_of(asked, "\n".join(part.text for part in reading.scripts), len(cells))
        if not tools:
            return Raw(images.DEFAULT)
        for tool in reversed(tools[1:]):
            self._install(tool, tools[0], reading.scripts[0])
        found = [images.image_of(tools[0], number) for number in range(len(cells))]
        shared = self.matrix.text(found)
        if shared is not None:
            return shared
        self.more["IMAGE"] = found
        return Raw("${IMAGE}")

    def _install(self, tool: images.Tool, first: images.Tool, script: Script) -> None:
        """Adds a command that installs a second tool."""
        place = script.runs[0].place
        command = images.install_of(tool, first)
        hint = "an image that has both is faster"
        text = f"{self.keys.where} needs {first.name} and {tool.name}"
        if command and not script.alone:
            self.remarks.warning(place, f"{text}: a command installs {tool.name}", hint)
            script.runs.insert(0, Run(command, place, f"install {tool.name}"))
        elif command != "":
            self.remarks.error(place, f"{text}, and no image is known to have both", "write one that has")

    def _daemon(self, services: Services) -> None:
        text = (
            f"{self.keys.where} calls docker, whose daemon is a privileged service: the repository needs to be trusted"
        )
        hint = "an administrator allows it with `headway repo trust`; or write 'build' and 'push'"
        self.remarks.warning(self.keys.place("steps"), text, hint)
        environment: dict[str, Value] = {"DOCKER_TLS_CERTDIR": ""}
        services.found[_DAEMON] = {"image": f"{images.DOCKER}-dind", "privileged": True, "environment": environment}
        self.names.env["DOCKER_HOST"] = f"tcp://{_DAEMON}:2375"

    def _ignored(self) -> bool:
        """Does the job's ``continue-on-error`` hold? Not where it holds for some combinations only."""
        text, place = self.keys.text("continue-on-error"), self.keys.place("continue-on-error")
        found = {text_in_cell(text, cell, self.names) for cell in self.matrix.cells or [{}]}
        if len(found) > 1:
            message = f"'continue-on-error' of {self.keys.where} holds for some combinations; it is left out"
            self.remarks.warning(place, message)
        return found == {"true"}

    def _concurrency(self) -> dict[str, Value]:
        """Each job of a file has a group of its own, because jobs of one group run one after the other."""
        node = self.keys.take("concurrency") or self.file.concurrency
        if self.parallel.isdigit() and self.parallel != "0":
            return {"concurrency": int(self.parallel[:3])}
        if node is None:
            return {}
        group, cancel = text_of(node), ""
        if isinstance(node, MapNode):
            keys = Keys(node, self.remarks, "'concurrency'")
            group, cancel = keys.text("group"), keys.text("cancel-in-progress")
            keys.remark_rest()
        name = self.texts.value(group, node.place)
        made: dict[str, Value] = {"limit": 1, "group": Raw(f"{name}-{literal(self.name)}")}
        return {"concurrency": {**made, "cancel": True} if cancel not in {"", "false"} else made}

    def _steps(self, items: Iterable[Node]) -> Iterator[MapNode]:
        for item in items:
            if isinstance(item, MapNode):
                yield item
            else:
                self.remarks.warning(item.place, f"a step is a map, but this is {kind_name(item)}; it is left out")

    def _options(self, reading: Reading) -> dict[str, Value]:
        """The other keys of the workflow."""
        found: dict[str, Value] = {"labels": self.labels} if self.labels else {}
        builds = any(isinstance(part, ImageBuild) for part in reading.parts)
        if reading.clone is None and not builds:
            found["skip_clone"] = True
        elif reading.clone:
            found["clone"] = {"git": {"settings": reading.clone}}
        if text := self.keys.text("timeout-minutes"):
            minutes = text_in_cell(text, (self.matrix.cells or [{}])[0], self.names)
            if minutes.isdigit() and minutes != "0":
                found["timeout"] = f"{int(minutes[:5])}m"
            else:
                place = self.keys.place("timeout-minutes")
                self.remarks.warning(place, f"'timeout-minutes' of {self.keys.where} is no number; it is left out")
        found |= self._concurrency()
        for key, why in _NOT_NEEDED.items():
            if self.keys.take(key) is not None:
                self.remarks.note(self.keys.place(key), f"'{key}' of {self.keys.where} is left out: {why}")
        self.keys.take("name")
        return found
