"""The names that a job's own steps gave to images: a later FROM of such a name means that image.

Where nothing is pushed, as on a laptop, no registry and no engine knows the name; where it was pushed, another job may
have pushed to it since.
"""

from collections.abc import Iterable
from threading import Lock

from pipelines.images.own_images import canonical
from pipelines.plan import JobPlan, Step
from pipelines.step_order import ancestors
from runner.images.requirements import ImageRequirement, may_make


class NamedImages:
    """Only what a step's own earlier steps did counts: what runs beside it may be done sooner or later."""

    def __init__(self, plan: JobPlan) -> None:
        self._before = ancestors({step.number: step.needs for step in plan.steps})
        self._steps = {step.number: step for step in plan.steps}
        self._given: dict[str, dict[int, str]] = {}
        self._lock = Lock()

    def give(self, step: Step, names: Iterable[str], image_id: str) -> None:
        """Remembers that ``step`` gave these names to an image."""
        with self._lock:
            for name in names:
                self._given.setdefault(canonical(name), {})[step.number] = image_id

    def image(self, name: str, step: Step) -> str:
        """The id of the image to which a step before this one gave the name last; empty if none did."""
        with self._lock:
            given = self._given.get(canonical(name), {})
            number = max((number for number in given if number in self._before[step.number]), default=0)
            return given.get(number, "")

    def required(self, name: str, step: Step, *, newest: bool) -> ImageRequirement:
        """The image of a FROM. It is looked up anew after each step that may have given its name to another image."""
        makers = (number for number in self._before[step.number] if may_make(self._steps[number], name))
        return ImageRequirement(name, newest, frozenset(makers))
