"""``--like``: what started a run on a server, taken for a run or a plan of this folder."""

from importlib.metadata import entry_points

from pipelines.trigger import Trigger

_PROVIDERS = "headway.triggers"
"""The entry points of what speaks to a server: a function of a run's address, which raises StepError."""


def trigger_of_run(url: str) -> Trigger:
    """What started the run at this address. Raises StepError."""
    provider, *_ = entry_points(group=_PROVIDERS)
    return Trigger.model_validate(provider.load()(url))
