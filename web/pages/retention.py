"""A repository's own values of retention, from the form of its settings page."""

from typing import Annotated

from fastapi import APIRouter, Depends, Form
from pydantic import BaseModel, BeforeValidator
from starlette.responses import RedirectResponse, Response

from web.operations.repos import retention
from web.security.auth import CurrentUser, current_user
from web.services import ServicesDep
from web.urls import repo_path

router = APIRouter(include_in_schema=False, dependencies=[Depends(current_user)])
_Value = Annotated[int | None, BeforeValidator(lambda text: text or None)]  # a form sends every field


class RetentionForm(BaseModel):
    """Empty fields stand for the server's values."""

    log_days: _Value = None
    run_days: _Value = None
    run_count: _Value = None
    delivery_days: _Value = None
    delivery_count: _Value = None


@router.post("/repos/{name:path}/settings/retention")
def set_retention(
    services: ServicesDep, user: CurrentUser, name: str, form: Annotated[RetentionForm, Form()]
) -> Response:  # fmt: skip
    """Sets how long the repository's runs, logs and deliveries are kept."""
    retention.set_retention(services, user, name, vars(form))
    return RedirectResponse(f"{repo_path(name)}/settings#retention", 303)
