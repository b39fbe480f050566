"""The service without HTTP, with a real database: the one that DATABASE_URL names."""

import io
import json
import os

import pytest

from notes import TEXT_LENGTH_MAX, make_app, open_notes


@pytest.fixture(scope="module")
def app():
    return make_app(open_notes(os.environ["DATABASE_URL"]))


def ask(app, method, path, body=b""):
    answer = {}

    def start_response(status, headers):
        answer["status"] = status

    environ = {
        "REQUEST_METHOD": method,
        "PATH_INFO": path,
        "CONTENT_LENGTH": str(len(body)),
        "wsgi.input": io.BytesIO(body),
    }
    answer["json"] = json.loads(b"".join(app(environ, start_response)))
    return answer


def add(app, text):
    return ask(app, "POST", "/notes", json.dumps({"text": text}).encode())


def test_a_note_is_kept(app):
    made = add(app, "buy milk; DROP TABLE notes")
    assert made["status"] == "201 Created"
    newest = ask(app, "GET", "/notes")["json"][0]
    assert newest == {"id": made["json"]["id"], "text": "buy milk; DROP TABLE notes"}


@pytest.mark.parametrize("text", ["", "x" * (TEXT_LENGTH_MAX + 1), "a\0b", 7, None])
def test_what_is_no_note_is_refused(app, text):
    assert add(app, text)["status"] == "400 Bad Request"


def test_the_longest_note_is_kept(app):
    assert add(app, "x" * TEXT_LENGTH_MAX)["status"] == "201 Created"


def test_a_body_that_is_not_json_is_refused(app):
    assert ask(app, "POST", "/notes", b"{")["status"] == "400 Bad Request"


def test_another_page_is_not_found(app):
    assert ask(app, "GET", "/")["status"] == "404 Not Found"
