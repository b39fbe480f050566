"""Artifacts by the API and on the run's page: lists, one file, archives, and what a browser must not do with them."""

import tarfile
import zipfile
from io import BytesIO
from typing import Any

import pytest
import zstandard
from fastapi.testclient import TestClient
from sqlalchemy import update

from tests.web.conftest import REPO, ClaimedRun, Site
from workers.artifacts.storage import blob_name
from workers.db.models import Artifact
from workers.db.roles import Role
from workers.db.session import transaction

HOSTILE = b"<script>alert(document.domain)</script>"


@pytest.fixture
def run(site: Site) -> ClaimedRun:
    site.add_repo()
    begun = site.begin()
    begun.keep_all({"dist/app": b"program", "index.html": HOSTILE})
    return begun


def listed(client: TestClient, query: str = "") -> dict[str, Any]:
    answer = client.get(f"/api/repos/{REPO}/runs/1/artifacts{query}")
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def test_a_run_lists_what_its_steps_kept(program: TestClient, run: ClaimedRun) -> None:
    found = listed(program)
    assert (found["count"], found["size_bytes"], found["next_after"]) == (2, 7 + len(HOSTILE), None)
    first, second = found["artifacts"]
    assert {key: first[key] for key in ("path", "size_bytes", "mode", "name", "cell", "expires_ms")} == {
        "path": "dist/app", "size_bytes": 7, "mode": 0o755, "name": "results", "cell": {}, "expires_ms": None,
    }  # fmt: skip
    assert first["step"] == run.step(1).name
    assert second["path"] == "index.html"


def test_a_list_has_pages(program: TestClient, run: ClaimedRun) -> None:
    first = listed(program, "?limit=1")
    assert [each["path"] for each in first["artifacts"]] == ["dist/app"]
    second = listed(program, f"?limit=1&after={first['next_after']}")
    assert [each["path"] for each in second["artifacts"]] == ["index.html"]
    assert second["next_after"] is None
    for limit, status in ((0, 422), (1000, 200), (1001, 422)):
        assert program.get(f"/api/repos/{REPO}/runs/1/artifacts?limit={limit}").status_code == status


def test_one_file_is_saved_and_never_shown(program: TestClient, run: ClaimedRun) -> None:
    answer = program.get(f"/api/artifacts/{listed(program)['artifacts'][1]['id']}")
    assert (answer.status_code, answer.content) == (200, HOSTILE)
    assert answer.headers["content-type"] == "application/octet-stream"
    assert answer.headers["content-disposition"] == "attachment; filename*=UTF-8''index.html"
    assert answer.headers["content-security-policy"] == "sandbox; default-src 'none'"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["content-length"] == str(len(HOSTILE))


def test_a_name_cannot_add_headers(program: TestClient, site: Site, run: ClaimedRun) -> None:
    run.keep('a"; filename="b;é', b"x", 2)
    answer = program.get(f"/api/artifacts/{listed(program)['artifacts'][2]['id']}")
    assert answer.headers["content-disposition"] == "attachment; filename*=UTF-8''a%22%3B%20filename%3D%22b%3B%C3%A9"


def test_all_of_a_run_are_one_archive(program: TestClient, site: Site, run: ClaimedRun) -> None:
    run.keep_all({"dist/app": b"later", "Dist/x": b"x"}, 2)
    answer = program.get(f"/api/repos/{REPO}/runs/1/artifacts.zip")
    assert answer.headers["content-type"] == "application/zip"
    assert answer.headers["content-security-policy"] == "sandbox; default-src 'none'"
    with zipfile.ZipFile(BytesIO(answer.content)) as archive:
        assert archive.testzip() is None
        by_name = {name.partition("/")[2]: archive.read(name) for name in archive.namelist()}
        modes = {entry.filename.partition("/")[2]: entry.external_attr >> 16 & 0o777 for entry in archive.infolist()}
    assert by_name == {"dist/app": b"later", "index.html": HOSTILE, "Dist/x": b"x"}
    assert modes == {"dist/app": 0o755, "index.html": 0o644, "Dist/x": 0o644}


