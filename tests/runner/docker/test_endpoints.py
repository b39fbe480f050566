"""Which engine is meant: in the order of the docker command, with a sentence for all that is wrong."""

import json
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path

import pytest

from pipelines.state import Reason
from runner.docker.endpoints.endpoint import Endpoint, Ssh, Tcp, Tls, UnixSocket, parse_address
from runner.docker.endpoints.resolution import find_endpoint, pinned_context
from runner.errors import MachineError

DEFAULT = UnixSocket("/var/run/docker.sock")


class Home:
    """A home with the docker command's own files."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.config = folder / ".docker"
        self.config.mkdir()

    def use(self, name: str) -> "Home":
        (self.config / "config.json").write_text(json.dumps({"currentContext": name}))
        return self

    def context(self, name: str, tls: tuple[str, ...] = (), text: str | None = None, **docker: object) -> "Home":
        key = sha256(name.encode()).hexdigest()
        meta, certificates = self.config / "contexts/meta" / key, self.config / "contexts/tls" / key / "docker"
        meta.mkdir(parents=True)
        whole = {"Name": name, "Metadata": {}, "Endpoints": {"docker": docker} if docker else {}}
        (meta / "meta.json").write_text(json.dumps(whole) if text is None else text)
        for file in tls:
            certificates.mkdir(parents=True, exist_ok=True)
            (certificates / file).touch()
        return self

    def certificates(self, name: str) -> Path:
        return self.config / "contexts/tls" / sha256(name.encode()).hexdigest() / "docker"

    def find(self, docker_host: str = "", **environment: str) -> Endpoint:
        return find_endpoint({"HOME": str(self.folder), **environment}, docker_host)

    def fault(self, **environment: str) -> str:
        with pytest.raises(MachineError) as fault:
            self.find(**environment)
        assert fault.value.reason is Reason.ENGINE_GONE
        return str(fault.value)


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path)


def test_without_anything_it_is_the_default_socket(home: Home) -> None:
    assert home.find() == Endpoint(DEFAULT)
    assert home.find(XDG_RUNTIME_DIR="/run/user/1000") == Endpoint(DEFAULT)


def test_each_way_to_name_an_engine_has_its_turn(home: Home) -> None:
    home.context("used", Host="unix:///used").context("named", Host="unix:///named").use("used")
    environment: dict[str, str] = {}
    for source, name, value in (
        ("the docker context 'used'", "", ""),
        ("the docker context 'named'", "DOCKER_CONTEXT", "named"),
        ("DOCKER_HOST", "DOCKER_HOST", "unix:///host"),
        ("HEADWAY_DOCKER_HOST", "HEADWAY_DOCKER_HOST", "unix:///headway"),
    ):
        environment |= {name: value} if name else {}
        assert home.find(**environment).source == source
    assert home.find("unix:///given", **environment).address == UnixSocket("/given")


@pytest.mark.parametrize("name", ["", "default"])
def test_the_default_context_is_none(home: Home, name: str) -> None:
    home.context("used", Host="unix:///used").use(name)
    assert home.find() == Endpoint(DEFAULT)
    home.use("used")
    assert home.find(DOCKER_CONTEXT="default") == Endpoint(DEFAULT)


def test_the_folder_of_dockers_files_may_be_elsewhere(home: Home, tmp_path: Path) -> None:
    home.context("colima", Host="unix:///colima").use("colima")
    moved = home.config.rename(tmp_path / "moved")
    assert home.find() == Endpoint(DEFAULT)
    assert home.find(DOCKER_CONFIG=str(moved)).address == UnixSocket("/colima")


def test_a_contexts_certificates_lie_beside_it(home: Home) -> None:
    home.context("safe", tls=("ca.pem", "cert.pem", "key.pem"), Host="tcp://far:2376", SkipTLSVerify=False)
    home.context("lax", Host="tcp://far", SkipTLSVerify=True).context("open", Host="tcp://far:2375")
    assert home.find(DOCKER_CONTEXT="safe").address == Tcp("far", 2376, Tls(home.certificates("safe")))
    assert home.find(DOCKER_CONTEXT="lax").address == Tcp("far", 2376, Tls(home.certificates("lax"), verify=False))
    assert home.find(DOCKER_CONTEXT="open").address == Tcp("far", 2375)


def test_a_context_that_says_no_host_is_the_default_socket(home: Home) -> None:
    assert home.context("plain", Host="", SkipTLSVerify=False).find(DOCKER_CONTEXT="plain").address == DEFAULT


@pytest.mark.parametrize(
    ("environment", "tls"),
    [
        ({}, None),
        ({"DOCKER_CERT_PATH": "/c"}, None),
        ({"DOCKER_TLS_VERIFY": "1", "DOCKER_CERT_PATH": "/c"}, Tls(Path("/c"))),
        ({"DOCKER_TLS_VERIFY": "0", "DOCKER_CERT_PATH": "/c"}, Tls(Path("/c"))),
        ({"DOCKER_TLS": "1", "DOCKER_CERT_PATH": "/c"}, Tls(Path("/c"), verify=False)),
        ({"DOCKER_TLS_VERIFY": "1", "DOCKER_CONFIG": "/d"}, Tls(Path("/d"))),
        ({"DOCKER_TLS_VERIFY": "1", "HOME": "/h"}, Tls(Path("/h/.docker"))),
    ],
)
def test_variables_switch_tls_on_as_for_docker(home: Home, environment: Mapping[str, str], tls: Tls | None) -> None:
    found = find_endpoint({"HOME": "/nonesuch", "DOCKER_HOST": "tcp://far", **environment})
    assert found.address == Tcp("far", 2376 if tls else 2375, tls)


@pytest.mark.parametrize(
    ("text", "address", "written"),
    [
        ("unix:///a b/docker.sock", UnixSocket("/a b/docker.sock"), "unix:///a b/docker.sock"),
        ("unix://", DEFAULT, "unix:///var/run/docker.sock"),
        (" tcp://Far:99/ ", Tcp("far", 99), "tcp://far:99"),
        ("far:99", Tcp("far", 99), "tcp://far:99"),
        ("tcp://:99", Tcp("localhost", 99), "tcp://localhost:99"),
        ("tcp://[fe80::1]:99", Tcp("fe80::1", 99), "tcp://[fe80::1]:99"),
        ("ssh://far", Ssh("far"), "ssh://far"),
        ("ssh://me@[::1]:22", Ssh("::1", "me", 22), "ssh://me@[::1]:22"),
        ("ssh://me@far/run/d.sock", Ssh("far", "me", None, "/run/d.sock"), "ssh://me@far/run/d.sock"),
    ],
)
def test_addresses_are_read_and_written(text: str, address: object, written: str) -> None:
    assert parse_address(text, "DOCKER_HOST", None) == address
    assert str(address) == written


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("/var/run/docker.sock", "unix:///var/run/docker.sock"),
        ("npipe:////./pipe/docker_engine", "WSL 2"),
        ("http://far:2375", "does not know the scheme http://; write unix:///"),
        ("fd://", "does not know the scheme fd://"),
        ("tcp://far:port", "in brackets"),
        ("tcp://fe80::1:99", "in brackets"),
        ("tcp://far:99/v1", "write only a host and a port"),
        ("tcp://far:99?x=1", "nothing may follow the port"),
        ("ssh://", "has no host"),
        ("ssh://me:secret@far", "contains a password"),
    ],
)
def test_an_address_that_cannot_be_used_is_said_with_where_it_stands_and_the_remedy(
    home: Home, text: str, said: str
) -> None:
    fault = home.fault(DOCKER_HOST=text)
    assert fault.startswith("DOCKER_HOST ")
    assert said in fault
    assert "secret" not in fault


def test_a_context_that_is_not_there_is_said_with_those_that_are(home: Home) -> None:
    home.context("colima", Host="unix:///x").context("broken", text="{").use("desktop-linux")
    assert f"'desktop-linux', which `currentContext` in {home.config}/config.json selects" in home.fault()
    fault = home.fault(DOCKER_CONTEXT="typo")
    assert "no docker context 'typo', which DOCKER_CONTEXT selects; the contexts here are: colima." in fault


@pytest.mark.parametrize("text", ['{"Name": "k8s", "Endpoints": {"kubernetes": {}}}', '{"Name": "k8s"}', "[]"])
def test_a_context_without_a_docker_engine_is_said(home: Home, text: str) -> None:
    assert "'k8s' names no Docker Engine" in home.context("k8s", text=text).fault(DOCKER_CONTEXT="k8s")


def test_broken_files_are_named(home: Home) -> None:
    assert "meta.json, which selects" in home.context("bad", text='{"Name"').fault(DOCKER_CONTEXT="bad")
    (home.config / "config.json").write_text("{")
    assert f"{home.config}/config.json, which selects the Docker Engine, is not valid JSON" in home.fault()
    assert home.find(DOCKER_HOST="unix:///x").address == UnixSocket("/x")


@pytest.mark.parametrize("text", ["[]", '{"currentContext": null}', "{}"])
def test_a_config_without_a_context_names_none(home: Home, text: str) -> None:
    (home.config / "config.json").write_text(text)
    assert home.find() == Endpoint(DEFAULT)


def test_what_outlives_a_change_of_the_context_can_be_pinned(home: Home) -> None:
    environment = {"HOME": str(home.folder)}
    assert pinned_context(environment) == {}
    home.context("one", Host="unix:///one").context("two", Host="unix:///two").use("one")
    pinned = environment | pinned_context(environment)
    home.use("two")
    assert find_endpoint(pinned).address == UnixSocket("/one")


def test_the_home_is_the_users_where_no_variable_says_so() -> None:
    assert find_endpoint({"DOCKER_TLS_VERIFY": "1", "DOCKER_HOST": "tcp://far"}).address == Tcp(
        "far", 2376, Tls(Path("~/.docker").expanduser())
    )
