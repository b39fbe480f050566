"""Plugin images that only wrap ``docker build``, run as native build and push steps."""

from pipelines import model
from pipelines.context import Context
from pipelines.trigger import Trigger


def unwrap(name: str, step: model.Step, trigger: Trigger, context: Context) -> list[tuple[str, model.Step]]:
    """The steps that a step stands for, with their names."""
    _ = (trigger, context)
    return [(name, step)]
