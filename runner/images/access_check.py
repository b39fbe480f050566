"""Whether a job may use an image that the engine has: another repository may have pulled it with a login of its own."""

from runner.docker.client import Engine
from runner.docker.error_mapping import is_refusal, pull_error
from runner.docker.references import registry_host
from runner.docker.specs import Login
from runner.errors import StepError


def check_access(engine: Engine, name: str, login: Login | None) -> None:
    """Asks the registry for the image with the job's own login. Raises StepError if the registry denies it.

    Raises MachineError if the registry does not answer: then it is not known.
    """
    try:
        engine.distribution(name, login)
    except StepError as error:
        if is_refusal(str(error)):
            raise pull_error(name, f"denied by {registry_host(name)}", with_login=login is not None) from error
        raise pull_error(name, str(error), with_login=login is not None) from error
