"""What git's failures mean: each message that people meet, from real git where that can be had without a network."""

import shutil
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipelines.state import Reason
from runner.errors import MachineError
from runner.source.git.git import GitLogin
from runner.source.git.git_failures import Access, explain, is_temporary
from runner.source.git.http_trace import HttpAnswer, answers_in
from runner.source.git.server import TransientGitError
from runner.source.mirrors.mirror import Mirror
from tests.support.certificate_authority import CertificateAuthority
from tests.support.git_server import CUT, DROP, PASSWORD, RESET, USER, git_server
from tests.support.repos import Repo
from tests.support.services import eventually, free_port

LOGIN = GitLogin(USER, PASSWORD)
WRONG = GitLogin(USER, "wrong-5c1d")
SET_LOGIN = "`headway repo login team/app --username ACCOUNT`"
SET_URL = "`headway repo url team/app ADDRESS` changes its address"


def mirror_of(folder: Path, url: str, login: GitLogin | None = None, **egress: str) -> Mirror:
    return Mirror(folder / "mirrors", url, login, egress=egress, name="team/app")


def refusal(mirror: Mirror, sha: str = "1" * 40) -> MachineError:
    with pytest.raises(MachineError) as refused:
        mirror.fetch(sha)
    return refused.value


def read(text: str, after: str) -> str:
    """What a sentence says behind its beginning."""
    assert text.startswith(after)
    return text.removeprefix(after).lstrip(": ")


AWAY = [
    ((500, {}), "127.0.0.1 has a fault of its own: status 500"),
    ((502, {}), "127.0.0.1 has a fault of its own: status 502"),
    ((503, {"Retry-After": "7"}), "127.0.0.1 has a fault of its own: status 503"),
    ((408, {}), "127.0.0.1 has a fault of its own: status 408"),
    ((429, {"Retry-After": "7"}), "127.0.0.1 asks to wait (its rate limit is reached): status 429"),
    ((403, {"Retry-After": "7"}), "127.0.0.1 asks to wait (its rate limit is reached): status 403"),
    (DROP, "127.0.0.1 ended the connection"),
    (RESET, "127.0.0.1 ended the connection"),
    (CUT, "127.0.0.1 ended the connection in the middle"),
]


@pytest.mark.parametrize(("answer", "said"), AWAY, ids=lambda each: str(each)[:30])
@pytest.mark.parametrize("after", [0, 1], ids=["at once", "in the fetch"])
def test_trouble_that_may_pass_is_told_from_a_no(
    repo: Repo, tmp_path: Path, answer: str | tuple[int, dict[str, str]], said: str, after: int
) -> None:
    sha = repo.commit({"a": "1"})
    with git_server(tmp_path) as server:
        url = f"{server.url}/remote.git"
        mirror = mirror_of(tmp_path, url)
        server.instead, server.pass_first = [answer] * 9, after
        away = refusal(mirror, sha)
        assert isinstance(away, TransientGitError)
        assert read(str(away), f"cannot fetch from {url}").startswith(said.partition(" in the middle")[0])
        assert away.pause_s == (7 if isinstance(answer, tuple) and answer[1] else 0)
        server.instead.clear()
        mirror.fetch(sha)
    assert mirror.has(sha)


NO = [
    (401, None, f"it needs a login, or does not exist; {SET_LOGIN} sets its login, {SET_URL}"),
    (
        401,
        WRONG,
        f"the forge does not accept the login of 'robot': it is wrong or has expired; {SET_LOGIN} sets another",
    ),
    (
        403,
        WRONG,
        "the forge does not let the account 'robot' read it (status 403); give the account the right to, or: ",
    ),
    (
        404,
        None,
        f"there is no such repository: it was removed or renamed, or it is private and needs a login; {SET_LOGIN} sets",
    ),
    (404, WRONG, "there is no such repository: it was removed or renamed, or the account 'robot' may not see it; "),
    (410, None, "there is no such repository: it was removed or renamed, "),
    (400, None, "the server refuses: status 400; "),
    (302, None, "the server sends to another place (/users/sign_in); "),
    (407, None, "the proxy requires a login: add it to HTTPS_PROXY and HTTP_PROXY "),
]


@pytest.mark.parametrize(("status", "login", "said"), NO, ids=lambda each: str(each)[:20])
def test_a_no_says_what_and_which_command_mends_it(
    tmp_path: Path, status: int, login: GitLogin | None, said: str
) -> None:
    headers = {"WWW-Authenticate": 'Basic realm="git"', "Location": "/users/sign_in"}
    with git_server(tmp_path) as server:
        server.instead = [(status, headers)] * 9
        url = f"{server.url}/remote.git"
        no = refusal(mirror_of(tmp_path, url, login))
    assert not isinstance(no, TransientGitError)
    assert read(str(no), f"cannot fetch from {url}").startswith(said)
    assert no.reason is Reason.CLONE_FAILED
    assert no.detail.splitlines()[-1].startswith("fatal: ")
    assert status in {401, 407, 302} or "remote: the forge's own words" in no.detail
    assert not any(word in no.detail for word in ("wrong-5c1d", str(tmp_path), "/bin/false", "askpass"))


