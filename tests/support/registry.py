"""A registry for tests: Debian's ``docker-registry`` on a free local port."""

import base64
import hashlib
import json
import os
import shutil
import socket
import ssl
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any

import pytest

from runner.docker.containers.specs import Login
from tests.support.certificate_authority import CertificateAuthority

START_WITHIN_S = 20.0
LOGIN = Login("ci", "opensesame")
# The password above in htpasswd format (bcrypt, the only hash that the registry supports).
_HTPASSWD = "ci:$2b$05$abcdefghijklmnopqrstuuQbLfdQZSxZ9gjhA5V9o8Tyc6aQRO0Qi\n"
_MANIFESTS = (
    "application/vnd.docker.distribution.manifest.v2+json, application/vnd.oci.image.manifest.v1+json, "
    "application/vnd.docker.distribution.manifest.list.v2+json, application/vnd.oci.image.index.v1+json"
)


@dataclass(frozen=True)
class Registry:
    """A running registry. ``host`` is its part of an image name. ``tls`` trusts its certificate, if it uses TLS."""

    host: str
    locked: bool
    tls: ssl.SSLContext | None = None

    def manifest(self, repo: str, tag: str) -> tuple[str, dict[str, Any]]:
        """The digest and the manifest of a tag. Checks that they match."""
        path = repo.removeprefix(f"{self.host}/")
        with self._get(f"/v2/{path}/manifests/{tag}", {"Accept": _MANIFESTS}) as answer:
            body = answer.read()
            digest = answer.headers["Docker-Content-Digest"]
        assert digest == f"sha256:{hashlib.sha256(body).hexdigest()}"
        return digest, json.loads(body)

    def has(self, repo: str, tag: str) -> bool:
        """True if the registry has the tag."""
        try:
            self.manifest(repo, tag)
        except urllib.error.HTTPError as error:
            error.close()
            return False
        return True

    def ids(self, repo: str, tag: str) -> set[str]:
        """The possible ids of a tag's image in an engine: the digest of its manifest or of its configuration."""
        digest, manifest = self.manifest(repo, tag)
        return {digest, str(manifest["config"]["digest"])}

    def config(self, repo: str, tag: str) -> dict[str, Any]:
        """The configuration of a tag's image. Checks its digest."""
        digest = self.manifest(repo, tag)[1]["config"]["digest"]
        path = repo.removeprefix(f"{self.host}/")
        with self._get(f"/v2/{path}/blobs/{digest}", {}) as answer:
            body = answer.read()
        assert digest == f"sha256:{hashlib.sha256(body).hexdigest()}"
        return dict(json.loads(body))

    def _get(self, path: str, headers: dict[str, str]) -> Any:
        if self.locked:
            headers["Authorization"] = f"Basic {LOGIN.basic()}"
        request = urllib.request.Request(f"{'https' if self.tls else 'http'}://{self.host}{path}", headers=headers)
        return urllib.request.urlopen(request, timeout=10, context=self.tls)

    def answers(self) -> bool:
        """True if the registry is up."""
        try:
            with self._get("/v2/", {}):
                return True
        except urllib.error.HTTPError as error:
            error.close()
            return error.code == HTTPStatus.UNAUTHORIZED
        except OSError:
            return False


def free_port() -> int:
    """A free TCP port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def running_registry(
    folder: Path,
    *,
    locked: bool = False,
    port: int | None = None,
    address: str = "127.0.0.1",
    authority: CertificateAuthority | None = None,
    more: Mapping[str, Any] | None = None,
) -> Iterator[Registry]:
    """A running registry with its storage in ``folder``; with ``authority`` it uses TLS.

    On loopback addresses the engine needs neither TLS nor a trusted certificate. ``more`` extends the configuration.
    """
    program = shutil.which("docker-registry")
    if program is None:
        sentence = "docker-registry is not installed; `make test` installs it"
        (pytest.fail if os.environ.get("CI") else pytest.skip)(sentence)
    port = port or free_port()
    config = folder / "config.yml"
    config.write_text(
        json.dumps(_config(folder, f"{address}:{port}", locked=locked, authority=authority) | dict(more or {}))
    )
    with (folder / "registry.log").open("ab") as log, subprocess.Popen(
        [str(program), "serve", str(config)], stdout=log, stderr=log, env={"PATH": os.defpath}
    ) as process:  # fmt: skip
        try:
            trusting = ssl.create_default_context(cafile=authority.file) if authority else None
            registry = Registry(f"{address}:{port}", locked, trusting)
            deadline_s = time.monotonic() + START_WITHIN_S
            while not registry.answers():
                assert process.poll() is None, (folder / "registry.log").read_text()
                assert time.monotonic() < deadline_s, "the registry did not come up"
                time.sleep(0.02)
            yield registry
        finally:
            process.kill()


def _config(folder: Path, address: str, *, locked: bool, authority: CertificateAuthority | None) -> dict[str, Any]:
    config: dict[str, Any] = {
        "version": "0.1",
        "log": {"level": "error", "accesslog": {"disabled": True}},
        "storage": {"filesystem": {"rootdirectory": str(folder / "storage")}},
        "http": {"addr": address, "secret": base64.b64encode(os.urandom(16)).decode()},
    }
    if authority:
        certificate, key = authority.issue(address.rpartition(":")[0])
        config["http"]["tls"] = {"certificate": str(certificate), "key": str(key)}
    if locked:
        passwords = folder / "htpasswd"
        passwords.write_text(_HTPASSWD)
        config["auth"] = {"htpasswd": {"realm": "test", "path": str(passwords)}}
    return config
