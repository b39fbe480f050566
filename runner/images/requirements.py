"""Which images a job wants, decided from its plan: which can be had before any step has run, and which must be new."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from pipelines.plan import BuildStep, CommandsStep, Container, JobPlan, NamedImage, PluginStep, PushStep, Step
from pipelines.step_order import ancestors
from runner.docker.references import split_tag


@dataclass(frozen=True)
class Wanted:
    """An image by its name; ``newest`` where the one that is here already is not good enough.

    ``after`` are the steps of the job, by number, that come before and may make or push an image of this name: only
    when they have ended is it known what the name stands for.
    """

    name: str
    newest: bool = False
    after: frozenset[int] = frozenset()

    @property
    def key(self) -> tuple[str, str, frozenset[int]]:
        """What is equal for all that must get the same image."""
        return (*split_tag(self.name), self.after)


@dataclass(frozen=True)
class WantedImages:
    """The images of a plan: of its steps, by their numbers, and of its services, by their names.

    ``early`` are those that a job which goes well needs and that can be pulled when it begins, in the order of need.
    """

    steps: dict[int, Wanted]
    services: dict[str, Wanted]
    early: tuple[Wanted, ...]


def wanted_images(plan: JobPlan) -> WantedImages:
    """The images of a plan. Where one of several steps that share an image asks for the newest, all get the newest."""
    before = ancestors({step.number: step.needs for step in plan.steps})
    by_number = {step.number: step for step in plan.steps}
    newest = {image.name for image in _usual(plan) if image.pull}
    services, steps = {}, {}
    for service in plan.services:
        if image := _named(service.container):
            services[service.name] = _wanted(image, newest)
    for number, step in by_number.items():
        if image := _named(_container(step)):
            makers = (earlier for earlier in before[number] if may_make(by_number[earlier], image.name))
            steps[number] = _wanted(image, newest, frozenset(makers))
    usual = (wanted for number, wanted in steps.items() if by_number[number].on_success and not wanted.after)
    return WantedImages(steps, services, tuple(dict.fromkeys((*services.values(), *usual))))


def _wanted(image: NamedImage, newest: set[str], after: frozenset[int] = frozenset()) -> Wanted:
    # What a digest names is always the same.
    return Wanted(image.name, (image.pull or image.name in newest) and "@" not in image.name, after)


def _usual(plan: JobPlan) -> Iterator[NamedImage]:
    containers = [service.container for service in plan.services]
    for container in (*containers, *(_container(step) for step in plan.steps if step.on_success)):
        if image := _named(container):
            yield image


def _container(step: Step) -> Container | None:
    return step.container if isinstance(step, CommandsStep | PluginStep) else None


def _named(container: Container | None) -> NamedImage | None:
    return container.image if container and isinstance(container.image, NamedImage) else None


def may_make(step: Step, name: str) -> bool:
    """True where a step may give an image this name, in the engine or in a registry.

    Better said once too often: such an image is only pulled later, when it is the turn of the step that wants it.
    """
    repo = split_tag(name)[0]
    word = repo.rpartition("/")[2]
    match step:
        case BuildStep():
            return False  # what it builds has a name of the runner's own
        case PushStep():
            return any(pushed.rpartition("/")[2] == word for pushed in step.repos)
        case CommandsStep() | PluginStep():
            # Nobody pushes to Docker Hub's own images, the ones of one word.
            return _reaches_an_engine(step.container) or ("/" in repo and _mentions(step, word))


def _reaches_an_engine(container: Container) -> bool:
    return any("docker.sock" in volume for volume in container.volumes) or "DOCKER_HOST" in container.environment


def _mentions(step: CommandsStep | PluginStep, word: str) -> bool:
    values = (part for value in step.container.environment.values() for part in value if isinstance(part, str))
    commands = step.commands if isinstance(step, CommandsStep) else ()
    whole = re.compile(rf"(?<![\w-]){re.escape(word)}(?![\w-])")
    return any(whole.search(text) for text in (*commands, *values))