def test_a_login_that_the_forge_sends_back_is_not_in_the_words(tmp_path: Path) -> None:
    with git_server(tmp_path) as server:
        server.instead = [(403, {"Content-Type": "text/plain"})] * 9
        server.words = f"no {WRONG.password} here, nor https://me:secret-1@host/x"
        no = refusal(mirror_of(tmp_path, f"{server.url}/remote.git", WRONG))
    assert "remote: no *** here, nor https://host/x" in no.detail


def test_a_server_that_is_not_there_may_come_back(tmp_path: Path) -> None:
    port = free_port()
    away = refusal(mirror_of(tmp_path, f"http://127.0.0.1:{port}/a.git"))
    assert isinstance(away, TransientGitError)
    assert (
        str(away) == f"cannot fetch from http://127.0.0.1:{port}/a.git: 127.0.0.1 accepts no connection at port {port}"
    )


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("https://{plain}/a.git", "127.0.0.1 does not speak TLS at this port"),
        ("file://{folder}/none.git", "there is no such repository: it was removed or renamed"),
    ],
)
def test_addresses_that_are_wrong(tmp_path: Path, url: str, said: str) -> None:
    with git_server(tmp_path) as server:
        place = url.format(plain=server.url.removeprefix("http://"), folder=tmp_path)
        no = refusal(mirror_of(tmp_path, place))
    assert not isinstance(no, TransientGitError)
    assert read(str(no), f"cannot fetch from {place}").startswith(said)


def test_a_certificate_that_is_for_another_name(tmp_path: Path) -> None:
    company = CertificateAuthority(tmp_path)
    with git_server(tmp_path, tls=company.context("git.corp")) as server:
        no = refusal(mirror_of(tmp_path, f"{server.url}/a.git", None, GIT_SSL_CAINFO=str(company.file)))
    assert "the certificate of 127.0.0.1 is for another host name" in str(no)


@pytest.mark.skipif(shutil.which("ssh") is None, reason="ssh is not installed")
def test_ssh_to_a_closed_port_may_succeed_later(tmp_path: Path) -> None:
    port = free_port()
    away = refusal(mirror_of(tmp_path, f"ssh://git@127.0.0.1:{port}/a.git"))
    assert isinstance(away, TransientGitError)
    assert str(away).endswith(f"127.0.0.1 accepts no connection at port {port}")


@pytest.fixture
def ssh_server(tmp_path: Path) -> Iterator[int]:
    """The port of an SSH server whose host key is not known."""
    program = shutil.which("sshd", path="/usr/sbin:/usr/bin")
    if program is None:
        pytest.skip("sshd is not installed")
    key, port = tmp_path / "host_key", free_port()
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True)
    Path("/run/sshd").mkdir(exist_ok=True)  # it does not start without
    options = ["-f", "/dev/null", "-h", str(key), "-p", str(port), "-o", "ListenAddress=127.0.0.1"]
    server = subprocess.Popen([program, "-D", *options])
    try:
        eventually(lambda: is_open(port))
        yield port
    finally:
        server.terminate()
        server.wait()


