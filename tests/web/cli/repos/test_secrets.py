"""`headway secret`."""

import pytest

from tests.web.cli.command import URL, Headway
from workers.db.models import Secret
from workers.db.session import make_engine, reading
from workers.secrets.vault import open_vault, secret_place
from workers.settings import load_settings


@pytest.mark.slow
@pytest.mark.usefixtures("settings_of")
def test_a_secret_is_read_from_standard_input_and_stored_sealed(headway: Headway) -> None:
    headway.ok("repo", "add", URL)
    headway.ok("secret", "set", "acme/harbour", "Key", "--event", "tag", stdin="two\nlines\n")
    assert headway.ok("secret", "list", "acme/harbour") == "key\ttag\n"
    settings = load_settings()
    engine = make_engine(settings.database)
    with reading(engine) as session:
        row = session.query(Secret).one()
    engine.dispose()
    assert "lines" not in row.sealed
    assert open_vault(settings).unseal(secret_place(row.repo_id, "key"), row.sealed) == "two\nlines"
    headway.ok("secret", "remove", "acme/harbour", "key")
    assert "no secret named key" in headway.refused("secret", "remove", "acme/harbour", "key")


def test_an_empty_secret_and_an_invalid_name_are_refused(headway: Headway) -> None:
    headway.ok("repo", "add", URL)
    assert "no value" in headway.refused("secret", "set", "acme/harbour", "key")
    assert "letters, digits" in headway.refused("secret", "set", "acme/harbour", "a b", stdin="x")


def test_what_logs_would_show_of_a_secret_is_refused_or_said(headway: Headway) -> None:
    headway.ok("repo", "add", URL)
    assert "fewer than 4 bytes" in headway.refused("secret", "set", "acme/harbour", "key", stdin="abc\n")
    done = headway("secret", "set", "acme/harbour", "key", stdin="abc\nhunt3r2\n}\n")
    assert done.exit_code == 0
    assert "2 of its lines have fewer than 4 bytes: logs show them" in done.stderr
    assert headway("secret", "set", "acme/harbour", "key", stdin="abcd").stderr == ""
