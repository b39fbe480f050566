"""A step on the network of its job reaches no container of another job, and sees no traffic of other networks."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from fcntl import LOCK_SH

import pytest

from pipelines.step_options.ready import PortCheck
from runner.docker.client import Engine
from runner.network.host_rules import BRIDGE_PREFIX
from tests.support.engine import JobRunner, when_said
from tests.support.host_rules import OPEN_TO_BUILDS, lock, set_rules
from tests.support.job_result import JobResult
from tests.support.plans import container, service, shell

pytestmark = [pytest.mark.engine, pytest.mark.usefixtures("guarded")]
PYTHON = "python:3.13-slim"

LISTEN = """
import socket, threading, time, pathlib
heard = []
def tcp():
    with socket.create_server(("0.0.0.0", 8000)) as server:
        server.settimeout(60)
        while True:
            client, address = server.accept()
            heard.append(f"tcp {address[0]}")
            client.close()
def udp():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("0.0.0.0", 8001))
        while True:
            heard.append(f"udp {server.recvfrom(100)}")
for each in (tcp, udp):
    threading.Thread(target=each, daemon=True).start()
time.sleep(0.2)
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:  # its own address, by the route to anywhere
    probe.connect(("192.0.2.1", 9))
    pathlib.Path("address").write_text(probe.getsockname()[0])
print("up", flush=True)
while not pathlib.Path("go-on").exists():
    time.sleep(0.1)
time.sleep(0.5)
print(heard)
"""

ATTACK = """
import socket, struct, sys
target = sys.argv[1]
neighbour = target.rsplit(".", 1)[0] + ".1"
def attempt(what, work):
    try:
        work()
        print("possible:", what)
    except OSError as error:
        pass
def connect():
    socket.create_connection((target, 8000), 2).close()
def raw(source):
    data = struct.pack("!HHHH", 8001, 8001, 8 + 4, 0) + b"fake"
    head = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(data), 1, 0, 64, 17, 0,
                       socket.inet_aton(source), socket.inet_aton(target))
    with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW) as sender:
        for _ in range(3):
            sender.sendto(head + data, (target, 0))
def frame():
    # As the neighbour's gateway, straight onto the cable.
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as sender:
        sender.bind(("eth0", 0))
        mine = sender.getsockname()[4]
        arp = struct.pack("!HHBBH6s4s6s4s", 1, 0x800, 6, 4, 2, mine, socket.inet_aton(neighbour), b"\\xff" * 6,
                          socket.inet_aton(target))
        sender.send(b"\\xff" * 6 + mine + b"\\x08\\x06" + arp)
def plain():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.sendto(b"hello", (target, 8001))
attempt("connect", connect)
for send in (plain, lambda: raw(neighbour), lambda: raw(target), frame):
    try:
        send()
    except OSError:
        pass  # refused: as good
print("done")
"""


@pytest.fixture
def guarded(engine: Engine) -> Iterator[None]:
    """The rules of a worker are set: Docker's own have gaps while other tests make networks."""
    with lock(LOCK_SH):
        set_rules(engine, OPEN_TO_BUILDS)
        yield


@dataclass
class Pair:
    """The job of a victim, and the job of another repository that runs against it meanwhile."""

    ran: JobRunner
    attack: list[JobResult] = field(default_factory=list)

    def run(self) -> JobResult:
        victim = self.ran.new()
        source = victim.folder / "workspace" / "src"

        def strike() -> None:
            try:
                step = shell(f"python3 attack.py {(source / 'address').read_text()}", box=container(PYTHON))
                self.attack.append(self.ran(step, files={"attack.py": ATTACK}, bridge_prefix=BRIDGE_PREFIX))
            finally:
                (source / "go-on").touch()

        listen = shell("python3 listen.py", box=container(PYTHON), timeout_s=90)
        heard = when_said(b"up", strike)
        return self.ran(
            listen, key=victim.key, files={"listen.py": LISTEN}, on_event=heard, bridge_prefix=BRIDGE_PREFIX
        )


def test_another_jobs_containers_are_out_of_reach_also_with_forged_packets(ran: JobRunner) -> None:
    pair = Pair(ran)
    victim = pair.run()
    assert pair.attack[0].said() == ["done"], pair.attack[0].everything()
    assert victim.said() == ["up", "[]"]


CONNECT = "python3 -c \"import socket; socket.create_connection(('{}', 8000), 2)\" 2>/dev/null && echo reached || true"
SERVE = ("mkdir /tmp/w", "httpd -f -p 8000 -h /tmp/w")


def test_a_service_of_another_job_has_no_name_here_and_publishes_no_port(ran: JobRunner) -> None:
    found: list[JobResult] = []
    published: list[object] = []
    job = ran.new()

    def look() -> None:
        for each in ran.engine.containers_labelled(f"headway.job={job.key}"):
            published.extend(port for port in each["Ports"] if "PublicPort" in port)
        found.append(
            ran(shell(CONNECT.format("victim"), "echo done", box=container(PYTHON)), bridge_prefix=BRIDGE_PREFIX)
        )
        (job.folder / "workspace" / "src" / "go-on").touch()

    serve = service("victim", *SERVE, ready=PortCheck(port=8000))
    wait = shell("echo up", "while [ ! -e go-on ]; do sleep 0.1; done", CONNECT.format("victim"), box=container(PYTHON))
    done = ran(
        wait, services=[serve], key=job.key, on_event=when_said(b"up", look), timeout_s=60, bridge_prefix=BRIDGE_PREFIX
    )
    assert done.said() == ["up", "reached"], "its own job reaches it"
    assert found[0].said() == ["done"]
    assert published == []
