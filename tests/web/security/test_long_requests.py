"""How many downloads run at once: at the limit, one past it, and what gives a place back."""

import os
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from urllib.parse import urlsplit

import httpx2
import pytest
from fastapi.testclient import TestClient

from tests.web.conftest import REPO, Site, serving
from web.operations.errors import GoneError
from web.security.long_requests import ARCHIVES, FILES, SEARCHES, Room, Slot, Slots, TooManyAtOnceError

ROOM = Room(of_user_max=2, all_max=3, threads_max=1)
ZIP = f"/api/repos/{REPO}/runs/1/artifacts.zip"


def test_a_user_has_only_so_many_and_all_together_too() -> None:
    downloads = Slots(ROOM, "downloads of archives")
    first: list[Slot] = [downloads.take(1), downloads.take(1)]
    with pytest.raises(TooManyAtOnceError, match="You have 2 downloads of archives at once, which is the limit"):
        downloads.take(1)
    downloads.take(2)
    with pytest.raises(TooManyAtOnceError, match="There are 3 downloads of archives at once"):
        downloads.take(3)
    first[0].close()
    first[0].close()
    downloads.take(3)
    with pytest.raises(TooManyAtOnceError, match="There are 3"):
        downloads.take(4)


def test_what_cannot_be_opened_gives_its_place_back() -> None:
    downloads = Slots(ROOM, "downloads of files")

    def fails() -> Iterator[bytes]:
        raise GoneError("gone")

    for _ in range(5):
        with pytest.raises(GoneError):
            downloads.response(1, fails, {})
    downloads.take(1)


def test_one_download_after_the_other_is_never_too_many(site: Site, program: TestClient) -> None:
    site.add_repo()
    site.begin().keep_all({"a.txt": b"1", "index.html": b"2"})
    artifact = program.get(f"/api/repos/{REPO}/runs/1/artifacts").json()["artifacts"][0]["id"]
    for _ in range(ARCHIVES.of_user_max + 1):
        assert program.get(ZIP).status_code == 200
        assert program.get(f"{ZIP}?folder=none").status_code == 404
    for _ in range(FILES.of_user_max + 1):
        assert program.get(f"/api/artifacts/{artifact}").content == b"1"


def half_read(stack: ExitStack, url: str, path: str, token: str) -> socket.socket:
    """A download whose client has read its head and no more."""
    where = (urlsplit(url).hostname or "", urlsplit(url).port or 0)
    client = stack.enter_context(socket.socket())
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    client.settimeout(60)
    client.connect(where)
    client.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n\r\n".encode())
    assert client.recv(12) == b"HTTP/1.1 200"
    return client


@pytest.mark.slow
def test_one_archive_more_than_a_user_may_have_is_answered_429_and_others_are_served(site: Site) -> None:
    site.add_repo()
    site.begin().keep_all({"big": os.urandom(20_000_000)})
    tokens = [site.token(site.add_user(name)) for name in ("ada", "bea")]
    with serving(site.services) as url, httpx2.Client(base_url=url, timeout=60) as http, ExitStack() as stack:
        mine, others = ({"authorization": f"Bearer {token}"} for token in tokens)
        held = [half_read(stack, url, ZIP, tokens[0]) for _ in range(ARCHIVES.of_user_max)]
        refused = http.get(ZIP, headers=mine)
        assert (refused.status_code, refused.headers["retry-after"]) == (429, "10")
        assert "You have 2 downloads of archives at once" in refused.json()["error"]
        assert http.get(f"/api/repos/{REPO}/runs/1/artifacts.tar.zst", headers=mine).status_code == 429
        assert http.get("/healthz").status_code == 200
        assert http.get(f"/api/repos/{REPO}/runs/1/artifacts", headers=mine).status_code == 200
        assert http.get(ZIP, headers=others).status_code == 200
        held[0].close()
        while http.get(ZIP, headers=mine).status_code == 429:  # the server notices when it writes
            pass


def test_files_in_a_frame_count_for_who_opened_it(site: Site, browser: TestClient) -> None:
    site.add_repo()
    site.begin().keep_all({"index.html": b"<p>1"})
    files = browser.app.state.long_requests.files  # type: ignore[attr-defined]
    page = browser.get(f"/repos/{REPO}/runs/1/artifacts/1").text
    path = "/artifact-views/" + page.split("/artifact-views/")[1].split('"')[0]
    taken = [files.take(1) for _ in range(FILES.of_user_max - 1)]
    assert browser.get(path).text == "<p>1"
    taken.append(files.take(1))
    refused = browser.get(path)
    assert (refused.status_code, refused.headers["retry-after"]) == (429, "10")
    taken[0].close()
    assert browser.get(path).status_code == 200


def test_one_search_more_than_a_user_may_have_is_answered_429(site: Site, program: TestClient) -> None:
    """The limit is of the user: pages, and logs themselves, are as quick as before."""
    site.add_repo()
    step = site.begin().steps[1]
    searches = program.app.state.long_requests.searches  # type: ignore[attr-defined]
    taken = [searches.take(1) for _ in range(SEARCHES.of_user_max - 1)]
    assert program.get(f"/api/steps/{step}/log/search?text=x").status_code == 200
    taken.append(searches.take(1))
    refused = program.get(f"/api/steps/{step}/log/search?text=x")
    assert (refused.status_code, refused.headers["retry-after"]) == (429, "10")
    assert "You have 4 searches in logs at once, which is the limit" in refused.json()["error"]
    assert program.get(f"/api/steps/{step}/log?offset=0").status_code == 200
    assert program.get(f"/api/steps/{step}/log/groups").status_code == 200
    taken[0].close()
    assert program.get(f"/api/steps/{step}/log/search?text=x").status_code == 200
    assert program.get(f"/api/steps/{step}/log/search?text=(&regex=true").status_code == 422
    assert program.get(f"/api/steps/{step}/log/search?text=x").status_code == 200, "what fails gives its place back"
