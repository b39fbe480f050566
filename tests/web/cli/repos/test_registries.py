"""`headway registry`."""

import pytest

from tests.web.cli.command import URL, Headway
from workers.db.models import Registry
from workers.db.session import make_engine, reading
from workers.secrets.vault import open_vault, registry_place
from workers.settings import load_settings


@pytest.mark.slow
@pytest.mark.usefixtures("settings_of")
def test_a_registry_login_is_for_all_repositories_or_for_one(headway: Headway) -> None:
    headway.ok("repo", "add", URL)
    headway.ok("registry", "login", "registry.test", "-u", "robot", stdin="pass word\n")
    headway.ok("registry", "login", "registry.test", "-u", "own", "--repo", "acme/harbour", stdin="other")
    printed = headway.ok("registry", "list")
    assert "registry.test\trobot\tall repositories\n" in printed
    assert "registry.test\town\tacme/harbour\n" in printed
    settings = load_settings()
    engine = make_engine(settings.database)
    with reading(engine) as session:
        shared = session.query(Registry).filter(Registry.repo_id.is_(None)).one()
    engine.dispose()
    assert open_vault(settings).unseal(registry_place(None, "registry.test"), shared.sealed_password) == "pass word"
    headway.ok("registry", "logout", "registry.test")
    assert "no login" in headway.refused("registry", "logout", "registry.test")
    assert "empty" in headway.refused("registry", "login", "registry.test", "-u", "robot")
