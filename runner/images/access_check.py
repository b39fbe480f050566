"""Whether a job may use an image that the engine has: another repository may have pulled it with a login of its own."""

from functools import partial

from runner.docker.client import Engine
from runner.docker.containers.specs import Login
from runner.images.retry import RegistryRetries


def check_access(engine: Engine, name: str, login: Login | None, retries: RegistryRetries) -> None:
    """Asks the registry for the image with the job's own login. Raises StepError if the registry denies it.

    Raises MachineError if the registry does not answer: then it is not known.
    """
    retries.call(partial(engine.distribution, name, login))
