"""The settings in force: their page, the API and the command."""

import json
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from tests.support.services import TEST_KEY
from tests.web.cli.command import Headway
from web.operations.settings_in_force import settings_in_force
from workers.settings import Settings


def test_the_api_lists_all_settings(program: TestClient) -> None:
    answer = program.get("/api/settings")
    found = {each["name"]: each for each in answer.json()}
    assert set(found) == {f"HEADWAY_{name.upper()}" for name in Settings.model_fields}
    assert found["HEADWAY_SECRET_KEYS"]["value"] == "set"
    assert found["HEADWAY_LEASE_S"]["source"] == "default"
    assert TEST_KEY not in answer.text


def test_the_page_shows_first_what_was_set(browser: TestClient) -> None:
    text = browser.get("/settings").text
    assert text.index("<code>HEADWAY_DATA_DIR</code>") < text.index("Defaults</h2>") < text.index("HEADWAY_LEASE_S")
    assert TEST_KEY not in text
    assert 'href="/settings"' in browser.get("/workers").text


def test_only_administrators_see_them(guest: TestClient) -> None:
    for path in ("/settings", "/api/settings"):
        answer = guest.get(path)
        assert answer.status_code == 403
        assert "HEADWAY_" not in answer.text


@pytest.mark.slow
def test_the_command_shows_the_same(tmp_path: Path) -> None:
    headway = Headway(tmp_path)
    found = json.loads(headway("settings", "--json").stdout)
    assert {each["name"] for each in found} == {each.name for each in settings_in_force(Settings(), {})}
    lines = headway("settings").stdout.splitlines()
    assert f"HEADWAY_DATA_DIR\t{headway.folder}\tenvironment" in lines
