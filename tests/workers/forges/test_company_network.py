"""Forges in a company's network: through its proxy, and with a certificate of its own authority."""

from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest
from sqlalchemy import Engine

from runner.network.egress import server_egress
from tests.support.certificate_authority import CertificateAuthority
from tests.support.forge import FakeForge, forge_server
from tests.support.forward_proxy import ForwardProxy, forward_proxy
from tests.support.reporting import ReportingFixture, reporting_fixture
from workers.forges.http import make_client
from workers.statuses.reporter import Reporter


@pytest.fixture
def company(tmp_path: Path) -> CertificateAuthority:
    return CertificateAuthority(tmp_path)


@pytest.fixture
def forge(company: CertificateAuthority) -> Iterator[FakeForge]:
    with forge_server("gitea", company.context("127.0.0.1", "forge.corp")) as forge:
        yield forge


@pytest.fixture
def proxy() -> Iterator[ForwardProxy]:
    with forward_proxy(names=("forge.corp",), login=True) as proxy:
        yield proxy


@pytest.fixture
def site(database: Engine) -> Iterator[ReportingFixture]:
    with reporting_fixture(database) as site:
        yield site


def problem_of_report(site: ReportingFixture, client: httpx2.Client, url: str) -> str:
    """Reports a run to the forge at ``url``. The problem in doing so, or empty."""
    repo_id = site.add_repo("acme/cellar", url)
    run_id = site.queue(repo_id=repo_id).run_id
    reporter = site.reporter
    with client:
        Reporter(reporter.engine, reporter.vault, client, reporter.settings).report_due()
    return site.problem(run_id)


def test_a_forge_behind_the_proxy_gets_the_status(
    site: ReportingFixture, forge: FakeForge, company: CertificateAuthority, proxy: ForwardProxy
) -> None:
    client = make_client(server_egress({"https_proxy": proxy.url}, company.file, step_proxy=False))
    place = f"forge.corp:{forge.url.rpartition(':')[2]}"
    assert problem_of_report(site, client, f"https://{place}") == ""
    assert proxy.asked == [f"CONNECT {place}"]
    assert forge.asked == 1


def test_without_the_authority_the_page_says_what_to_set(site: ReportingFixture, forge: FakeForge) -> None:
    problem = problem_of_report(site, make_client(server_egress({}, None, step_proxy=False)), forge.url)
    assert "CERTIFICATE_VERIFY_FAILED" in problem
    assert problem.endswith("; if its certificate is from your company's own authority, name that in HEADWAY_CA_FILE")


def test_a_proxy_that_refuses_is_named_without_its_password(site: ReportingFixture, proxy: ForwardProxy) -> None:
    wrong = f"http://me:secret-5c1d@{proxy.host}"
    problem = problem_of_report(
        site, make_client(server_egress({"HTTPS_PROXY": wrong}, None, step_proxy=False)), "https://forge.corp"
    )
    assert proxy.refused == 1
    assert "407" in problem
    assert "secret-5c1d" not in problem


@pytest.mark.parametrize(
    ("direct", "url", "is_direct"),
    [
        ("forge.corp", "https://forge.corp/", True),
        (".corp", "https://git.forge.corp/", True),
        ("*.corp", "https://forge.corp/", True),
        ("corp", "https://forge.corp/", True),
        ("forge.corp", "https://myforge.corp/", False),
        ("10.0.0.0/8", "https://10.1.2.3/", True),
        ("10.0.0.0/8", "https://11.1.2.3/", False),
        ("::1", "https://[::1]/", True),
        ("[fd00::]/8", "https://[fd00::2]/", True),
        ("127.0.0.1", "https://127.0.0.1:1/", True),
        ("*", "https://forge.corp/", True),
        ("", "https://forge.corp/", False),
        ("a:b:c, a b,%%,http://x,forge.corp:8443", "https://forge.corp:8443/", True),
        ("forge.corp:8443", "https://forge.corp/", False),
    ],
)
def test_no_proxy_is_read_as_other_programs_read_it(direct: str, url: str, is_direct: bool) -> None:
    environment = {"HTTPS_PROXY": "http://proxy.corp:1", "NO_PROXY": direct}
    with make_client(server_egress(environment, None, step_proxy=False)) as client:
        assert (client._transport_for_url(httpx2.URL(url)) is client._transport) is is_direct


def test_a_proxy_that_this_client_cannot_use_is_left_out() -> None:
    with make_client(server_egress({"ALL_PROXY": "socks5://proxy.corp:1"}, None, step_proxy=False)) as client:
        assert client._transport_for_url(httpx2.URL("https://forge.corp")) is client._transport
