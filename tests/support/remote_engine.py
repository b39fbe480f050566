"""Makes the machine's engine reachable over ssh, with an sshd of its own, and over TLS, with a proxy."""

import asyncio
import os
import shutil
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

import pytest

from runner.docker.client import Engine
from runner.docker.endpoints.endpoint import UnixSocket
from tests.support.engine import absent
from tests.support.registry import free_port

T = TypeVar("T")
CURVE = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
SSH_CONFIG = """\
Host far
  HostName 127.0.0.1
  Port {port}
  IdentityFile {folder}/key
  IdentitiesOnly yes
  UserKnownHostsFile {folder}/known_hosts
  GlobalKnownHostsFile /dev/null
"""
SSHD_CONFIG = """\
ListenAddress 127.0.0.1:{port}
HostKey {folder}/host_key
AuthorizedKeysFile {folder}/authorized_keys
PidFile none
UsePAM no
StrictModes no
PasswordAuthentication no
KbdInteractiveAuthentication no
"""


def socket_of(engine: Engine) -> str:
    """The path of the engine's socket; skips the test if the engine is reached over TCP."""
    address = engine.connection.transport.address
    if not isinstance(address, UnixSocket):
        pytest.skip("the engine is not behind a Unix socket")
    return address.path


class Sshd:
    """An ssh server for this user. The ``ssh`` in the folder ``bin`` knows it as ``far`` and ignores ~/.ssh."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.bin = folder / "bin"
        self.bin.mkdir()
        self.known_hosts = folder / "known_hosts"
        port = free_port()
        for name in ("key", "host_key"):
            subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / name)], check=True)
        self.allow()
        _, key, *_ = (folder / "host_key.pub").read_text().split()
        self.known_hosts.write_text(f"[127.0.0.1]:{port} ssh-ed25519 {key}\n")
        for name, text in (("ssh_config", SSH_CONFIG), ("sshd_config", SSHD_CONFIG)):
            (folder / name).write_text(text.format(port=port, folder=folder))
        ssh = shutil.which("ssh")
        (self.bin / "ssh").write_text(f'#!/bin/sh\nexec {ssh} -F {folder}/ssh_config "$@"\n')
        (self.bin / "ssh").chmod(0o755)
        self.port = port

    def allow(self, restriction: str = "") -> None:
        """Authorizes the key, with a restriction in the syntax of sshd(8)."""
        (self.folder / "authorized_keys").write_text(f"{restriction} {(self.folder / 'key.pub').read_text()}".lstrip())


@contextmanager
def running_sshd(folder: Path) -> Iterator[Sshd]:
    """A running server."""
    program = shutil.which("sshd", path=f"{os.environ['PATH']}:/usr/sbin:/sbin")
    if program is None:
        absent("no sshd here: install openssh-server")
    if os.getuid() == 0:
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
    sshd = Sshd(folder)
    command = [str(program), "-D", "-e", "-f", str(folder / "sshd_config")]
    with (folder / "log").open("wb") as log, subprocess.Popen(command, stderr=log) as process:
        try:
            _wait_for_port(sshd.port)
            yield sshd
        finally:
            process.terminate()


def _wait_for_port(port: int) -> None:
    deadline_s = time.monotonic() + 20
    while time.monotonic() < deadline_s:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        time.sleep(0.02)
    raise TimeoutError


def make_certificates(folder: Path, name: str = "DNS:localhost,IP:127.0.0.1") -> None:
    """Creates certificates as Docker's documentation says: ca.pem, cert.pem, key.pem, server.pem, server-key.pem."""
    folder.mkdir(exist_ok=True)

    def openssl(*words: str) -> None:
        subprocess.run(["openssl", *words], cwd=folder, check=True, capture_output=True)

    openssl("req", "-x509", *CURVE, "-keyout", "ca-key.pem", "-out", "ca.pem", "-subj", "/CN=ca")
    for own, key, extension in (
        ("server.pem", "server-key.pem", f"subjectAltName={name}\nextendedKeyUsage=serverAuth"),
        ("cert.pem", "key.pem", "extendedKeyUsage=clientAuth"),
    ):
        (folder / "extension").write_text(extension)
        openssl("req", *CURVE, "-keyout", key, "-out", "request", "-subj", "/CN=headway")
        signed = ["-CA", "ca.pem", "-CAkey", "ca-key.pem", "-CAcreateserial", "-extfile", "extension"]
        openssl("x509", "-req", "-in", "request", "-out", own, *signed)


def server_context(certificates: Path) -> ssl.SSLContext:
    """A TLS context for a server that requires client certificates."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=certificates / "ca.pem")
    context.load_cert_chain(certificates / "server.pem", certificates / "server-key.pem")
    context.verify_mode = ssl.CERT_REQUIRED
    # On by default since Python 3.13, which then refuses certificates made as Docker's documentation says.
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    return context


class TlsProxy:
    """A TLS port in front of a Unix socket, for clients with a certificate of ``certificates``."""

    def __init__(self, path: str, certificates: Path, host: str = "127.0.0.1") -> None:
        self._path = path
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._thread.start()
        self._server = self._do(asyncio.start_server(self._serve, host, 0, ssl=server_context(certificates)))
        self.port = int(self._server.sockets[0].getsockname()[1])

    def _do(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(20)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        inner, outer = await asyncio.open_unix_connection(self._path)
        tasks = [asyncio.ensure_future(self._forward(*pair)) for pair in ((reader, outer), (inner, writer))]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            # Everything before the next await: at the end of the test this task is cancelled at any await.
            for task in tasks:
                task.cancel()
            for each in (outer, writer):
                each.close()
        await asyncio.gather(*tasks, return_exceptions=True)
        for each in (outer, writer):
            with suppress(OSError):  # the other side has gone
                await each.wait_closed()

    async def _forward(self, source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        while data := await source.read(64 * 1024):
            target.write(data)
            await target.drain()

    def close(self) -> None:
        """Ends all connections."""
        self._do(self._end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _end(self) -> None:
        self._server.close()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
