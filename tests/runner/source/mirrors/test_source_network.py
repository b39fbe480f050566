"""Git in a company's network: through its proxy, and from a server with a certificate of its own authority."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from pipelines.plan import Checkout
from pipelines.state import Reason
from runner.errors import MachineError
from runner.network.egress import server_egress
from runner.source.mirrors.mirror import Mirror
from tests.support.certificate_authority import CertificateAuthority
from tests.support.forward_proxy import PASSWORD, QUOTED, ForwardProxy, forward_proxy
from tests.support.git_server import GitServer, git_server
from tests.support.repos import Repo


@pytest.fixture
def company(tmp_path: Path) -> CertificateAuthority:
    return CertificateAuthority(tmp_path)


@pytest.fixture
def server(repo: Repo, company: CertificateAuthority) -> Iterator[GitServer]:
    with git_server(repo.path.parent, tls=company.context("git.corp", "127.0.0.1")) as server:
        yield server


@pytest.fixture
def proxy() -> Iterator[ForwardProxy]:
    with forward_proxy(names=("git.corp",), login=True) as proxy:
        yield proxy


def mirror_of(folder: Path, url: str, ca_file: Path | None = None, **environment: str) -> Mirror:
    network = server_egress(environment, ca_file, step_proxy=False)
    if network.ca:
        network.ca.write(folder / "ca")
    return Mirror(folder / "mirrors", url, egress=network.git_environment(folder / "ca"))


@pytest.mark.slow
def test_a_server_with_a_certificate_of_the_company_is_trusted(
    repo: Repo, server: GitServer, company: CertificateAuthority, tmp_path: Path
) -> None:
    sha = repo.commit({"a": "1"})
    mirror_of(tmp_path, f"{server.url}/remote.git", company.file).fetch(sha)


def test_without_the_authority_the_sentence_says_what_to_set(repo: Repo, server: GitServer, tmp_path: Path) -> None:
    sha = repo.commit({"a": "1"})
    with pytest.raises(MachineError, match="if a private CA signed its certificate, set HEADWAY_CA_FILE") as refused:
        mirror_of(tmp_path, f"{server.url}/remote.git").fetch(sha)
    assert refused.value.reason is Reason.CLONE_FAILED


@pytest.mark.slow
def test_a_server_that_only_the_proxy_reaches_is_reached_over_tls(
    repo: Repo, server: GitServer, company: CertificateAuthority, proxy: ForwardProxy, tmp_path: Path
) -> None:
    sha = repo.commit({"a": "1"})
    place = f"git.corp:{server.server_address[1]}"
    mirror_of(tmp_path, f"https://{place}/remote.git", company.file, HTTPS_PROXY=proxy.url).fetch(sha)
    assert f"CONNECT {place}" in proxy.asked


@pytest.mark.parametrize("variable", ["HTTP_PROXY", "http_proxy", "ALL_PROXY"])
def test_any_spelling_reaches_git_without_tls(repo: Repo, proxy: ForwardProxy, tmp_path: Path, variable: str) -> None:
    sha = repo.commit({"a": "1"})
    with git_server(repo.path.parent) as plain:
        url = f"http://git.corp:{plain.server_address[1]}/remote.git"
        mirror_of(tmp_path, url, None, **{variable: proxy.url}).fetch(sha)
    assert any(asked.startswith(f"GET {url}/info/refs") for asked in proxy.asked)


def test_no_proxy_is_heeded(repo: Repo, proxy: ForwardProxy, tmp_path: Path) -> None:
    sha = repo.commit({"a": "1"})
    with git_server(repo.path.parent) as plain:
        mirror_of(tmp_path, f"{plain.url}/remote.git", HTTP_PROXY=proxy.url, NO_PROXY="127.0.0.1").fetch(sha)
    assert proxy.asked == []


@pytest.mark.slow
def test_a_submodule_comes_through_the_proxy_too(repo: Repo, proxy: ForwardProxy, tmp_path: Path) -> None:
    other = Repo(tmp_path / "other.git").commit({"inner": "1"})
    modules = '[submodule "sub"]\n\tpath = sub\n\turl = ../other.git\n'
    sha = repo.commit({".gitmodules": modules, "sub+": other})
    with git_server(tmp_path) as plain:
        url = f"http://git.corp:{plain.server_address[1]}"
        mirror = mirror_of(tmp_path, f"{url}/remote.git", HTTP_PROXY=proxy.url)
        mirror.fetch(sha)
        mirror.checkout(sha, tmp_path / "checkout", Checkout(submodules=True))
    assert (tmp_path / "checkout/sub/inner").read_text() == "1"
    assert any(asked.startswith(f"GET {url}/other.git/") for asked in proxy.asked)
    words = [path.read_bytes() for path in (tmp_path / "checkout").rglob("*") if path.is_file()]
    assert not any(QUOTED.encode() in word for word in words)


def test_a_proxy_that_refuses_is_told_of_without_the_password(repo: Repo, proxy: ForwardProxy, tmp_path: Path) -> None:
    sha = repo.commit({"a": "1"})
    wrong = proxy.url.replace(QUOTED, "wrong-5c1d")
    with pytest.raises(MachineError, match="the proxy requires a login") as refused:
        mirror_of(tmp_path, "https://git.corp/remote.git", HTTPS_PROXY=wrong).fetch(sha)
    assert proxy.refused
    assert not any(word in str(refused.value) for word in ("wrong-5c1d", QUOTED, PASSWORD))


def test_a_proxy_that_is_not_there_is_told_of_without_the_password(repo: Repo, tmp_path: Path) -> None:
    sha = repo.commit({"a": "1"})
    gone = "http://me:secret-5c1d@127.0.0.1:1"
    with pytest.raises(MachineError, match="cannot fetch from https://") as refused:
        mirror_of(tmp_path, "https://git.corp/remote.git", HTTPS_PROXY=gone).fetch(sha)
    assert "secret-5c1d" not in str(refused.value)
