"""Roles on a repository, as JSON, and whether all users see it: for who has the role admin on it."""

from web.api.accounts.account_schemas import RoleSchema, RoleValue, VisibilityValue
from web.json_api import make_router
from web.operations.accounts import roles
from web.security.auth import CurrentUser
from web.services import ServicesDep

router = make_router()


@router.get("/repos/{name:path}/settings/roles")
def list_roles(services: ServicesDep, user: CurrentUser, name: str) -> list[RoleSchema]:
    """The users with a role on the repository. Administrators of the server need none."""
    return [RoleSchema(user=who, role=role) for who, role in roles.list_roles(services, user, name)]


@router.put("/repos/{name:path}/settings/roles/{user_name}", status_code=204)
def put_role(services: ServicesDep, user: CurrentUser, name: str, user_name: str, new: RoleValue) -> None:
    """Gives a user a role on the repository, instead of the one that the user has."""
    roles.put(services, user, name, user_name, new.role)


@router.delete("/repos/{name:path}/settings/roles/{user_name}", status_code=204)
def delete_role(services: ServicesDep, user: CurrentUser, name: str, user_name: str) -> None:
    """Takes a user's role on the repository away."""
    roles.remove(services, user, name, user_name)


@router.put("/repos/{name:path}/settings/visibility", status_code=204)
def put_visibility(services: ServicesDep, user: CurrentUser, name: str, new: VisibilityValue) -> None:
    """Whether every user who can log in sees the repository's runs and logs."""
    roles.set_visible_to_all(services, user, name, visible=new.visible_to_all)