def test_all_of_a_run_are_a_tar_archive_too(program: TestClient, run: ClaimedRun) -> None:
    run.keep_all({"long/" + "n" * 200: b"x" * 513, "empty": b""}, 2)
    answer = program.get(f"/api/repos/{REPO}/runs/1/artifacts.tar.zst")
    assert answer.headers["content-type"] == "application/zstd"
    assert answer.headers["content-disposition"].endswith("-1-artifacts.tar.zst")
    assert answer.headers["content-security-policy"] == "sandbox; default-src 'none'"
    unpacked = zstandard.ZstdDecompressor().decompressobj().decompress(answer.content)
    with tarfile.open(fileobj=BytesIO(unpacked), mode="r:") as archive:
        found = {each.name.partition("/")[2]: (each.mode, read_of(archive, each)) for each in archive}
    assert found == {
        "dist/app": (0o755, b"program"), "index.html": (0o644, HOSTILE), "long/" + "n" * 200: (0o644, b"x" * 513),
        "empty": (0o644, b""),
    }  # fmt: skip


def read_of(archive: tarfile.TarFile, entry: tarfile.TarInfo) -> bytes:
    file = archive.extractfile(entry)
    assert file
    return file.read()


def test_a_folder_is_an_archive_too(program: TestClient, site: Site, run: ClaimedRun) -> None:
    run.keep("Dist/x", b"x", 2)
    answer = program.get(f"/api/repos/{REPO}/runs/1/artifacts.zip?folder=dist/")
    with zipfile.ZipFile(BytesIO(answer.content)) as archive:
        assert [name.partition("/")[2] for name in archive.namelist()] == ["dist/app"]
    nothing = program.get(f"/api/repos/{REPO}/runs/1/artifacts.zip?folder=di")
    assert (nothing.status_code, nothing.json()) == (404, {"error": "Run 1 has no artifacts below 'di'."})


def test_bytes_that_are_gone_are_said_to_be(program: TestClient, site: Site, run: ClaimedRun) -> None:
    with transaction(site.engine) as session:
        keys = [artifact.blob_key for artifact in session.query(Artifact).all()]
    number = listed(program)["artifacts"][0]["id"]
    site.services.blobs.delete([blob_name(key) for key in keys])
    for path in (f"/api/artifacts/{number}", f"/api/repos/{REPO}/runs/1/artifacts.zip"):
        answer = program.get(path)
        assert answer.status_code == 410
        assert answer.json() == {"error": "The bytes of this artifact are gone from the blob store."}


def test_an_artifact_that_has_expired_is_not_there(program: TestClient, site: Site, run: ClaimedRun) -> None:
    number = listed(program)["artifacts"][0]["id"]
    with transaction(site.engine) as session:
        session.execute(update(Artifact).values(expires_ms=1))
    assert listed(program)["count"] == 0
    answer = program.get(f"/api/artifacts/{number}")
    assert (answer.status_code, answer.json()) == (
        404, {"error": f"There is no artifact {number} here; it may have expired."},
    )  # fmt: skip


def test_only_those_who_may_read_the_repository_see_them(site: Site, run: ClaimedRun, guest: TestClient) -> None:
    with transaction(site.engine) as session:
        number = session.query(Artifact).first().id  # type: ignore[union-attr]
    paths = [f"/api/artifacts/{number}", *(f"/api/repos/{REPO}/runs/1/artifacts{end}" for end in ("", ".zip"))]
    assert [guest.get(path).status_code for path in paths] == [404, 404, 404]
    assert guest.get(paths[0]).json() == guest.get(paths[0]).json()
    site.give_role("bob", Role.READ)
    assert [guest.get(path).status_code for path in paths] == [200, 200, 200]


def test_the_page_of_the_run_lists_them(browser: TestClient, run: ClaimedRun) -> None:
    page = browser.get(f"/repos/{REPO}/runs/1").text
    assert "2 files, " in page
    assert ">dist/</a>" in page
    assert ">app</a>" in page
    assert f'href="/api/repos/{REPO}/runs/1/artifacts.zip"' in page


def test_a_name_on_the_page_is_text(browser: TestClient, site: Site, run: ClaimedRun) -> None:
    run.keep("<img src=x onerror=alert(1)>", b"x", 2)
    page = browser.get(f"/repos/{REPO}/runs/1").text
    assert "<img src=x" not in page
    assert "&lt;img src=x onerror=alert(1)&gt;" in page


def test_no_name_in_a_zip_archive_leads_out_of_its_folder_where_backslashes_are_slashes(
    site: Site, program: TestClient
) -> None:
    site.add_repo()
    site.begin().keep_all({"a\\..\\..\\evil.bat": b"1", "plain": b"2"})
    zipped = program.get(f"/api/repos/{REPO}/runs/1/artifacts.zip").content
    with zipfile.ZipFile(BytesIO(zipped)) as archive:
        assert [name.partition("/")[2] for name in archive.namelist()] == ["a_.._.._evil.bat", "plain"]
