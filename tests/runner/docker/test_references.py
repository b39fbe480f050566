"""Addresses that repositories are cloned from, names of images, and other small texts."""

import errno

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.state import Reason, State
from runner.docker.error_mapping import classify_text, is_refusal, pull_error
from runner.docker.references import registry_host, split_tag
from runner.errors import MachineError, StepError, as_step_error
from runner.execution.service.readiness import OpenPorts, exposed_ports, open_ports
from runner.images.push import push_error
from runner.source.git.git import GitLogin, git_environment
from runner.source.git.git_words import without_login
from runner.source.git.urls import check_url, split_login


@pytest.mark.parametrize(
    "url",
    [
        "https://example.com/a/b.git",
        "http://127.0.0.1:3000/a",
        "ssh://git@example.com:2222/a",
        "git@example.com:a/b.git",
        "file:///srv/a.git",
        "https://u:p@example.com/a",
        "http://[::1]:3000/a",
    ],
)
def test_an_address_that_git_clones_from_is_taken_as_it_is(url: str) -> None:
    assert check_url(url) == url


def test_a_path_becomes_an_address() -> None:
    assert check_url("/srv/my repo%20.git") == "file:///srv/my%20repo%2520.git"


@pytest.mark.parametrize(
    "url",
    [
        "",
        "-",
        "--upload-pack=touch /tmp/x",
        "-oProxyCommand=x",
        "ext::sh -c touch% /tmp/x",
        "fd::17",
        "relative/path",
        "ssh://-oProxyCommand=touch/x",
        "ssh://-oX@host/x",
        "-oX@host:path",
        "git@-oX:path",
        "git@host:-path",
        "git://host/a",
        "https:///a",
        "http://[::1/a",
        "https://host:99999/a",
        "https://host:port/a",
        "https://host/a\nb",
        "https://host/a\0",
        "git@host:a\nb",
        "javascript:alert(1)",
        "ftp://host/a",
        "file\n:///a",
    ],
)
def test_an_address_that_could_run_a_program_or_is_none_is_refused(url: str) -> None:
    with pytest.raises(StepError) as refused:
        check_url(url)
    assert refused.value.reason is Reason.CLONE_FAILED
    assert "use https://" in str(refused.value)


@given(st.text())
def test_any_text_is_an_address_or_a_sentence(url: str) -> None:
    try:
        taken = check_url(url)
    except StepError:
        return
    assert not taken.startswith("-")
    assert taken.isprintable()


@pytest.mark.parametrize("url", ["gopher://u:pa@ss@host/a", "x://u:pass@host"])
def test_the_sentence_does_not_show_the_password(url: str) -> None:
    with pytest.raises(StepError) as refused:
        check_url(url)
    assert "ss" not in str(refused.value).split(" is not ")[0]


def test_credentials_in_an_address_go_out_of_it() -> None:
    url, login = split_login("https://me%40x:p%2Fw@host:81/a/b?c")
    assert url == "https://host:81/a/b?c"
    assert login == GitLogin("me@x", "p/w")
    assert split_login("https://token@host/a") == ("https://host/a", GitLogin("token", ""))
    assert split_login("ssh://git@host/a") == ("ssh://git@host/a", None)
    assert split_login("https://host/a") == ("https://host/a", None)


def test_a_password_is_taken_out_of_all_addresses_of_a_text() -> None:
    text = "fatal: 'https://u:p@ss@host/a' and http://x@y/ but me@host:path"
    assert without_login(text) == "fatal: 'https://host/a' and http://y/ but me@host:path"


def test_gits_password_is_only_sent_to_its_own_host() -> None:
    login = GitLogin("ada", "pass-word")
    environment = git_environment(local=False, login=login, url="https://host:8443/a/b.git")
    keys = {value for name, value in environment.items() if name.startswith("GIT_CONFIG_KEY_")}
    assert "http.https://host:8443/.extraHeader" in keys
    assert "pass-word" not in repr(login)
    assert environment["GIT_ALLOW_PROTOCOL"] == "https:http:ssh"
    assert (environment["LC_ALL"], environment["LANGUAGE"]) == ("C.UTF-8", ""), "git's messages are read"
    assert git_environment(local=True, login=None, url="")["GIT_ALLOW_PROTOCOL"] == "file"


@pytest.mark.parametrize(
    ("name", "parts", "host"),
    [
        ("busybox", ("busybox", "latest"), "docker.io"),
        ("team/app:1.2", ("team/app", "1.2"), "docker.io"),
        ("host:5000/app", ("host:5000/app", "latest"), "host:5000"),
        ("host:5000/team/app:x", ("host:5000/team/app", "x"), "host:5000"),
        ("ghcr.io/a/b@sha256:00", ("ghcr.io/a/b", "sha256:00"), "ghcr.io"),
        ("ghcr.io/a/b:1@sha256:00", ("ghcr.io/a/b:1", "sha256:00"), "ghcr.io"),
        ("localhost/a", ("localhost/a", "latest"), "localhost"),
    ],
)
def test_a_name_is_read_as_docker_reads_it(name: str, parts: tuple[str, str], host: str) -> None:
    assert split_tag(name) == parts
    assert registry_host(name) == host


