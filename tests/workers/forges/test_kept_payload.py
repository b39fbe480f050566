"""What is kept of a delivery: enough to read it again, and no secret."""

import json

import pytest

from tests.contract.forges.test_forges import SECRET, SIGN, sample
from tests.support.paths import FORGE_SAMPLES
from workers.forges import FORGES
from workers.forges.kept_payload import HEADERS_MAX, NOT_KEPT, VALUE_CHARS_MAX, body_of, kept_headers, kept_payload

SAMPLES = sorted((path.parent.name, path.stem) for forge in FORGES for path in (FORGE_SAMPLES / forge).glob("*.json"))


@pytest.mark.parametrize(("forge", "name"), SAMPLES)
def test_what_is_kept_is_read_as_what_came_and_proves_nothing(forge: str, name: str) -> None:
    headers, body = sample(forge, name)
    signed = headers | SIGN[forge](SECRET, body)
    kept = kept_payload(signed, body, SECRET)
    assert body_of(kept) == body
    assert _outcome(forge, dict(kept.headers), body) == _outcome(forge, signed, body)
    assert SECRET not in json.dumps(dict(kept.headers))
    assert not FORGES[forge].verify(kept.headers, body, SECRET)


def _outcome(forge: str, headers: dict[str, str], body: bytes) -> object:
    try:
        return FORGES[forge].parse(headers, body)
    except ValueError as error:
        return str(error)


@pytest.mark.parametrize(
    "name",
    [
        "authorization",
        "proxy-authorization",
        "cookie",
        "x-gitlab-token",
        "x-hub-signature",
        "x-hub-signature-256",
        "x-headway-signature",
        "x-api-key",
        "private-token",
        "idempotency-key",
        "x-forwarded-for",
        "x-made-up",
    ],
)
def test_a_header_that_is_not_known_to_be_harmless_keeps_its_name_alone(name: str) -> None:
    assert kept_headers({name: "hunter2", "user-agent": "curl"}) == {name: NOT_KEPT, "user-agent": "curl"}


def test_headers_are_bounded_and_those_that_are_read_again_go_first() -> None:
    many = {f"a-{number:03}": "x" for number in range(HEADERS_MAX)} | {"x-github-event": "y" * (VALUE_CHARS_MAX + 1)}
    kept = kept_headers(many)
    assert len(kept) == HEADERS_MAX
    assert kept["x-github-event"] == "y" * VALUE_CHARS_MAX
    assert kept_headers({"x" * 101: "1", "bad name": "1", "x" * 100: "1"}) == {"x" * 100: NOT_KEPT}


@pytest.mark.parametrize("secret", [SECRET, 'with "quotes" and \\'])
def test_the_webhooks_secret_is_not_kept_where_a_forge_sends_it_in_the_body(secret: str) -> None:
    body = json.dumps({"secret": secret, "ref": "refs/heads/main"}).encode()
    assert json.loads(body_of(kept_payload({}, body, secret))) == {"secret": "***", "ref": "refs/heads/main"}


def test_a_secret_so_short_that_it_is_in_ordinary_words_leaves_the_body_as_it_is() -> None:
    body = b'{"secret": "ref", "ref": "refs/heads/main"}'
    assert body_of(kept_payload({}, body, "ref")) == body