def is_open(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def test_an_ssh_server_that_is_not_known_is_a_no(tmp_path: Path, ssh_server: int) -> None:
    no = refusal(mirror_of(tmp_path, f"ssh://git@127.0.0.1:{ssh_server}/a.git"))
    assert not isinstance(no, TransientGitError)
    assert "the host key of 127.0.0.1 is not known to the worker; once you trust it, add it to" in str(no)
    assert f"ssh-keyscan -p {ssh_server} 127.0.0.1 >> ~/.ssh/known_hosts" in str(no)


TEXTS = {
    "ssh: connect to host git.corp port 22: Connection timed out": (True, "does not answer in time"),
    "ssh: Could not resolve hostname git.corp: Temporary failure in name resolution": (True, "cannot be looked up"),
    "ssh: Could not resolve hostname git.corp: Name or service not known": (False, "there is no host git.corp; "),
    "ssh: connect to host git.corp port 22: No route to host": (True, "no network leads to git.corp"),
    "kex_exchange_identification: Connection closed by remote host": (True, "ended the connection"),
    "Connection to git.corp closed by remote host.\nfatal: early EOF": (True, "ended the connection"),
    "client_loop: send disconnect: Broken pipe\nfatal: the remote end hung up unexpectedly": (True, "ended the conn"),
    "remote: GitLab: Internal API unreachable\nfatal: the remote end hung up unexpectedly": (
        True,
        "a fault of its own",
    ),
    "Host key verification failed.": (False, "ssh-keyscan git.corp >> ~/.ssh/known_hosts"),
    "@ WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED! @\nHost key verification failed.": (
        False,
        "ssh-keygen -R git.c",
    ),
    "git@git.corp: Permission denied (publickey).": (False, "the forge accepts no SSH key of the worker; "),
    "error: cannot run ssh: No such file or directory": (False, "install openssh-client"),
    "ERROR: Repository not found.": (False, "there is no such repository"),
    "remote: ERROR: The project you were looking for could not be found or you don't": (False, "no such repository"),
    "fatal: unable to access 'x': Recv failure: Connection reset by peer": (True, "ended the connection"),
    "fatal: unable to access 'x': gnutls_handshake() failed: The TLS connection was non-properly terminated.": (
        True,
        "ended the connection",
    ),
    "fatal: unable to access 'x': OpenSSL SSL_connect: SSL_ERROR_SYSCALL in connection to git.corp:443": (
        True,
        "ended",
    ),
    "fatal: unable to access 'x': OpenSSL SSL_read: error:0A000126:SSL routines::unexpected eof while reading": (
        True,
        "ended the connection",
    ),
    "fatal: unable to access 'x': Operation timed out after 300000 milliseconds with 0 out of 0 bytes": (
        True,
        "in time",
    ),
    "fatal: unable to access 'x': Operation too slow. Less than 1000 bytes/sec": (True, "does not answer in time"),
    "error: RPC failed; curl 92 HTTP/2 stream 5 was not closed cleanly: INTERNAL_ERROR\nfatal: early EOF": (
        True,
        "ended",
    ),
    "error: RPC failed; curl 18 transfer closed with outstanding read data remaining": (True, "ended the connection"),
    "fetch-pack: unexpected disconnect while reading sideband packet\nfatal: early EOF\nfatal: fetch-pack: invalid": (
        True,
        "in the middle",
    ),
    "error: RPC failed; HTTP 504 curl 22 The requested URL returned error: 504": (True, "status 504"),
    "error: RPC failed; HTTP 413 curl 22 The requested URL returned error: 413": (False, "status 413"),
    "fatal: unable to access 'x': CONNECT tunnel failed, response 502": (
        True,
        "the proxy has a fault of its own: stat",
    ),
    "fatal: unable to access 'x': Received HTTP code 407 from proxy after CONNECT": (
        False,
        "the proxy requires a login",
    ),
    "fatal: unable to access 'x': SSL certificate problem: certificate has expired": (False, "has expired"),
    "fatal: unable to access 'x': SSL certificate problem: self-signed certificate": (False, "set HEADWAY_CA_FILE"),
    "fatal: unable to access 'x': server certificate verification failed. CAfile: none": (False, "set HEADWAY_CA_FILE"),
    "fatal: unable to access 'x': SSL: no alternative certificate subject name matches target host name": (
        False,
        "for another host name",
    ),
    "fatal: https://git.corp/a.git/info/refs not valid: is this a git repository?": (False, "no git repository, but"),
    "fatal: transport 'ftp' not allowed": (False, "does not fetch over 'ftp'"),
    "fatal: detected dubious ownership in repository at '/srv/a.git'": (False, "chown"),
    "fatal: fsck error in packed object\nfatal: the remote end hung up": (False, "refuses an object"),
    'Timeout: the command "git fetch" did not complete in 1800 secs.': (False, "half an hour"),
    "fatal: something that is in no table": (False, "fatal: something that is in no table"),
    "": (False, "git gave no reason"),
}


@pytest.mark.parametrize(("words", "away", "said"), [(words, *known) for words, known in TEXTS.items()])
def test_messages_that_need_another_network_or_another_build_of_git(words: str, away: bool, said: str) -> None:
    access = Access("https://git.corp/a.git", "", "team/app", "", lambda _: False)
    found = explain(words, [], access)
    assert (found.transient, said in found.sentence) == (away, True), found.sentence
    assert "\n" not in found.sentence


@pytest.mark.parametrize("what", ["host", "proxy"])
def test_a_name_that_cannot_be_looked_up_is_tried_again_only_if_it_may_exist(what: str) -> None:
    access = Access("https://git.corp/a.git", "", "team/app", "", lambda _: False)
    words = f"fatal: unable to access 'https://git.corp/a.git/': Could not resolve {what}: git.corp"
    assert explain(words, [], access, lambda host: host == "git.corp").transient
    no = explain(words, [], access, lambda _host: False)
    assert not no.transient
    assert "there is no host git.corp; " in no.sentence
    assert ("HTTPS_PROXY" in no.sentence) is (what == "proxy")


def test_a_host_of_this_machine_is_known_and_a_name_that_is_none_is_not() -> None:
    assert is_temporary("localhost")
    assert not is_temporary("a" * 70 + ".invalid")


def test_the_trace_has_the_answers_and_not_what_was_sent() -> None:
    text = """
10:00:00.1 http.c:684              => Send header: GET /a/info/refs HTTP/1.1
10:00:00.1 http.c:684              <= Recv header: HTTP/1.1 100 Continue
10:00:00.1 http.c:684              <= Recv header: HTTP/1.1 503 Busy
10:00:00.1 http.c:684              <= Recv header: Retry-After: 30
10:00:00.1 http.c:684              <= Recv header:
10:00:00.1 http.c:684              <= Recv header: HTTP/2 429
10:00:00.1 trace git-lfs: HTTP: 404
"""
    assert answers_in(text) == [HttpAnswer(503, {"retry-after": "30"}), HttpAnswer(429, {}), HttpAnswer(404, {})]
