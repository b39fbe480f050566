"""Proxies and a company's authority: how they are read, and what of them is handed on."""

import json
import ssl
from pathlib import Path

import pytest

from runner.docker.containers.folders import Folder
from runner.network.ca_certificates import CaCertificates, custom_certificates, read_ca_certificates
from runner.network.egress import EgressSettings, JobEgress, local_egress, server_egress
from runner.network.proxies import Proxies, docker_proxies, proxies_of
from tests.support.certificate_authority import CertificateAuthority

PROXY = "http://proxy.corp:3128"
WITH_LOGIN = "http://me:p%40ss@proxy.corp:3128"
BUNDLE, OWN = "/etc/headway/ca-bundle.pem", "/etc/headway/ca.pem"


@pytest.fixture
def company(tmp_path: Path) -> CertificateAuthority:
    return CertificateAuthority(tmp_path)


def test_both_spellings_are_read_and_both_are_handed_on() -> None:
    found = proxies_of({"HTTP_PROXY": PROXY, "https_proxy": "proxy.corp:3129", "No_Proxy": "x", "NO_PROXY": " a, ,.b "})
    assert found == Proxies({"HTTP_PROXY": PROXY, "HTTPS_PROXY": "http://proxy.corp:3129"}, ("a", ".b"))
    named = {"HTTP_PROXY": PROXY, "HTTPS_PROXY": "http://proxy.corp:3129", "NO_PROXY": "a,.b"}
    assert found.variables() == named | {name.lower(): value for name, value in named.items()}


def test_the_small_spelling_counts_and_an_empty_one_is_none() -> None:
    assert proxies_of({"HTTP_PROXY": "http://b:1", "http_proxy": "http://a:1"}).urls == {"HTTP_PROXY": "http://a:1"}
    assert proxies_of({"HTTP_PROXY": "http://b:1", "http_proxy": ""}).urls == {"HTTP_PROXY": "http://b:1"}
    assert proxies_of({"HTTP_PROXY": " ", "NO_PROXY": "a"}).variables() == {}


@pytest.mark.parametrize(
    "url", ["http://", "ftp://a:1", "http://secret@:3", "http://a:secret", "http://a b", "http://a:0"]
)
def test_what_is_no_proxy_is_named_and_not_shown(url: str) -> None:
    with pytest.raises(ValueError, match="HTTPS_PROXY is not the URL of a proxy; write it as") as refused:
        proxies_of({"HTTPS_PROXY": url})
    assert "secret" not in str(refused.value)


def test_passwords_are_known_as_they_are_written_and_as_they_are() -> None:
    assert Proxies({"A": WITH_LOGIN}).secrets() == {"p%40ss", "p@ss"}
    assert Proxies({"A": "http://token@p:1", "B": "me:x@p:1", "C": "http://p:1"}).secrets() == {"token", "x"}
    shown = repr(EgressSettings(Proxies({"A": WITH_LOGIN})))
    assert all(secret not in shown for secret in ("p%40ss", "p@ss"))


def test_a_stranger_gets_the_proxies_without_their_passwords() -> None:
    named = Proxies({"HTTP_PROXY": WITH_LOGIN, "HTTPS_PROXY": "me:x@proxy.corp:1", "ALL_PROXY": PROXY})
    bare = EgressSettings(named, named, named).without_logins()
    assert bare.own == named
    assert bare.builds == bare.steps
    assert dict(bare.steps.urls) == {"HTTP_PROXY": PROXY, "HTTPS_PROXY": "proxy.corp:1", "ALL_PROXY": PROXY}


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.1.2.3", "[::1]"])
def test_a_proxy_on_this_machines_loopback_is_none_for_containers(host: str) -> None:
    network = server_egress({"HTTP_PROXY": f"http://{host}:1", "HTTPS_PROXY": PROXY}, None, step_proxy=True)
    assert set(network.own.urls) == {"HTTP_PROXY", "HTTPS_PROXY"}
    assert network.builds.urls == network.steps.urls == {"HTTPS_PROXY": PROXY}


