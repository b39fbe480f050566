"""The commands that keep an installation."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.services import TEST_KEY
from tests.web.cli.command import Headway


@pytest.fixture
def other(tmp_path_factory: pytest.TempPathFactory) -> Headway:
    return Headway(tmp_path_factory.mktemp("other"))


@pytest.mark.slow
def test_a_backup_is_restored_elsewhere(headway: Headway, other: Headway, tmp_path: Path) -> None:
    headway.ok("user", "add", "ada", "--admin")
    file = tmp_path / "backup.tar.zst"
    done = headway("backup", str(file), "--keys", "--logs")
    assert done.exit_code == 0
    assert "rows and the keys and the logs" in done.stderr
    assert "exists already" in headway.refused("backup", str(file))
    headway.ok("backup", str(file), "--force")
    assert "UTC (repositories: 0, runs: 0). Jobs that ran then start over." in other.ok("restore", str(file))
    assert "ada" in other.ok("user", "list")
    assert "is not empty" in other.refused("restore", str(file))


@pytest.mark.slow
def test_an_archive_without_keys_names_those_it_needs(headway: Headway, other: Headway, tmp_path: Path) -> None:
    headway.ok("user", "list")
    file = tmp_path / "backup.tar.zst"
    assert "The keys are not in it" in headway("backup", str(file)).stderr
    other.env["HEADWAY_SECRET_KEYS"] = ""
    restored = other("restore", str(file))
    assert restored.exit_code == 0
    assert f"secret.key: {TEST_KEY.partition(':')[0]}. Without them" in restored.stderr
    assert not (other.folder / "secret.key").exists()


@pytest.mark.slow
def test_a_backup_goes_to_standard_output(headway: Headway, other: Headway, tmp_path: Path) -> None:
    headway.ok("user", "add", "ada")
    program = str(Path(sys.executable).with_name("headway"))
    done = subprocess.run([program, "backup", "-"], env=os.environ | headway.env, capture_output=True, check=True)
    file = tmp_path.with_name("archive")
    file.write_bytes(done.stdout)
    other.ok("restore", str(file))
    assert "ada" in other.ok("user", "list")


def test_what_cannot_be_restored_is_said(other: Headway, tmp_path: Path) -> None:
    assert "cannot be read: No such file" in other.refused("restore", str(tmp_path / "no"))
    (tmp_path / "text").write_text("text")
    assert "not a whole archive" in other.refused("restore", str(tmp_path / "text"))


ELSEWHERE = ("--skip", "engine", "--skip", "buildx", "--skip", "redis", "--skip", "url")


@pytest.mark.slow
def test_the_doctor_prints_a_line_a_finding_and_ends_with_a_status(headway: Headway) -> None:
    found = headway("doctor", *ELSEWHERE)
    assert found.exit_code == 1
    assert "problem  scheduler" in found.stdout
    assert "ok       git" in found.stdout
    as_json = headway("doctor", *ELSEWHERE, "--format", "json")
    assert as_json.exit_code == 1
    assert {"subject", "level", "sentence"} == set(json.loads(as_json.stdout)[0])
    well = headway("doctor", *ELSEWHERE, "--skip", "database")
    assert (well.exit_code, "problem" in well.stdout) == (0, False)


def test_the_doctor_says_which_setting_is_wrong(headway: Headway) -> None:
    headway.env["HEADWAY_PORT"] = "x"
    found = headway("doctor")
    assert found.exit_code == 1
    assert "problem  settings" in found.stdout
    assert "HEADWAY_PORT" in found.stdout


def test_the_doctor_knows_its_checks(headway: Headway) -> None:
    assert headway("doctor", "--skip", "moon").exit_code == 2
