"""The pages of a run's artifacts, and the addresses at which browsers get what they show."""

import re

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import delete, update

from tests.web.conftest import REPO, ClaimedRun, Site
from web.operations.artifacts.viewing import VIEW_LINK_S
from web.pages.artifacts import ARTIFACTS_ON_A_PAGE
from workers.db.models import Artifact, LoginSession, Repo, User
from workers.db.session import db_now_ms, reading, transaction

HERE = f"/repos/{REPO}/runs/1"
REPORT = b"<link rel=stylesheet href=style.css><script>document.title = 1</script>"
FILES = {"html/index.html": REPORT, "html/style.css": b"p {}", "a b.png": b"png", "bin/app": b"elf", "notes": b"n"}


@pytest.fixture
def run(site: Site) -> ClaimedRun:
    site.add_repo()
    return site.begin()


def address(browser: TestClient, artifact_id: int) -> str:
    page = browser.get(f"{HERE}/artifacts/{artifact_id}")
    assert page.status_code == 200
    found = re.search(r'<iframe [^>]*src="([^"]+)"', page.text)
    assert found
    return found[1]


def logged_out(browser: TestClient) -> TestClient:
    browser.cookies.clear()
    return browser


def test_the_list_has_folders_views_and_downloads(browser: TestClient, run: ClaimedRun) -> None:
    ids = run.keep_all(FILES)
    page = browser.get(f"{HERE}/artifacts").text
    assert "5 files in this run" in page
    assert f'href="{HERE}/artifacts?folder=html">html/</a>' in page
    assert f'href="{HERE}/artifacts/{ids["html/index.html"]}">index.html</a>' in page
    assert f'href="/api/artifacts/{ids["bin/app"]}" download>app</a>' in page
    assert f'href="/api{HERE}/artifacts.tar.zst" download' in page


def test_a_folder_is_a_list_of_its_own(browser: TestClient, run: ClaimedRun) -> None:
    run.keep_all(FILES)
    page = browser.get(f"{HERE}/artifacts?folder=html/").text
    assert ">style.css</a>" in page
    assert ">app</a>" not in page
    assert f'href="/api{HERE}/artifacts.zip?folder=html"' in page
    assert "There is no file below this folder." in browser.get(f"{HERE}/artifacts?folder=htm").text


@pytest.mark.parametrize(("count", "pages"), [(ARTIFACTS_ON_A_PAGE, 1), (ARTIFACTS_ON_A_PAGE + 1, 2)])
def test_a_long_list_has_pages(browser: TestClient, run: ClaimedRun, count: int, pages: int) -> None:
    run.keep_all({f"files/{number:04}": b"" for number in range(count)})
    first = browser.get(f"{HERE}/artifacts?folder=files").text
    following = re.search(r'href="([^"]+)">Next<', first)
    assert bool(following) is (pages == 2)
    if following:
        second = browser.get(following[1].replace("&amp;", "&")).text
        assert f">{count - 1:04}</a>" in second
        assert second.count("/api/artifacts/") == 1


def test_without_files_the_page_says_so(browser: TestClient, run: ClaimedRun) -> None:
    assert "The steps of this run have kept no files, or they have expired." in browser.get(f"{HERE}/artifacts").text


def test_a_page_is_shown_in_a_frame_without_an_origin(browser: TestClient, run: ClaimedRun) -> None:
    ids = run.keep_all(FILES)
    page = browser.get(f"{HERE}/artifacts/{ids['html/index.html']}")
    assert '<iframe class="artifact-frame" title="html/index.html" sandbox="allow-scripts"' in page.text
    assert page.headers["content-security-policy"].endswith("; frame-src *:*/artifact-views/")
    shown = browser.get(address(browser, ids["html/index.html"]))
    assert shown.content == REPORT
    assert shown.headers["content-type"] == "text/html"
    policy = shown.headers["content-security-policy"]
    assert policy.startswith("sandbox allow-scripts; ")
    assert "allow-same-origin" not in policy
    assert "connect-src 'none'" in policy
    assert shown.headers["x-content-type-options"] == "nosniff"
    assert "set-cookie" not in shown.headers