@pytest.mark.parametrize(
    ("text", "state", "reason"),
    [
        ("write /x: no space left on device", State.BROKEN, Reason.DISK_FULL),
        ("dial tcp 1.2.3.4:443: connect: connection refused", State.BROKEN, Reason.REGISTRY_UNREACHABLE),
        ("lookup nonesuch.example: no such host", State.BROKEN, Reason.REGISTRY_UNREACHABLE),
        ("could not find an available, non-overlapping IPv4 address pool", State.BROKEN, Reason.INTERNAL),
        ("all predefined address pools have been fully subscribed", State.BROKEN, Reason.INTERNAL),
        ("something new", State.BROKEN, Reason.INTERNAL),
        ('Get "https://r.corp/v2/": x509: certificate has expired', State.BROKEN, Reason.REGISTRY_UNREACHABLE),
    ],
)
def test_what_the_engine_says_has_a_reason(text: str, state: State, reason: Reason) -> None:
    error = classify_text(text)
    assert (error.state, error.reason) == (state, reason)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("manifest for a:1 not found: manifest unknown", Reason.IMAGE_NOT_FOUND),
        ("pull access denied for a, repository does not exist or may require 'docker login'", Reason.IMAGE_NOT_FOUND),
        ("unauthorized: authentication required", Reason.IMAGE_NOT_FOUND),
        ("no basic auth credentials", Reason.IMAGE_NOT_FOUND),
        ("dial tcp: i/o timeout", Reason.REGISTRY_UNREACHABLE),
        ("no space left on device", Reason.DISK_FULL),
    ],
)
def test_a_failed_pull_has_a_reason(text: str, reason: Reason) -> None:
    assert pull_error("host.example/a:1", text, with_login=False).reason is reason


def test_a_refused_push_says_what_to_do() -> None:
    assert "headway registry login host:5000" in str(push_error("host:5000/a:1", "unauthorized", with_login=False))
    assert "check the credentials" in str(push_error("host:5000/a:1", "denied", with_login=True))
    assert push_error("host/a:1", "tag is immutable", with_login=True).reason is Reason.PUSH_REFUSED
    assert is_refusal("UNAUTHORIZED")
    assert not is_refusal("manifest unknown")


def test_an_error_of_the_operating_system_is_the_machines_fault() -> None:
    assert as_step_error(OSError(errno.ENOSPC, "No space left on device")).reason is Reason.DISK_FULL
    assert as_step_error(OSError(errno.EACCES, "Permission denied")).state is State.BROKEN
    error = MachineError(Reason.ENGINE_GONE, "gone")
    assert as_step_error(error) is error


NET_TCP = """\
  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 00000000:1538 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1 1 0000000000000000 100 0 0 10 0
   1: 0100007F:0050 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 2 1 0000000000000000 100 0 0 10 0
   2: 0200A8C0:1F90 0300A8C0:C350 01 00000000:00000000 00:00000000 00000000     0        0 3 1 0000000000000000 20 4 30 10 -1
  sl  local_address                         remote_address                        st tx_queue rx_queue
   0: 00000000000000000000000000000000:18EB 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000
   1: 00000000000000000000000001000000:1A0B 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000
"""  # noqa: E501


def test_a_port_counts_when_it_listens_for_others() -> None:
    assert open_ports(NET_TCP).reachable == {5432, 6379}
    assert open_ports("") == OpenPorts(frozenset(), frozenset())


@pytest.mark.parametrize(
    ("address", "reachable", "inside"),
    [
        ("00000000", {80}, set()),
        ("0100007F", set(), {80}),
        ("3500007F", set(), {80}),
        ("0B00007F", set(), set()),  # the engine's DNS server
        ("00000000000000000000000001000000", set(), {80}),
        ("0000000000000000FFFF00000100007F", set(), {80}),
        ("0000000000000000FFFF00000200A8C0", {80}, set()),
        ("B80D0120000000000000000000000A7F", {80}, set()),
    ],
)
def test_a_port_of_loopback_is_not_reachable(address: str, reachable: set[int], inside: set[int]) -> None:
    table = f"   0: {address}:0050 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1 1 0\n"
    assert open_ports(table) == OpenPorts(frozenset(reachable), frozenset(inside))


def test_exposed_ports_are_the_tcp_ones() -> None:
    assert exposed_ports({"Config": {"ExposedPorts": {"5432/tcp": {}, "80/tcp": {}, "53/udp": {}}}}) == (80, 5432)
    assert exposed_ports({"Config": {}}) == ()
    assert exposed_ports({"Config": None}) == ()


def test_a_certificate_that_is_not_good_is_told_of_with_the_remedy() -> None:
    error = classify_text(
        'Get "https://r.corp:5000/v2/": tls: failed to verify certificate: x509: certificate has expired'
    )
    assert str(error).startswith("the certificate of r.corp:5000 is not valid: ")
    assert str(error).endswith("; renew it, or use a host name that is in it")
