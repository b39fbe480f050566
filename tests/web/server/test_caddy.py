"""Behind Debian's Caddy, configured as the manual says: TLS, HTTP/2, live streams, hooks, the client's address."""

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

from tests.support.paths import ROOT
from tests.support.services import Server, free_port, need
from tests.web.conftest import REPO, Site, serving

PAGE = (ROOT / "docs/running/proxy.md").read_text()


class Caddy(Server):
    """Caddy in front of a server, with a certificate of its own authority."""

    def __init__(self, upstream: str) -> None:
        self._program = need(shutil.which("caddy"), "Caddy")
        super().__init__("caddy")
        (text,) = re.findall(r"```text caddy\n(.*?)```", PAGE, re.DOTALL)
        options = f"admin off\nhttp_port {free_port()}\nhttps_port {self.port}\nskip_install_trust\nlocal_certs\n"
        (self.folder / "Caddyfile").write_text(
            f"{{\n{options}}}\n" + text.replace("ci.example.com", "localhost").replace("127.0.0.1:8080", upstream)
        )
        self.url = f"https://localhost:{self.port}"

    def start(self) -> None:
        home = ["env", f"HOME={self.folder}", f"XDG_DATA_HOME={self.folder}"]
        config = str(self.folder / "Caddyfile")
        self._run(*home, self._program, "run", "--config", config, "--adapter", "caddyfile")
        self._wait(lambda: self.curl("/healthz").returncode == 0)

    def curl(self, path: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([*self.command(path), *arguments], capture_output=True, text=True, check=False)

    def command(self, path: str) -> list[str]:
        # Its own authority is new in each run; what is tested is the way of a request.
        return ["curl", "-sSk", "-4", "--noproxy", "*", "--max-time", "20", f"{self.url}{path}"]


@pytest.fixture
def caddy(site: Site) -> Iterator[tuple[Caddy, Site]]:
    settings = site.services.settings.model_copy(
        update={"base_url": "https://localhost", "trusted_proxies": "127.0.0.1"}
    )
    behind = Site(replace(site.services, settings=settings), site.woken)
    with serving(behind.services) as url:
        server = Caddy(url.removeprefix("http://"))
        server.start()
        yield server, behind
        server.remove()


@pytest.mark.slow
def test_hooks_pages_and_live_streams_pass_with_the_clients_address(caddy: tuple[Caddy, Site]) -> None:
    server, site = caddy
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