def test_the_address_needs_no_cookie_and_leads_to_the_files_beside_it(browser: TestClient, run: ClaimedRun) -> None:
    ids = run.keep_all(FILES)
    path = address(browser, ids["html/index.html"])
    client = logged_out(browser)
    beside = client.get(path.replace("index.html", "style.css"))
    assert (beside.content, beside.headers["content-type"]) == (b"p {}", "text/css; charset=utf-8")
    assert client.get(path.replace("index.html", "")).content == REPORT
    assert client.get(path.replace("html/index.html", "a%20b.png")).headers["content-type"] == "image/png"
    saved = client.get(path.replace("html/index.html", "bin/app"))
    assert saved.headers["content-type"] == "application/octet-stream"
    assert saved.headers["content-disposition"] == "attachment"
    assert client.get(path.replace("index.html", "none.css")).status_code == 404


def test_a_name_with_special_characters_has_an_address(browser: TestClient, run: ClaimedRun) -> None:
    name = "a b/'\"<?#%&.txt"
    ids = run.keep_all({name: b"text"})
    path = address(browser, ids[name])
    assert logged_out(browser).get(path).content == b"text"


def test_what_a_browser_cannot_show_has_no_view(browser: TestClient, run: ClaimedRun) -> None:
    ids = run.keep_all(FILES)
    answer = browser.get(f"{HERE}/artifacts/{ids['bin/app']}")
    assert answer.status_code == 404
    assert "Browsers cannot show bin/app. Download it." in answer.text


@pytest.mark.parametrize("part", range(5))
def test_an_address_that_was_changed_shows_nothing(browser: TestClient, run: ClaimedRun, part: int) -> None:
    path = address(browser, run.keep_all(FILES)["a b.png"])
    link = path.split("/")[2]
    parts = link.split("-")
    parts[part] = parts[part][:-1] + ("1" if parts[part][-1] != "1" else "2")
    answer = browser.get(path.replace(link, "-".join(parts)))
    assert answer.status_code == 404
    assert "There is no such view." in answer.text
    for nonsense in ("x", "-", "1-2-3", "\u00e9", "-" * 1000):
        assert browser.get(f"/artifact-views/{nonsense}/index.html").status_code == 404


def ends(site: Site, how: str) -> None:
    with transaction(site.engine) as session:
        match how:
            case "the login":
                session.execute(delete(LoginSession))
            case "the user":
                session.execute(update(User).values(disabled_ms=1))
            case "the role":
                session.execute(update(User).values(is_admin=False))
                session.execute(update(Repo).values(visible_to_all=False))
            case _:
                session.execute(update(Artifact).values(expires_ms=1))


@pytest.mark.parametrize("how", ["the login", "the user", "the role", "the artifact"])
def test_an_address_ends_with_what_it_stands_for(browser: TestClient, site: Site, run: ClaimedRun, how: str) -> None:
    path = address(browser, run.keep_all(FILES)["html/index.html"])
    ends(site, how)
    answer = logged_out(browser).get(path)
    assert answer.status_code == 404
    assert ("has kept no file" if how == "the artifact" else "This view has ended.") in answer.text


@pytest.mark.parametrize(("left_s", "status"), [(0, 404), (60, 200)])
def test_an_address_ends_in_time(browser: TestClient, site: Site, run: ClaimedRun, left_s: int, status: int) -> None:
    path = address(browser, run.keep_all(FILES)["html/index.html"])
    about = path.split("/")[2].rpartition("-")[0]
    with reading(site.engine) as session:
        now_s = db_now_ms(session) // 1000
    assert now_s + VIEW_LINK_S - 60 < int(about.rpartition("-")[2]) <= now_s + VIEW_LINK_S
    other = f"{about.rpartition('-')[0]}-{now_s + left_s}"
    link = f"{other}-{site.services.vault.name_for(f'artifact view {other}')}"
    assert browser.get(f"/artifact-views/{link}/html/index.html").status_code == status


def test_an_address_shows_files_of_its_own_job_alone(browser: TestClient, site: Site, run: ClaimedRun) -> None:
    path = address(browser, run.keep_all(FILES)["html/index.html"])
    other = site.begin()
    other.keep("other.txt", b"of another run")
    assert browser.get(path.replace("html/index.html", "other.txt")).status_code == 404
