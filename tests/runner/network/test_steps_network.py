"""Steps, services and builds in a company's network: what they get of its proxy and of its authority."""

import re
import threading
from collections.abc import Iterator
from dataclasses import replace
from fcntl import LOCK_SH
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from pipelines.state import Reason, State
from pipelines.step_options.ready import HttpCheck
from runner.docker.client import Engine
from runner.events import Event, ImageBuilt
from runner.network.egress import EgressSettings, server_egress
from tests.support.certificate_authority import CertificateAuthority
from tests.support.engine import JobRunner, image_history
from tests.support.forward_proxy import PASSWORD, QUOTED, ForwardProxy, forward_proxy, gateway_of
from tests.support.host_rules import OPEN_TO_BUILDS, lock, set_rules
from tests.support.paths import DOCS
from tests.support.plans import build, container, plugin, push, secrets_hex, service, shell
from tests.support.registry import Registry, running_registry

pytestmark = pytest.mark.engine
PYTHON = "python:3.13-slim"


@pytest.fixture
def gateway(engine: Engine) -> Iterator[str]:
    with lock(LOCK_SH):
        set_rules(engine, OPEN_TO_BUILDS)  # a worker on this machine may have closed the host to builds
        yield gateway_of(engine)


class _Greeter(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "6")
        self.end_headers()
        self.wfile.write(b"hello\n")

    def log_message(self, *_: object) -> None:
        """Says nothing."""


@pytest.fixture
def company(tmp_path: Path) -> CertificateAuthority:
    return CertificateAuthority(tmp_path)


