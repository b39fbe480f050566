"""The inputs that a pipeline declares, as JSON."""

from pipelines.inputs import DeclaredInput
from web.json_api import make_router
from web.operations.repos import inputs
from web.security.auth import CurrentUser
from web.services import ServicesDep

router = make_router()


@router.get("/repos/{name:path}/inputs")
def list_inputs(services: ServicesDep, user: CurrentUser, name: str, branch: str = "") -> list[DeclaredInput]:
    """The inputs that a branch, by default the default branch, declared when it last ran."""
    return list(inputs.inputs_of(services, user, name, branch))
