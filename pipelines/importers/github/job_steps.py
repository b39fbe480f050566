"""Writes the steps of a job: scripts, builds with their pushes, plugins."""

from collections.abc import Sequence

from pipelines.importers.github import images
from pipelines.importers.github.docker import push_condition, repo_and_tags
from pipelines.importers.github.expressions.parser import Lit
from pipelines.importers.github.expressions.texts import Texts
from pipelines.importers.github.reading import ImageBuild, Reading, slug
from pipelines.importers.github.scripts import (
    Run,
    Script,
    commands_of,
    read_variables,
    unset_variables,
    written_by,
)
from pipelines.importers.github.triggers import Condition, merged, with_if
from pipelines.importers.workflow_files import FileNames
from pipelines.importers.yaml_text import Raw, Value
from pipelines.syntax.diagnostics import Place

_INSTALLERS = frozenset({"apt-get", "apt", "pip", "pip3", "apk", "gem", "curl"})


class StepWriter:
    """Writes the steps of one job. ``ignored`` says that its failures do not count."""

    def __init__(
        self, name: str, texts: Texts, reading: Reading, conditions: list[Condition], image: Raw, *, ignored: bool
    ) -> None:
        self._name, self._texts, self._reading = name, texts, reading
        self._conditions, self._image, self._ignored = conditions, image, ignored
        self._names = FileNames()
        self._loads: set[str] = set()

    def steps(self) -> list[Value]:
        """The steps."""
        found: list[Value] = []
        scripts = self._reading.scripts
        if len(scripts) > 1 and images.commands_in(scripts[0].text) & _INSTALLERS:
            text = f"the commands of job '{self._name}' are in {len(scripts)} containers"
            self._texts.remarks.warning(scripts[1].runs[0].place, f"{text}: what one installs the others do not have")
        for part in self._reading.parts:
            match part:
                case Script():
                    found.append(self._script(part))
                    self._loads.update(file for run in part.runs for file in written_by(run.text))
                case ImageBuild():
                    found += self._build(part)
                case _:
                    step: dict[str, Value] = {"name": self._names.of(slug(part.name)), **part.value}
                    found.append(step | self._when(part.condition, part.place))
        return found

    def _when(self, condition: str, place: Place) -> dict[str, Value]:
        """The key ``when`` of a step."""
        if not condition:
            return {}
        plain = [{key: value for key, value in each.items() if key != "status"} for each in self._conditions]
        found = with_if(plain, condition, place, self._texts, "a step")
        if found is None:
            self._texts.remarks.note(place, f"the condition {condition} never holds here")
            return {"when": {"evaluate": "false"}}
        return {} if found == plain else {"when": merged(found)}

    def _script(self, part: Script) -> dict[str, Value]:
        first, alone = part.runs[0], len(part.runs) == 1
        self._texts.secrets.clear()
        commands = commands_of(part, self._reading.events, self._texts, frozenset(self._loads))
        if missing := unset_variables(part.text):
            hint = "write its value into 'environment'"
            self._texts.remarks.warning(first.place, f"${missing[0]} is not set here", hint)
        if timed := [run for run in part.runs if run.timeout and not (alone and run.timeout.isdigit())]:
            text = "'timeout-minutes' of a step is left out: write 'timeout' of the whole"
            self._texts.remarks.warning(timed[0].place, text)
        is_one_of_many = alone and len(self._reading.parts) > 1
        name = self._names.of((slug(first.name) if is_one_of_many else "") or slug(self._name))
        environment, exports = self._environment(first, part.text, alone=alone)
        step: dict[str, Value] = {"name": name, "image": self._image, "commands": [*exports, *commands]}
        if environment:
            step["environment"] = environment
        if self._ignored:
            step["failure"] = "ignore"
        if self._reading.caches:
            step["cache"] = list(self._reading.caches)
        if part.artifacts:
            step["artifacts"] = part.artifacts["paths"] if part.artifacts.keys() == {"paths"} else part.artifacts
        if alone:
            return step | self._of_one(first)
        return step if part.statuses == ("success",) else {**step, "when": {"status": list[Value](part.statuses)}}

    def _of_one(self, run: Run) -> dict[str, Value]:
        """The keys of a step with a single run."""
        found = self._when(run.condition, run.place)
        if run.directory:
            found["directory"] = self._texts.value(run.directory, run.place)
        if run.timeout.isdigit():
            found["timeout"] = f"{int(run.timeout[:5])}m"
        return {**found, "failure": "ignore"} if run.continues else found

    def _environment(self, run: Run, text: str, *, alone: bool) -> tuple[dict[str, Value], list[Value]]:
        """The variables of a step, and commands for those that a shell has to make."""
        found: dict[str, Value] = {}
        exports: list[Value] = []
        of_job = [(name, value, run.place) for name, value in self._texts.names.env.items()]
        own: Sequence[tuple[str, str, Place]] = run.env if alone else ()
        for name, value, place in (*of_job, *own):
            made = self._texts.environment(value, place)
            if made is None:
                exports.append(Raw(f"export {name}={self._texts.quoted(value, place)}"))
            else:
                found[name] = made
        found |= read_variables(text)
        found |= {name: {"from_secret": Raw(secret)} for name, secret in self._texts.secrets.items()}
        return found, exports

    def _build(self, part: ImageBuild) -> list[Value]:
        name = self._names.of(slug(part.name) or "build")
        found: list[Value] = [{"name": name, "build": part.images.build, **self._when(part.condition, part.place)}]
        pushed = push_condition(part.images, self._texts, part.place)
        if pushed == Lit("false"):
            return found
        texts = [part.condition, "" if isinstance(pushed, Lit) else part.images.pushed]
        tests = [text.strip().removeprefix("${{").removesuffix("}}").strip() for text in texts if text]
        when = self._when(" && ".join(f"({test})" for test in tests), part.place)
        for repos, tags in part.images.names:
            push: dict[str, Value] = {**repo_and_tags(repos, tags), "image": {"build": name}}
            found.append({"name": self._names.of(f"{name}-push"), "push": push, **when})
        return found
