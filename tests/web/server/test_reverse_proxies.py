"""Behind Debian's Caddy and nginx, configured as the manual says: TLS, HTTP/2, streams, hooks, the client's address."""

import hashlib
import hmac
import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import replace

import pytest

from tests.support.certificate_authority import CertificateAuthority
from tests.support.paths import ROOT
from tests.support.services import Server, free_port, need
from tests.web.conftest import REPO, Site, serving

PAGE = (ROOT / "docs/running/proxy.md").read_text()


SBIN = "/usr/local/sbin:/usr/sbin:/sbin"


class ReverseProxy(Server):
    """A proxy in front of a server, with a certificate of its own authority."""

    def __init__(self, name: str, upstream: str) -> None:
        search = f"{os.environ.get('PATH', os.defpath)}{os.pathsep}{SBIN}"
        self.program = need(shutil.which(name, path=search), name)
        super().__init__(name)
        (text,) = re.findall(rf"```text {name}\n(.*?)```", PAGE, re.DOTALL)
        self.config = text.replace("ci.example.com", "localhost").replace("127.0.0.1:8080", upstream)
        self.url = f"https://localhost:{self.port}"

    def start(self) -> None:
        self._run(*self.start_command())
        self._wait(lambda: self.curl("/healthz").returncode == 0)

    def start_command(self) -> list[str]:
        """Writes the configuration, and says how to start the proxy with it."""
        raise NotImplementedError

    def curl(self, path: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([*self.command(path), *arguments], capture_output=True, text=True, check=False)

    def command(self, path: str) -> list[str]:
        # Its own authority is new in each run; what is tested is the way of a request.
        return ["curl", "-sSk", "-4", "--noproxy", "*", "--max-time", "20", f"{self.url}{path}"]


class Caddy(ReverseProxy):
    """Caddy, with the manual's Caddyfile."""

    def __init__(self, upstream: str) -> None:
        super().__init__("caddy", upstream)

    def start_command(self) -> list[str]:
        options = f"admin off\nhttp_port {free_port()}\nhttps_port {self.port}\nskip_install_trust\nlocal_certs\n"
        (self.folder / "Caddyfile").write_text(f"{{\n{options}}}\n{self.config}")
        home = ["env", f"HOME={self.folder}", f"XDG_DATA_HOME={self.folder}"]
        return [*home, self.program, "run", "--config", f"{self.folder}/Caddyfile", "--adapter", "caddyfile"]


class Nginx(ReverseProxy):
    """nginx, with the manual's server in a configuration that writes to no folder but its own."""

    def __init__(self, upstream: str) -> None:
        super().__init__("nginx", upstream)

    def start_command(self) -> list[str]:
        pair = CertificateAuthority(self.folder).issue("localhost")
        server = self.config.replace("listen 443 ", f"listen {self.port} ")
        for name, path in zip(("/etc/ssl/localhost.pem", "/etc/ssl/localhost.key"), pair, strict=True):
            assert name in server
            server = server.replace(name, str(path))
        kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        folders = "".join(f"{kind}_temp_path {self.folder}/{kind};\n" for kind in kinds)
        main = f"daemon off;\nuser root;\npid {self.folder}/pid;\nerror_log stderr;\nevents {{}}\n"
        (self.folder / "nginx.conf").write_text(f"{main}http {{\naccess_log off;\n{folders}{server}}}\n")
        return [self.program, "-e", "stderr", "-p", str(self.folder), "-c", f"{self.folder}/nginx.conf"]


@pytest.fixture(params=[Caddy, Nginx], ids=["caddy", "nginx"])
def proxied(request: pytest.FixtureRequest, site: Site) -> Iterator[tuple[ReverseProxy, Site]]:
    settings = site.services.settings.model_copy(
        update={"base_url": "https://localhost", "trusted_proxies": "127.0.0.1"}
    )
    behind = Site(replace(site.services, settings=settings), site.woken)
    with serving(behind.services) as url:
        server: ReverseProxy = request.param(url.removeprefix("http://"))
        server.start()
        yield server, behind
        server.remove()


@pytest.mark.stress
def test_hooks_pages_and_live_streams_pass_with_the_clients_address(proxied: tuple[ReverseProxy, Site]) -> None:
    server, site = proxied
    secret = site.add_repo().secret
    body = json.dumps({"ref": "refs/heads/main", "before": "0" * 40, "after": "a" * 40})
    digest = hmac.new(secret.encode(), body.encode(), hashlib.sha256).hexdigest()
    sent = server.curl(f"/hooks/{REPO}", "-H", f"X-Headway-Signature: sha256={digest}", "--data-binary", body)
    assert json.loads(sent.stdout)["run"] == 1
    assert server.curl("/login", "-o", os.devnull, "-w", "%{http_version} %{http_code}").stdout == "2 200"

    guess = ["-d", "name=ada&password=guess", "-H", "Sec-Fetch-Site: same-origin", "-H", "X-Forwarded-For: 192.0.2.66"]
    for _ in range(10):
        assert "wrong" in server.curl("/login", "--interface", "127.0.0.2", *guess).stdout
    blocked = site.services.limiter.blocked
    assert blocked("127.0.0.2", "ada")
    assert not blocked("127.0.0.1", "ada")
    assert not blocked("192.0.2.66", "ada")

    token = f"Authorization: Bearer {site.token(site.add_user('bea'))}"
    command = [*server.command("/api/stream"), "-N", "-H", token]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as stream:
        assert stream.stdout is not None
        assert stream.stdout.readline() == "event: changed\n"
        site.queue()
        site.services.live.changed(2)
        lines = [stream.stdout.readline() for _ in range(3)]
        assert "event: changed\n" in lines, lines
        stream.kill()
