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
from tests.support.reporting import World, a_world
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
def world(database: Engine) -> Iterator[World]:
    with a_world(database) as world:
        yield world


def told(world: World, client: httpx2.Client, url: str) -> str:
    """Tells the forge at ``url`` of a run that passed; the trouble in doing so, if any."""
    repo_id = world.add_repo("acme/cellar", url)
    run_id = world.queue(repo_id=repo_id).run_id
    reporter = world.reporter
    with client:
        Reporter(reporter.engine, reporter.vault, client, reporter.settings).once()
    return world.trouble(run_id)


def test_a_forge_that_only_the_proxy_reaches_is_told(
    world: World, forge: FakeForge, company: CertificateAuthority, proxy: ForwardProxy
) -> None:
    client = make_client(server_egress({"https_proxy": proxy.url}, company.file, step_proxy=False))
    place = f"forge.corp:{forge.url.rpartition(':')[2]}"
    assert told(world, client, f"https://{place}") == ""
    assert proxy.asked == [f"CONNECT {place}"]
    assert forge.asked == 1


def test_without_the_authority_the_page_says_what_to_set(world: World, forge: FakeForge) -> None:
    trouble = told(world, make_client(server_egress({}, None, step_proxy=False)), forge.url)
    assert "CERTIFICATE_VERIFY_FAILED" in trouble
    assert trouble.endswith("; if its certificate is from your company's own authority, name that in HEADWAY_CA_FILE")


def test_a_proxy_that_refuses_is_told_of_without_its_password(world: World, proxy: ForwardProxy) -> None:
    wrong = f"http://me:secret-5c1d@{proxy.host}"
    trouble = told(
        world, make_client(server_egress({"HTTPS_PROXY": wrong}, None, step_proxy=False)), "https://forge.corp"
    )
    assert proxy.refused == 1
    assert "407" in trouble
    assert "secret-5c1d" not in trouble


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
def test_no_proxy_is_read_as_others_read_it(direct: str, url: str, is_direct: bool) -> None:
    environment = {"HTTPS_PROXY": "http://proxy.corp:1", "NO_PROXY": direct}
    with make_client(server_egress(environment, None, step_proxy=False)) as client:
        assert (client._transport_for_url(httpx2.URL(url)) is client._transport) is is_direct


def test_a_proxy_that_this_client_cannot_use_is_left_out() -> None:
    with make_client(server_egress({"ALL_PROXY": "socks5://proxy.corp:1"}, None, step_proxy=False)) as client:
        assert client._transport_for_url(httpx2.URL("https://forge.corp")) is client._transport