def test_steps_get_proxies_only_where_the_setting_says_so() -> None:
    network = server_egress({"HTTP_PROXY": PROXY}, None, step_proxy=False)
    assert JobEgress(network).container_environment({"A": "1"}) == {"A": "1"}
    assert JobEgress(network).docker_config() == {"proxies": {"default": {"httpProxy": PROXY}}}


def test_the_jobs_own_services_are_asked_directly() -> None:
    network = server_egress({"HTTP_PROXY": PROXY, "NO_PROXY": ".corp"}, None, step_proxy=True)
    found = JobEgress(network, names=("db", "two words", "a,b")).container_environment({})
    assert found["HTTP_PROXY"] == found["http_proxy"] == PROXY
    assert found["NO_PROXY"] == found["no_proxy"] == ".corp,localhost,127.0.0.1,::1,db"


def test_no_proxy_for_every_host_stays_so() -> None:
    network = server_egress({"HTTP_PROXY": PROXY, "NO_PROXY": "a,*"}, None, step_proxy=True)
    assert JobEgress(network, names=("db",)).container_environment({})["NO_PROXY"] == "*"


def test_what_the_pipeline_says_counts_in_either_spelling() -> None:
    network = server_egress({"HTTP_PROXY": PROXY, "HTTPS_PROXY": PROXY}, None, step_proxy=True)
    found = JobEgress(network).container_environment({"http_proxy": "", "NO_PROXY": "x", "A": "1"})
    assert found == {"http_proxy": "", "NO_PROXY": "x", "A": "1", "HTTPS_PROXY": PROXY, "https_proxy": PROXY}


def test_steps_trust_the_authority_and_all_that_the_system_trusts(
    company: CertificateAuthority, tmp_path: Path
) -> None:
    network = JobEgress(server_egress({}, company.file, step_proxy=False), tmp_path / "ca")
    network.prepare()
    found = network.container_environment({"PIP_CERT": "/mine"})
    assert found["PIP_CERT"] == "/mine"
    assert {found[name] for name in ("SSL_CERT_FILE", "CURL_CA_BUNDLE", "GIT_SSL_CAINFO", "REQUESTS_CA_BUNDLE")} == {
        BUNDLE
    }
    assert found["NODE_EXTRA_CA_CERTS"] == OWN
    assert network.folders == (Folder(tmp_path / "ca", "/etc/headway", read_only=True),)
    assert [len(custom_certificates(tmp_path / "ca" / name)) for name in ("ca.pem", "ca-bundle.pem")] > [1, 1]
    assert {path.stat().st_mode & 0o777 for path in (tmp_path / "ca").iterdir()} == {0o644}


def test_without_an_authority_nothing_is_mounted_and_nothing_is_written(tmp_path: Path) -> None:
    network = JobEgress(server_egress({}, None, step_proxy=True), tmp_path / "ca")
    network.prepare()
    assert (network.folders, network.build_secrets(), network.client_environment()) == ((), {}, {})
    assert not (tmp_path / "ca").exists()


def test_a_certificate_that_the_system_trusts_already_is_there_once(
    company: CertificateAuthority, tmp_path: Path
) -> None:
    system = tmp_path / "system.pem"
    system.write_text("# a comment\n" + company.file.read_text())
    twice = company.file.read_text() * 2
    company.file.write_text(twice)
    authority = read_ca_certificates(company.file, {"SSL_CERT_FILE": str(system)})
    assert authority.own == authority.bundle
    assert twice == authority.own * 2


def test_a_key_that_was_left_in_the_file_goes_nowhere(company: CertificateAuthority) -> None:
    _, key = company.issue("git.corp")
    company.file.write_text(key.read_text() + company.file.read_text())
    authority = read_ca_certificates(company.file, {})
    assert "PRIVATE" not in authority.own + authority.bundle


