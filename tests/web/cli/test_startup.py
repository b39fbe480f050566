"""What a command says when settings, keys, data directory or database cannot be used."""

import socket
import stat
from pathlib import Path

import pytest

from tests.web.cli.command import Headway


def test_upgrading_the_database_is_idempotent(headway: Headway) -> None:
    assert headway.ok("db", "upgrade") == headway.ok("db", "upgrade")
    assert stat.S_IMODE(headway.folder.stat().st_mode) == 0o700


def test_the_first_start_makes_a_key_file_for_its_owner_only(headway: Headway) -> None:
    headway.env["HEADWAY_SECRET_KEYS"] = ""
    headway.ok("db", "upgrade")
    assert stat.S_IMODE((headway.folder / "secret.key").stat().st_mode) == 0o600


def test_a_data_directory_that_cannot_be_used_is_named(headway: Headway, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    headway.env["HEADWAY_DATA_DIR"] = str(file)
    assert "it is a file" in headway.refused("repo", "list")
    headway.env["HEADWAY_DATA_DIR"] = "/proc/headway"
    assert "HEADWAY_DATA_DIR" in headway.refused("repo", "list")


def test_a_database_that_does_not_answer_is_a_sentence_without_its_password(headway: Headway) -> None:
    headway.env["HEADWAY_DATABASE_URL"] = "postgresql+psycopg://u:hunter2@127.0.0.1:9/x?connect_timeout=2"
    sentence = headway.refused("db", "upgrade")
    assert "The database cannot be used" in sentence
    assert "hunter2" not in sentence


def test_invalid_settings_are_named(headway: Headway) -> None:
    headway.env["HEADWAY_PORT"] = "many"
    assert "HEADWAY_PORT" in headway.refused("repo", "list")


def test_a_damaged_key_is_a_sentence(headway: Headway) -> None:
    headway.env["HEADWAY_SECRET_KEYS"] = "k1:tooshort"
    assert "HEADWAY_SECRET_KEYS" in headway.refused("repo", "list")


@pytest.mark.parametrize("command", ["serve", "web"])
def test_the_port_of_the_command_line_goes_before_that_of_the_environment(headway: Headway, command: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        headway.env["HEADWAY_PORT"] = "1"
        sentence = headway.refused(command, "--host", "127.0.0.1", "--port", str(port))
    assert f"cannot listen on 127.0.0.1 port {port}" in sentence
    assert f"choose another: --port {port + 1}, or HEADWAY_PORT" in sentence
