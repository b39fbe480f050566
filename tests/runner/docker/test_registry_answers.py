"""What registries answered, in the words of engines and build clients as they were seen."""

import pytest

from pipelines.state import Reason, State
from runner.builds.failures import failure
from runner.builds.progress import Progress
from runner.docker.error_mapping import pull_error
from runner.docker.registry_answers import TransientRegistryError, transient_answer
from runner.images.push import push_error
from tests.support.paths import ROOT

HOST = "r.example:5000"
NAME = f"{HOST}/team/app:1"
URL = f"https://{HOST}/v2/team/app"
REGISTRY = f"the registry {HOST}"
LIMIT = "toomanyrequests: You have reached your pull rate limit. You may increase the limit by authenticating"

TRANSIENT = [
    # Docker's own image store
    ("received unexpected HTTP status: 503 Service Unavailable", "answered 503 Service Unavailable"),
    ("download failed after attempts=6: received unexpected HTTP status: 500 Internal", "answered 500 Internal Server"),
    (LIMIT, "answered 429 Too Many Requests (You have reached your pull rate limit. You may inc"),
    ('error parsing HTTP 429 response body: unexpected end of JSON input: ""', "answered 429 Too Many Requests"),
    ('error parsing HTTP 502 response body: invalid character \'<\': "<html>"', "answered 502 Bad Gateway"),
    ("toomanyrequests: Rate exceeded", "answered 429 Too Many Requests (Rate exceeded)"),
    ("Too Many Requests (HAP429)", "answered 429 Too Many Requests"),
    ("denied: Request exceeded pull rate limit for IP 127.0.0.1", "answered 429 Too Many Requests"),
    ("unavailable: service unavailable", "answered 503 Service Unavailable"),
    (f'Get "{URL}": read tcp 1.2.3.4:5->6.7.8.9:443: read: connection reset by peer', "ended the connection"),
    (f'Head "{URL}/manifests/1": EOF', "ended the connection"),
    ("error pulling image configuration: download failed after attempts=6: unexpected EOF", "ended the connection"),
    (f'Get "{URL}": dial tcp 1.2.3.4:443: connect: connection refused', "accepts no connection"),
    (f'Get "{URL}": net/http: TLS handshake timeout', "did not answer in time"),
    (f'Get "{URL}": dial tcp 1.2.3.4:443: i/o timeout', "did not answer in time"),
    (f'Get "{URL}": context deadline exceeded (Client.Timeout exceeded)', "did not answer in time"),
    (f'Get "{URL}": net/http: request canceled (Client.Timeout exceeded)', "did not answer"),
    (f'Get "{URL}": dial tcp: lookup r.example on 1.1.1.1:53: server misbehaving', "cannot be found: its name"),
    (f'Get "{URL}": dial tcp: lookup r.example: Temporary failure in name resolution', "cannot be found: its name"),
    (f'Get "{URL}": dial tcp: lookup r.example on 1.1.1.1:53: read udp: i/o timeout', "cannot be found: its name"),
    (f'Get "{URL}": dial tcp 1.2.3.4:443: connect: no route to host', "cannot be reached: no network"),
    (f'Get "{URL}": Service Unavailable', "cannot be reached: the engine's proxy answered Service Unavailable"),
    (f'Get "{URL}": http2: server sent GOAWAY and closed the connection', "ended the connection"),
    # containerd's, and BuildKit
    (f"unexpected status from HEAD request to {URL}/manifests/1: 504 Gateway Timeout", "answered 504 Gateway Timeout"),
    (f"unexpected status from PUT request to {URL}/manifests/1: 429 Too Many Requests", "answered 429 Too Many"),
    (f"failed open: unexpected status code {URL}/blobs/x: 429 Too Many Requests - Server message: {LIMIT}",
     "answered 429 Too Many Requests (You have reached your pull rate limit."),
    (f"unexpected status code {URL}/blobs/sha256:1: 520 ", "answered 520"),
    ("failed to read expected number of bytes: unexpected EOF", "ended the connection"),
    (f'failed commit: failed to do request: Put "{URL}": write tcp 1.2.3.4:5: use of closed network connection',
     "ended the connection"),
]  # fmt: skip

CLEAR = [
    ("manifest for a:1 not found: manifest unknown", Reason.IMAGE_NOT_FOUND, State.FAILED),
    ("manifest for h/toomanyrequests:latest not found: manifest unknown", Reason.IMAGE_NOT_FOUND, State.FAILED),
    ("pull access denied for a, repository does not exist or may require 'docker login'", Reason.IMAGE_NOT_FOUND,
     State.FAILED),
    ("unauthorized: authentication required", Reason.IMAGE_NOT_FOUND, State.FAILED),
    (f"unexpected status from HEAD request to {URL}/manifests/1: 403 Forbidden", Reason.IMAGE_NOT_FOUND, State.FAILED),
    (f"unexpected status from HEAD request to {URL}/manifests/503: 401 Unauthorized", Reason.IMAGE_NOT_FOUND,
     State.FAILED),
    ("invalid reference format", Reason.IMAGE_NOT_FOUND, State.FAILED),
    ("received unexpected HTTP status: 501 Not Implemented", Reason.REGISTRY_UNREACHABLE, State.BROKEN),
    ("received unexpected HTTP status: 507 Insufficient Storage", Reason.REGISTRY_UNREACHABLE, State.BROKEN),
    ("dial tcp: lookup nonesuch.example on 1.1.1.1:53: no such host", Reason.REGISTRY_UNREACHABLE, State.BROKEN),
    (f'Get "{URL}": tls: failed to verify certificate: x509: certificate has expired', Reason.REGISTRY_UNREACHABLE,
     State.BROKEN),
    ("failed to register layer: unexpected EOF", Reason.INTERNAL, State.BROKEN),
    ("write /x: no space left on device", Reason.DISK_FULL, State.BROKEN),
]  # fmt: skip