@pytest.mark.slow
def test_an_authority_that_builds_cannot_be_given_is_refused(company: CertificateAuthority, tmp_path: Path) -> None:
    company.file.write_text("".join(_another(tmp_path) for _ in range(900)))
    with pytest.raises(ValueError, match="more than the limit of 512,000 for builds; keep only your private CA"):
        read_ca_certificates(company.file, {})


def _another(folder: Path) -> str:
    return CertificateAuthority(folder).file.read_text()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is empty"),
        (b"hello", "contains no PEM certificate"),
        (b"-----BEGIN CERTIFICATE-----\naGVsbG8=\n-----END CERTIFICATE-----\n", "contains no PEM certificate"),
        (bytes(range(256)), "openssl x509 -inform der"),
    ],
)
def test_what_is_no_authority_is_said(tmp_path: Path, content: bytes, said: str) -> None:
    file = tmp_path / "ca.pem"
    file.write_bytes(content)
    with pytest.raises(ValueError, match=said):
        custom_certificates(file)
    with pytest.raises(ValueError, match=f"^HEADWAY_CA_FILE: the file {file} "):
        local_egress({"HEADWAY_CA_FILE": str(file)}, tmp_path / "none", "")


def test_a_file_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"none cannot be read: No such file or directory"):
        custom_certificates(tmp_path / "none")
    with pytest.raises(ValueError, match=r"cannot be read: Is a directory"):
        custom_certificates(tmp_path)


def test_a_client_trusts_the_bundle(company: CertificateAuthority) -> None:
    context = CaCertificates(company.file.read_text(), company.file.read_text()).tls_context()
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert ["The Company's CA" in str(each["subject"]) for each in context.get_ca_certs()] == [True]


HERE = "unix:///var/run/docker.sock"


def docker_config(folder: Path, proxies: object) -> Path:
    path = folder / "config.json"
    path.write_text(json.dumps({"proxies": proxies}))
    return path


def test_on_a_laptop_dockers_own_configuration_says_what_containers_get(tmp_path: Path) -> None:
    config = docker_config(tmp_path, {"default": {"httpProxy": PROXY, "noProxy": ".corp", "allProxy": "socks5://s:1"}})
    network = local_egress({"HTTPS_PROXY": "http://other:1"}, config, HERE)
    assert network.own.urls == {"HTTPS_PROXY": "http://other:1"}
    assert network.builds == network.steps
    assert network.steps == Proxies({"HTTP_PROXY": PROXY, "ALL_PROXY": "socks5://s:1"}, (".corp",))
    assert network.builds.docker_entry() == {"httpProxy": PROXY, "noProxy": ".corp", "allProxy": "socks5://s:1"}


def test_an_engines_own_entry_counts_before_the_default(tmp_path: Path) -> None:
    entries = {"default": {"httpProxy": "http://a"}, HERE: {"httpsProxy": "http://b"}}
    config = docker_config(tmp_path, entries)
    assert docker_proxies(config, HERE).urls == {"HTTPS_PROXY": "http://b"}
    assert docker_proxies(config, "tcp://other:2375").urls == {"HTTP_PROXY": "http://a"}


@pytest.mark.parametrize("proxies", [None, [], {}, {"default": None}, {"default": []}, {"default": {"httpProxy": ""}}])
def test_a_docker_configuration_without_proxies_leaves_the_environment(tmp_path: Path, proxies: object) -> None:
    config = docker_config(tmp_path, proxies)
    network = local_egress({"HTTP_PROXY": PROXY, "HEADWAY_STEP_PROXY": "true"}, config, HERE)
    assert network.builds.urls == network.steps.urls == {"HTTP_PROXY": PROXY}
    assert local_egress({"HTTP_PROXY": PROXY}, tmp_path / "none", HERE).steps.urls == {}
