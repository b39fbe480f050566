"""Artifacts by the API and on the run's page: lists, one file, archives, and what a browser must not do with them."""

import zipfile
from functools import partial
from io import BytesIO
from typing import Any

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import update

from pipelines.plan import Artifacts
from runner.artifacts.files import FoundFile
from tests.web.conftest import REPO, ClaimedRun, Site
from workers.artifacts.storage import StoredArtifacts, blob_name
from workers.db.models import Artifact, Run
from workers.db.roles import Role
from workers.db.session import transaction

HOSTILE = b"<script>alert(document.domain)</script>"


def keep(site: Site, run: ClaimedRun, step: int = 1, **files: bytes) -> None:
    """The step keeps files of these names; two underscores stand for a slash, one for a dot."""
    with transaction(site.engine) as session:
        repo_id = session.get_one(Run, run.claim.run_id).repo_id
    storage = StoredArtifacts(site.engine, site.services.blobs, run.claim, repo_id)
    found = []
    for name, data in files.items():
        path = name.replace("__", "/").replace("_", ".")
        found.append(FoundFile(path, len(data), name.endswith("app"), partial(BytesIO, data)))
    storage.keep(step, Artifacts(name="results", paths=("**",)), found)


@pytest.fixture
def run(site: Site) -> ClaimedRun:
    site.add_repo()
    begun = site.begin()
    keep(site, begun, dist__app=b"program", index_html=HOSTILE)
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
    keep(site, run, 2, **{'a"; filename="b;é': b"x"})
    answer = program.get(f"/api/artifacts/{listed(program)['artifacts'][2]['id']}")
    assert answer.headers["content-disposition"] == "attachment; filename*=UTF-8''a%22%3B%20filename%3D%22b%3B%C3%A9"


def test_all_of_a_run_are_one_archive(program: TestClient, site: Site, run: ClaimedRun) -> None:
    keep(site, run, 2, dist__app=b"later", Dist__x=b"x")
    answer = program.get(f"/api/repos/{REPO}/runs/1/artifacts.zip")
    assert answer.headers["content-type"] == "application/zip"
    assert answer.headers["content-security-policy"] == "sandbox; default-src 'none'"
    with zipfile.ZipFile(BytesIO(answer.content)) as archive:
        assert archive.testzip() is None
        by_name = {name.partition("/")[2]: archive.read(name) for name in archive.namelist()}
        modes = {entry.filename.partition("/")[2]: entry.external_attr >> 16 & 0o777 for entry in archive.infolist()}
    assert by_name == {"dist/app": b"later", "index.html": HOSTILE, "Dist/x": b"x"}
    assert modes == {"dist/app": 0o755, "index.html": 0o644, "Dist/x": 0o644}


def test_a_folder_is_an_archive_too(program: TestClient, site: Site, run: ClaimedRun) -> None:
    keep(site, run, 2, Dist__x=b"x")
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
    assert "Artifacts: 2 files" in page
    assert ">dist/app</a>" in page
    assert f'href="/api/repos/{REPO}/runs/1/artifacts.zip"' in page


def test_a_name_on_the_page_is_text(browser: TestClient, site: Site, run: ClaimedRun) -> None:
    keep(site, run, 2, **{"<img src=x onerror=alert(1)>": b"x"})
    page = browser.get(f"/repos/{REPO}/runs/1").text
    assert "<img src=x" not in page
    assert "&lt;img src=x onerror=alert(1)&gt;" in page
