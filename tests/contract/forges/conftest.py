"""Each forge's API at the far end of a socket."""

from collections.abc import Iterator

import pytest

from tests.support.forge import RULES, FakeForge, forge_server


@pytest.fixture(params=sorted(RULES))
def forge(request: pytest.FixtureRequest) -> str:
    """The name of a forge that is told commit statuses."""
    return str(request.param)


@pytest.fixture
def server(forge: str) -> Iterator[FakeForge]:
    """The forge's API."""
    with forge_server(forge) as fake:
        yield fake
