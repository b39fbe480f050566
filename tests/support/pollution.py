"""Ways in which a step changes what is around it: none may show in another step, however early that was started.

Each step looks for what others left, then leaves all of it itself, and sees that it did: a way that does nothing would
prove nothing.
"""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass

IMAGE = "python:3.13-slim"
"""Of all that these ways use only perl, which Debian has in every image."""
PRIVILEGED_IMAGE = "busybox:latest"
SCRIPT = "pollute.sh"
_TRIES_MAX = 100
_SLEEP = "sleep 4321"


@dataclass(frozen=True)
class Way:
    """One way: shell commands that leave something, and a shell condition that is true where it is."""

    name: str
    pollute: str
    look: str


def _perl(code: str) -> str:
    return f"perl -MIO::Socket::INET -MIO::Socket::UNIX -e '{code}'"


def _file(path: str) -> Way:
    return Way(path, f": > {path}", f"test -e {path}")


WAYS: Sequence[Way] = (
    Way("hosts", "echo 203.0.113.7 db >> /etc/hosts", "grep -q 203.0.113.7 /etc/hosts"),
    Way("resolver", "echo nameserver 203.0.113.53 >> /etc/resolv.conf", "grep -q 203.0.113.53 /etc/resolv.conf"),
    Way("host name", "echo left > /etc/hostname", "grep -q left /etc/hostname"),
    Way(
        "port",
        _perl("$s = IO::Socket::INET->new(Listen => 1, LocalPort => 8080) or die $!; sleep 600") + " &",
        "grep -q ':1F90 .* 0A ' /proc/net/tcp",
    ),
    Way(
        "closed connection",
        _perl(
            "$s = IO::Socket::INET->new(Listen => 1, LocalPort => 8081) or die $!;"
            '$c = IO::Socket::INET->new("127.0.0.1:8081") or die $!;'
            "$a = $s->accept; close $a; sysread $c, $b, 1; close $c"
        ),
        "grep -q ':1F91 ' /proc/net/tcp",
    ),
    Way(
        "socket without a file",
        _perl('$s = IO::Socket::UNIX->new(Listen => 1, Local => "\\0left") or die $!; sleep 600') + " &",
        "grep -q @left /proc/net/unix",
    ),
    Way("shared memory", "perl -e 'shmget(4711, 4096, 01600) // die $!'", "grep -q ' 4711 ' /proc/sysvipc/shm"),
    Way("semaphores", "perl -e 'semget(4711, 1, 01600) // die $!'", "grep -q ' 4711 ' /proc/sysvipc/sem"),
    Way("messages", "perl -e 'msgget(4711, 01600) // die $!'", "grep -q ' 4711 ' /proc/sysvipc/msg"),
    *map(_file, ("/dev/mqueue/left", "/dev/shm/left", "/tmp/left", "/var/tmp/left", "/run/left", "/root/left")),
    *map(_file, ("/etc/left", "/usr/local/bin/left", "/left")),
    Way("program", "printf '#!/bin/sh\\n' > /usr/local/bin/perl", "test -e /usr/local/bin/perl"),
    Way("user", "echo left:x:4711:4711::/:/bin/sh >> /etc/passwd", "grep -q left /etc/passwd"),
    Way("process", f"{_SLEEP} &", f"grep -aq '{_SLEEP.replace('p ', '[p].')}' /proc/[0-9]*/cmdline"),
    Way("process in a session of its own", "setsid sleep 4322 &", "grep -aq 'slee[p].4322' /proc/[0-9]*/cmdline"),
    Way("variable", "export LEFT=1", 'test -n "${LEFT:-}"'),
    Way("umask", "umask 077", 'test "$(umask)" = 0077'),
    Way("open files", "ulimit -n 77", 'test "$(ulimit -n)" = 77'),
    Way("memory", "ulimit -v 4000000", 'test "$(ulimit -v)" = 4000000'),
    Way("killed first", "echo 777 > /proc/$$/oom_score_adj", "grep -q 777 /proc/$$/oom_score_adj"),
)

PRIVILEGED_WAYS: Sequence[Way] = (
    Way("route", "ip route add blackhole 203.0.113.0/24", "ip route | grep -q 203.0.113.0"),
    Way("no way out", "ip route del default", "! ip route | grep -q default"),
    Way("address", "ip addr add 203.0.113.9/32 dev lo", "ip addr show dev lo | grep -q 203.0.113.9"),
    Way("interface", "ip link set lo mtu 1400", "grep -q 1400 /sys/class/net/lo/mtu"),
    Way("neighbour", "arp -s -i eth0 203.0.113.5 02:00:00:00:00:05", "grep -q 203.0.113.5 /proc/net/arp"),
    Way("setting", "echo 33 > /proc/sys/net/ipv4/ip_default_ttl", "grep -q 33 /proc/sys/net/ipv4/ip_default_ttl"),
    Way("name", "hostname left", 'test "$(hostname)" = left'),
    Way("mount", "mkdir -p /mnt; mount -t tmpfs left /mnt", "grep -q '^left ' /proc/mounts"),
)
"""What takes rights that a container has only with ``privileged``."""

FIREWALL = Way(
    "firewall",
    "chroot /machine iptables -w 10 -A OUTPUT -d 203.0.113.7 -j DROP",
    "chroot /machine iptables -w 10 -S OUTPUT | grep -q 203.0.113.7",
)
"""With the program of the machine, because no image of the tests has it."""
FIREWALL_VOLUME = "/:/machine:ro"


def privileged_ways() -> Sequence[Way]:
    """Those that can be tried on this machine."""
    return (*PRIVILEGED_WAYS, *([FIREWALL] if shutil.which("iptables") else []))


def script(ways: Sequence[Way], hold_s: float = 0) -> str:
    """A step's commands, for a file of the checkout. With ``hold_s`` what it leaves stays that long beside others."""
    lines = [f"look_{number}() {{ {way.look}; }}" for number, way in enumerate(ways)]
    lines += [f"if look_{number}; then echo 'found {way.name}'; fi" for number, way in enumerate(ways)]
    lines += [way.pollute for way in ways]
    for number, way in enumerate(ways):
        lines.append(f"tries=0; until look_{number} || [ $tries -ge {_TRIES_MAX} ]; do")
        lines.append("  sleep 0.05; tries=$((tries + 1))\ndone")
        lines.append(f"if look_{number}; then echo 'left {way.name}'; fi")
    return "\n".join([*lines, f"sleep {hold_s:g}", ""])


def clean(ways: Sequence[Way]) -> list[str]:
    """What the script prints in a fresh step."""
    return [f"left {way.name}" for way in ways]
