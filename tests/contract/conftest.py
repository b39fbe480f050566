"""What the contracts of the store share."""

import pytest
from sqlalchemy import Engine

from workers import store
from workers.db.session import transaction


@pytest.fixture
def repo_id(database: Engine) -> int:
    """A repository, by its id."""
    with transaction(database) as session:
        return store.add_repo(session, store.NewRepo("acme/roof", "file:///srv/roof.git")).id