@pytest.mark.parametrize(("text", "said"), TRANSIENT)
def test_an_answer_that_may_change_is_known_by_its_words(text: str, said: str) -> None:
    answer = transient_answer(text, HOST, with_login=False)
    assert str(answer).startswith(f"{REGISTRY} {said}")
    for error in (pull_error(NAME, text, with_login=False), push_error(NAME, text, with_login=False)):
        assert isinstance(error, TransientRegistryError)
        assert (error.state, error.reason) == (State.BROKEN, Reason.REGISTRY_UNREACHABLE)
        assert f"{NAME} cannot be pu" in str(error)


@pytest.mark.parametrize(("text", "reason", "state"), CLEAR)
def test_a_clear_no_is_none_of_them(text: str, reason: Reason, state: State) -> None:
    error = pull_error(NAME, text, with_login=False)
    assert not isinstance(error, TransientRegistryError)
    assert (error.reason, error.state) == (reason, state)
    assert not isinstance(push_error(NAME, text, with_login=False), TransientRegistryError)


HUB = "https://registry-1.docker.io/v2/library/busybox"


@pytest.mark.parametrize(
    ("text", "host", "who"),
    [
        (f"unexpected status from HEAD request to {HUB}/x: 503 Service", "docker.io", "the registry docker.io"),
        (
            'Get "https://auth.docker.io/token?scope=x": EOF', "docker.io",
            "auth.docker.io, which gives out the logins of the registry docker.io,",
        ),
        (
            "fetch oauth token: unexpected status from POST request to https://auth.example/token: 503", HOST,
            f"auth.example, which gives out the logins of {REGISTRY},",
        ),
        (
            'Get "https://production.cdn.example/blobs/sha256:1": unexpected EOF', "docker.io",
            "production.cdn.example, which serves the registry docker.io,",
        ),
        ("unexpected EOF", HOST, REGISTRY),
    ],
)  # fmt: skip
def test_who_answered_is_told(text: str, host: str, who: str) -> None:
    answer = transient_answer(text, host, with_login=False)
    assert answer
    assert answer.who == who


def test_a_rate_limit_says_what_helps() -> None:
    anonymous = str(pull_error("busybox", LIMIT, with_login=False))
    assert "the rate limit is reached, which may last for hours; log in: headway registry login docker.io" in anonymous
    assert "or use a registry mirror" in anonymous
    assert "raise the limit of the account" in str(pull_error("busybox", LIMIT, with_login=True))
    assert "mirror" not in str(push_error(NAME, LIMIT, with_login=False)), "engines mirror Docker Hub alone"


@pytest.mark.parametrize(
    ("text", "pause_s"),
    [
        ("toomanyrequests: retry-after: 985.86µs, allowed: 44000/minute", 985.86e-6),
        ("toomanyrequests: retry-after: 1m30s, allowed: 44000/minute", 90),
        ("toomanyrequests: retry-after: 250ms, allowed: 44000/minute", 0.25),
        ("toomanyrequests: retry-after: 1.2.3s", 0),
        ("toomanyrequests: retry-after: soon", 0),
    ],
)
def test_a_pause_that_the_message_asks_for_is_read(text: str, pause_s: float) -> None:
    answer = transient_answer(text, HOST, with_login=False)
    assert answer
    assert answer.pause_s == pytest.approx(pause_s)


SOURCE = f"{NAME}: failed to resolve source metadata for {NAME}: "


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (f"{SOURCE}unexpected status from HEAD request to {URL}/manifests/1: 429 Too Many Requests", "answered 429"),
        (f'{SOURCE}failed to do request: Head "{URL}/manifests/1": EOF', f"{REGISTRY} ended the connection"),
        (f'{SOURCE}failed to do request: Head "{URL}": dial tcp 1.2.3.4:5: connect: connection refused', "accepts no"),
        (f"failed to copy: httpReadSeeker: failed open: unexpected status code {URL}/blobs/x: 503 Service Unavailable",
         f"{REGISTRY} answered 503"),
        (f"error writing layer blob: unexpected status from POST request to {URL}/blobs/uploads/: 502 Bad Gateway",
         f"{REGISTRY} answered 502"),
        ("pulling from host registry-1.docker.io failed with status code [manifests 20.10]: 429 Too Many Requests",
         "the registry docker.io answered 429"),
        ("failed to read expected number of bytes: unexpected EOF", "a registry ended the connection"),
    ],
)  # fmt: skip
def test_a_build_tells_what_a_registry_answered(text: str, told: str) -> None:
    error = failure(Progress(lambda _: None, lambda _: None), [f"ERROR: failed to solve: {text}"], ROOT)
    assert isinstance(error, TransientRegistryError)
    assert told in str(error)


@pytest.mark.parametrize(
    "text",
    [
        'process "/bin/sh -c curl https://r.example/v2/x" did not complete successfully: exit code: 1: 503 ended, EOF',
        'failed to load cache key: Get "https://example.com/a.tar": dial tcp 1.2.3.4:443: connect: connection refused',
        f"{SOURCE}{NAME}: not found",
        f"{SOURCE}pull access denied, repository does not exist or may require authorization: authorization failed",
        "failed to read dockerfile: unexpected EOF",
    ],
)
def test_other_failures_of_a_build_are_not_a_registrys(text: str) -> None:
    error = failure(Progress(lambda _: None, lambda _: None), [f"ERROR: failed to solve: {text}"], ROOT)
    assert not isinstance(error, TransientRegistryError)
