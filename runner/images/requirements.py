"""Which images a job needs, by its plan: which can be pulled before the first step, and which must be the newest."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from pipelines.plan import BuildStep, CommandsStep, Container, JobPlan, NamedImage, PluginStep, PushStep, Step
from pipelines.step_order import ancestors
from runner.docker.references import split_tag


@dataclass(frozen=True)
class ImageRequirement:
    """An image by its name. With ``newest`` the image in the engine is not enough: the registry is asked.

    ``after`` are the numbers of earlier steps that may build or push an image of this name: the name cannot be resolved
    before they have ended.
    """

    name: str
    newest: bool = False
    after: frozenset[int] = frozenset()

    @property
    def key(self) -> tuple[str, str, frozenset[int]]:
        """Equal for all requirements that must get the same image."""
        return (*split_tag(self.name), self.after)


@dataclass(frozen=True)
class ImageRequirements:
    """The images of a plan: of its steps, by number, and of its services, by name.

    ``early`` are the images that a job without failures needs and that can be pulled when it starts, in the order in
    which they are needed.
    """

    steps: dict[int, ImageRequirement]
    services: dict[str, ImageRequirement]
    early: tuple[ImageRequirement, ...]


def _on_success(step: Step) -> bool:
    return step.on_success


def image_requirements(plan: JobPlan, expected: Callable[[Step], bool] = _on_success) -> ImageRequirements:
    """The images of a plan. If one of several steps with the same image wants the newest, all get the newest.

    ``expected`` are the steps that run unless another fails.
    """
    before = ancestors({step.number: step.needs for step in plan.steps})
    by_number = {step.number: step for step in plan.steps}
    newest = {image.name for image in _expected(plan, expected) if image.pull}
    services, steps = {}, {}
    for service in plan.services:
        if image := _named(service.container):
            services[service.name] = _requirement(image, newest)
    for number, step in by_number.items():
        if image := _named(_container(step)):
            makers = (earlier for earlier in before[number] if may_make(by_number[earlier], image.name))
            steps[number] = _requirement(image, newest, frozenset(makers))
    early = (needed for number, needed in steps.items() if expected(by_number[number]) and not needed.after)
    return ImageRequirements(steps, services, tuple(dict.fromkeys((*services.values(), *early))))


def _requirement(image: NamedImage, newest: set[str], after: frozenset[int] = frozenset()) -> ImageRequirement:
    # A digest always names the same image.
    return ImageRequirement(image.name, (image.pull or image.name in newest) and "@" not in image.name, after)


def _expected(plan: JobPlan, expected: Callable[[Step], bool]) -> Iterator[NamedImage]:
    containers = [service.container for service in plan.services]
    for container in (*containers, *(_container(step) for step in plan.steps if expected(step))):
        if image := _named(container):
            yield image


def _container(step: Step) -> Container | None:
    return step.container if isinstance(step, CommandsStep | PluginStep) else None


def _named(container: Container | None) -> NamedImage | None:
    return container.image if container and isinstance(container.image, NamedImage) else None


def may_make(step: Step, name: str) -> bool:
    """True if a step may give this name to an image, in the engine or in a registry.

    A false positive only costs time: the image is then pulled when the turn of the step that needs it has come.
    """
    repo = split_tag(name)[0]
    word = repo.rpartition("/")[2]
    match step:
        case BuildStep():
            return False  # its image gets a name in BUILD_REPO
        case PushStep():
            return any(pushed.rpartition("/")[2] == word for pushed in step.repos)
        case CommandsStep() | PluginStep():
            # Official images of Docker Hub have one word as a name; pipelines cannot push to them.
            return _reaches_an_engine(step.container) or ("/" in repo and _mentions(step, word))


def _reaches_an_engine(container: Container) -> bool:
    return any("docker.sock" in volume for volume in container.volumes) or "DOCKER_HOST" in container.environment


def _mentions(step: CommandsStep | PluginStep, word: str) -> bool:
    values = (part for value in step.container.environment.values() for part in value if isinstance(part, str))
    commands = step.commands if isinstance(step, CommandsStep) else ()
    whole = re.compile(rf"(?<![\w-]){re.escape(word)}(?![\w-])")
    return any(whole.search(text) for text in (*commands, *values))
