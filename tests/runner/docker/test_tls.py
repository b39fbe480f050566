"""An engine behind a port with TLS, with certificates from variables and from a context."""

import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from hashlib import sha256
from pathlib import Path

import pytest

from pipelines.state import PASSED
from runner.docker.client import Engine
from runner.errors import MachineError
from tests.support.engine import JobRunner
from tests.support.plans import build, container, shell
from tests.support.remote_engine import TlsProxy, make_certificates, server_context, socket_of

StartProxy = Callable[..., TlsProxy]
Use = Callable[..., None]


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("certificates")
    make_certificates(folder, "DNS:localhost,IP:127.0.0.1,IP:::1")
    return folder


@pytest.fixture
def start_proxy(certificates: Path, request: pytest.FixtureRequest) -> Iterator[StartProxy]:
    made: list[TlsProxy] = []
    in_front_of = "/nonesuch.sock"
    if request.node.get_closest_marker("engine"):
        in_front_of = socket_of(request.getfixturevalue("engine"))

    def open_door(host: str = "127.0.0.1") -> TlsProxy:
        made.append(TlsProxy(in_front_of, certificates, host))
        return made[-1]

    yield open_door
    for each in made:
        each.close()


@pytest.fixture
def use(monkeypatch: pytest.MonkeyPatch) -> Use:
    def use(folder: Path, name: str = "DOCKER_TLS_VERIFY") -> None:
        monkeypatch.setenv(name, "1")
        monkeypatch.setenv("DOCKER_CERT_PATH", str(folder))

    return use


@pytest.mark.engine
@pytest.mark.parametrize("name", ["DOCKER_TLS_VERIFY", "DOCKER_TLS"])
def test_steps_and_builds_use_the_certificates(
    ran: JobRunner, start_proxy: StartProxy, certificates: Path, use: Use, name: str
) -> None:
    use(certificates, name)
    far = Engine(f"tcp://127.0.0.1:{start_proxy().port}")
    job = ran(
        build(),
        shell("cat /word", box=container(1)),
        engine=far,
        files={"Dockerfile": "FROM busybox\nRUN echo hi >/word\n"},
    )
    far.close()
    assert job.outcome == PASSED, job.everything()
    assert job.said(2) == ["hi"]


@pytest.mark.engine
def test_a_contexts_own_certificates_serve_steps_and_builds(
    ran: JobRunner, start_proxy: StartProxy, certificates: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = sha256(b"far").hexdigest()
    meta = tmp_path / "docker/contexts/meta" / key / "meta.json"
    meta.parent.mkdir(parents=True)
    host = f"tcp://localhost:{start_proxy().port}"
    meta.write_text(json.dumps({"Name": "far", "Endpoints": {"docker": {"Host": host}}}))
    (tmp_path / "docker/contexts/tls" / key).mkdir(parents=True)
    (tmp_path / "docker/contexts/tls" / key / "docker").symlink_to(certificates)
    (tmp_path / "docker/config.json").write_text('{"currentContext": "far"}')
    for name, value in (("DOCKER_CONFIG", str(tmp_path / "docker")), ("DOCKER_HOST", "")):
        monkeypatch.setenv(name, value)
    far = Engine()
    job = ran(build(), engine=far, files={"Dockerfile": "FROM busybox\n"})
    far.close()
    assert job.outcome == PASSED, job.everything()


@pytest.mark.engine
def test_an_address_of_ipv6_is_one_as_well(
    engine: Engine, start_proxy: StartProxy, certificates: Path, use: Use
) -> None:
    try:
        port = start_proxy("::1").port
    except OSError:
        pytest.skip("this machine has no IPv6")
    use(certificates)
    far = Engine(f"tcp://[::1]:{port}")
    far.containers_labelled("none")
    far.close()


def refusal(host: str) -> str:
    with pytest.raises(MachineError) as refused:
        Engine(host)
    return str(refused.value)


def test_certificates_that_are_not_there_are_said_with_their_folder(tmp_path: Path, use: Use) -> None:
    use(tmp_path)
    assert f"the certificates for the Docker Engine in {tmp_path} cannot be used" in refusal("tcp://127.0.0.1:1")


@pytest.mark.slow
def test_an_engine_with_another_ca_or_name_is_not_trusted(
    start_proxy: StartProxy, certificates: Path, tmp_path: Path, use: Use
) -> None:
    make_certificates(tmp_path / "other")
    port = start_proxy().port
    use(tmp_path / "other")
    assert "its certificate is not trusted" in refusal(f"tcp://127.0.0.1:{port}")
    use(certificates)
    assert "Hostname mismatch" in refusal(f"tcp://{socket.gethostname()}:{port}") or socket.gethostname() == "localhost"


@contextmanager
def answering_once(answer: Callable[[socket.socket], None]) -> Iterator[str]:
    """A port where one client is answered."""

    def serve() -> None:
        with suppress(OSError), listener.accept()[0] as connection:
            answer(connection)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve)
        thread.start()
        yield f"tcp://127.0.0.1:{listener.getsockname()[1]}"
        thread.join()


@pytest.mark.parametrize("strange", [True, False])
def test_a_client_without_a_certificate_or_with_a_strange_one_is_told(
    certificates: Path, tmp_path: Path, use: Use, strange: bool
) -> None:
    make_certificates(tmp_path / "client")
    (tmp_path / "client/ca.pem").write_bytes((certificates / "ca.pem").read_bytes())
    for name in () if strange else ("cert.pem", "key.pem"):
        (tmp_path / "client" / name).unlink()
    use(tmp_path / "client")

    def handshake(connection: socket.socket) -> None:
        server_context(certificates).wrap_socket(connection, server_side=True)

    with answering_once(handshake) as host:
        assert "signed by the CA that the engine trusts?" in refusal(host)


def test_an_engine_without_tls_is_told_apart(certificates: Path, use: Use) -> None:
    def answer(connection: socket.socket) -> None:
        connection.recv(1024)
        connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    use(certificates)
    with answering_once(answer) as host:
        assert "it does not use TLS; unset DOCKER_TLS_VERIFY" in refusal(host)


def test_an_engine_that_wants_tls_is_told_apart() -> None:
    def answer(connection: socket.socket) -> None:
        connection.recv(1024)
        connection.sendall(b"HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n")

    with answering_once(answer) as host:
        assert "requires TLS: set DOCKER_TLS_VERIFY=1 and DOCKER_CERT_PATH" in refusal(host)