@pytest.fixture
def site(company: CertificateAuthority) -> Iterator[int]:
    """The port of a server called site.corp, whose certificate is the company's."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Greeter)
    server.socket = company.context("site.corp").wrap_socket(server.socket, server_side=True)
    server.handle_error = lambda *_: None  # type: ignore[method-assign]  # who does not trust us hangs up
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server.server_port
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def proxy(gateway: str) -> Iterator[ForwardProxy]:
    with forward_proxy(gateway, names=("site.corp",), login=True) as proxy:
        yield proxy


@pytest.fixture
def network(proxy: ForwardProxy, company: CertificateAuthority) -> EgressSettings:
    return server_egress(proxy.environment, company.file, step_proxy=True)


def test_a_step_reaches_a_server_of_the_company_through_its_proxy(
    ran: JobRunner, network: EgressSettings, proxy: ForwardProxy, site: int
) -> None:
    fetch = f"python3 -c \"import urllib.request as u; print(u.urlopen('https://site.corp:{site}/').read())\""
    done = ran(
        shell(f"curl -sS https://site.corp:{site}/", fetch, box=container(PYTHON)),
        plugin(container(PYTHON, entrypoint=("curl", "-sS", f"https://site.corp:{site}/"))),
        egress=network,
    )
    assert done.said(1) == ["hello", "b'hello\\n'"]
    assert done.said(2) == ["hello"]
    assert proxy.asked.count(f"CONNECT site.corp:{site}") == 3


def test_the_password_is_in_no_log(ran: JobRunner, network: EgressSettings) -> None:
    done = ran(
        shell("env | grep -i proxy", "echo $HTTPS_PROXY | cut -d: -f3 | sed s/%2F/@/ | tr @ /"),
        egress=network,
    )
    assert done.outcome.state is State.PASSED
    assert QUOTED not in done.everything()
    assert PASSWORD not in done.everything()
    assert "HTTP_PROXY=http://employee:********@" in done.log().decode()


def test_the_jobs_own_containers_are_reached_directly(
    ran: JobRunner, network: EgressSettings, proxy: ForwardProxy
) -> None:
    serve = "python3 -m http.server"
    check = HttpCheck(url="http://:8000/")
    done = ran(
        shell(f"{serve} 8001", box=container(PYTHON), name="beside", detach=True),
        shell(
            "curl -sSo /dev/null http://web:8000/ && echo web", "sleep 2",
            "curl -sSo /dev/null http://beside:8001/ && echo beside", box=container(PYTHON), needs=(),
        ),
        services=[service("web", f"{serve} 8000", box=container(PYTHON, directory="/tmp"), ready=check)],
        egress=network,
    )  # fmt: skip
    assert done.said(2) == ["web", "beside"]
    assert proxy.asked == []


def test_what_the_step_says_itself_counts(ran: JobRunner, network: EgressSettings) -> None:
    box = container(environment={"https_proxy": "http://mine:1", "SSL_CERT_FILE": "/mine.pem"})
    done = ran(shell('echo "$https_proxy $HTTPS_PROXY- $SSL_CERT_FILE $PIP_CERT"', box=box), egress=network)
    assert done.said() == ["http://mine:1 - /mine.pem /etc/headway/ca-bundle.pem"]


def test_the_authority_can_be_read_by_all_and_written_by_none(
    ran: JobRunner, network: EgressSettings, company: CertificateAuthority
) -> None:
    count = "grep -c BEGIN /etc/headway/ca.pem"
    done = ran(
        shell(count, "rm -f /etc/headway/ca.pem || true", "echo x >/etc/headway/ca.pem || true"),
        shell(count, box=container(user="65534")),
        egress=network,
    )
    assert done.said(1) == done.said(2) == ["1"]


def test_a_build_reaches_the_company_too_and_nothing_of_it_stays(
    ran: JobRunner, network: EgressSettings, proxy: ForwardProxy, site: int, engine: Engine
) -> None:
    known: list[str] = []

    def look(event: Event) -> None:
        if isinstance(event, ImageBuilt):
            known.extend((str(engine.image(event.image_id)), image_history(engine, event.image_id)))

    done = ran(
        build(args={"MARK": secrets_hex()}),
        shell("cat /said", box=container(1)),
        files={"Dockerfile": MOUNTED.format(image=PYTHON, port=site)},
        egress=network,
        on_event=look,
    )
    assert done.said(2) == ["hello", "1"]
    assert f"CONNECT site.corp:{site}" in proxy.asked
    assert known
    assert not any(word in text for word in (QUOTED, PASSWORD) for text in (*known, done.everything()))


def documented(port: int) -> str:
    """The Dockerfile of the manual, fetching from the company with the mount and when it trusts for good."""
    manual = (DOCS / "running" / "network.md").read_text()
    (lines,) = re.findall(r"```dockerfile\n(.*?)```", manual, re.DOTALL)
    fetch = f"curl -sS https://site.corp:{port}/"
    lines = re.sub(r"pip install .*", f"{fetch} > /said || true", lines)
    return f"FROM {PYTHON}\nARG MARK\n{lines}RUN {fetch} >> /said || true\n"


@pytest.mark.parametrize("trusted", [True, False])
def test_the_dockerfile_of_the_manual_trusts_the_authority_where_there_is_one(
    ran: JobRunner, network: EgressSettings, site: int, trusted: bool
) -> None:
    done = ran(
        build(args={"MARK": secrets_hex()}),
        shell("cat /said", box=container(1)),
        files={"Dockerfile": documented(site)},
        egress=network if trusted else replace(network, ca=None),
    )
    assert done.outcome.state is State.PASSED
    assert done.said(2) == (["hello", "hello"] if trusted else [])


def test_a_service_of_busybox_is_asked_directly_whether_it_is_ready(
    ran: JobRunner, network: EgressSettings, proxy: ForwardProxy
) -> None:
    serve = ("mkdir /tmp/site", "echo hi >/tmp/site/index.html", "httpd -f -p 8000 -h /tmp/site")
    check = HttpCheck(url="http://:8000/")
    done = ran(
        shell("wget -Y off -q -O - http://web:8000/"), services=[service("web", *serve, ready=check)], egress=network
    )
    assert done.said() == ["hi"]
    assert proxy.asked == []


MOUNTED = """\
FROM {image}
ARG MARK
RUN --mount=type=secret,id=headway-ca-bundle,target=/etc/ssl/certs/ca-certificates.crt \\
    curl -sS https://site.corp:{port}/ > /said
