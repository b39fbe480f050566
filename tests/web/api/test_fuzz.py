"""Requests made up from the API's own description: each is answered as described, and none is a fault of the server."""

from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import Case

from tests.web.conftest import Site

REQUESTS_PER_OPERATION = 40


@pytest.mark.stress
def test_any_request_is_answered_as_described(site: Site, live_url: str) -> None:
    site.add_repo()
    site.begin()
    login = {"authorization": f"Bearer {site.token(site.add_user())}"}
    described = schemathesis.openapi.from_url(f"{live_url}/api/openapi.json", headers=login)
    operations = [found.ok() for found in described.get_all_operations()]  # type: ignore[union-attr]
    assert len(operations) > 30
    for operation in operations:

        @settings(
            max_examples=REQUESTS_PER_OPERATION,
            deadline=None,
            database=None,
            phases=[Phase.explicit, Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(case=operation.as_strategy())
        def check(case: Case[Any]) -> None:
            case.call_and_validate(headers=login)

        check()