RUN --mount=type=secret,id=headway-ca grep -c BEGIN /run/secrets/headway-ca >> /said
"""
SHOWN = 'FROM busybox\nARG MARK\nRUN echo "$MARK" >/dev/null; echo "proxy=$HTTP_PROXY,$http_proxy" | tee /shown\n'


def proxied(url: str) -> EgressSettings:
    return server_egress({"HTTP_PROXY": url}, None, step_proxy=False)


def test_another_proxy_is_no_reason_to_build_again(ran: JobRunner) -> None:
    step = build(args={"MARK": secrets_hex()})
    first = ran(step, shell("cat /shown", box=container(1)), files={"Dockerfile": SHOWN}, egress=proxied("http://a:1"))
    again = ran(step, files={"Dockerfile": SHOWN}, egress=proxied("http://b:1"))
    assert first.said(2) == ["proxy=http://a:1,http://a:1"]
    assert "CACHED" in again.log().decode()


@pytest.mark.parametrize("name", ["HTTP_PROXY", "http_proxy"])
def test_what_the_build_says_itself_counts(ran: JobRunner, name: str) -> None:
    step = build(args={"MARK": secrets_hex(), name: "http://mine:1"})
    # Docker 20.10 may lose the output of a short RUN.
    done = ran(step, shell("cat /shown", box=container(1)), files={"Dockerfile": SHOWN}, egress=proxied("http://a:1"))
    assert done.said(2) == ["proxy=http://mine:1,http://mine:1"]


def test_a_stranger_gets_the_proxy_without_its_password(ran: JobRunner, network: EgressSettings) -> None:
    done = ran(
        build(args={"MARK": secrets_hex()}),
        shell("echo proxy=$HTTP_PROXY"),
        files={"Dockerfile": SHOWN},
        egress=network.without_logins(),
    )
    assert done.said(2) == [f"proxy=http://{network.own.urls['HTTP_PROXY'].rpartition('@')[2]}"]
    assert "employee" not in done.log(1).decode()


def test_the_build_client_asks_for_access_through_the_proxy_and_trusts_the_authority(
    ran: JobRunner,
    network: EgressSettings,
    proxy: ForwardProxy,
    site: int,
    company: CertificateAuthority,
    tmp_path: Path,
) -> None:
    ran.need_current_buildkit()
    token = {"realm": f"https://site.corp:{site}/token", "service": "registry", "issuer": "site.corp"}
    more = {"auth": {"token": {**token, "rootcertbundle": str(company.file)}}}
    with running_registry(tmp_path, more=more) as registry:
        # An image whose name only the client can tell. The others are fetched by the engine, as for steps.
        base = {"Dockerfile": f"ARG X=x{registry.host}/team/base\nFROM ${{X#?}}\n"}
        done = ran(build(pull=True), files=base, egress=network)
        distrustful = ran(build(pull=True), files=base, egress=replace(network, ca=None))
    assert proxy.asked == 2 * [f"CONNECT site.corp:{site}"]
    # The server's greeting is no token, but it was heard.
    assert "unable to decode token response" in done.outcome.message
    assert distrustful.outcome.reason is Reason.REGISTRY_UNREACHABLE
    assert "set HEADWAY_CA_FILE" in distrustful.outcome.message


@pytest.fixture
def company_registry(gateway: str, company: CertificateAuthority, tmp_path: Path) -> Iterator[Registry]:
    folder = tmp_path / "registry"
    folder.mkdir()
    with running_registry(folder, address=gateway, authority=company) as registry:
        yield registry


def test_an_engine_that_does_not_trust_a_registry_is_told_of_with_the_remedy(
    ran: JobRunner, company_registry: Registry
) -> None:
    name = f"{company_registry.host}/team/base"
    pulled = ran(shell("true", box=container(name)))
    built = ran(build(), files={"Dockerfile": f"FROM {name}\n"})
    for done in (pulled, built):
        assert done.outcome.reason is Reason.REGISTRY_UNREACHABLE
        assert f"/etc/docker/certs.d/{company_registry.host}/ca.crt" in done.outcome.message


def test_a_push_to_a_registry_that_the_engine_does_not_trust_says_so_too(
    ran: JobRunner, company_registry: Registry
) -> None:
    files = {"Dockerfile": "FROM busybox\n"}
    done = ran(build(), push(1, f"{company_registry.host}/team/app"), files=files)
    assert done.step(2).reason is Reason.REGISTRY_UNREACHABLE
    assert f"/etc/docker/certs.d/{company_registry.host}/ca.crt" in done.step(2).message


def test_a_registry_without_tls_is_told_of_with_the_remedy(ran: JobRunner, gateway: str, tmp_path: Path) -> None:
    with running_registry(tmp_path, address=gateway) as registry:
        pulled = ran(shell("true", box=container(f"{registry.host}/team/base")))
    assert pulled.outcome.reason is Reason.REGISTRY_UNREACHABLE
    assert f"add {registry.host} to insecure-registries in the engine's daemon.json" in pulled.outcome.message
