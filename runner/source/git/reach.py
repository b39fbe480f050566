"""Which servers a run's git may ask beside that of its repository: fragments, submodules, LFS, and where they redirect.

Decided here alone. Who writes a pipeline file, ``.gitmodules`` or ``.lfsconfig`` chooses these servers.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import IPv6Address

from runner.network.host_addresses import leads_to_host

# Stricter than any program that reads an address: where two of them could find different hosts, it is refused.
_URL = re.compile(
    r"(?P<scheme>https?|ssh|git\+ssh|ssh\+git)://(?:[^@/?#\\\s]*@)?"
    r"(?P<host>[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::(?P<port>[0-9]*))?(?:/.*)?"
)
_SCP = re.compile(r"(?:[A-Za-z0-9_.-]+@)?(?P<host>[A-Za-z0-9._-]+):(?!:).*")
# Git refuses these itself, whose words are known: no such protocol is allowed.
_OF_THIS_DISK = re.compile(r"file://|/|\.{1,2}/")
_PORTS = {"http": "80", "https": "443"}
_SSH_PORT = "22"
WORKERS_OWN = "the worker's own machine, and the metadata service of its cloud, are not asked"


@dataclass(frozen=True)
class _Place:
    host: str
    port: str
    ssh: bool


@dataclass(frozen=True)
class Reach:
    """``own`` is the address of the run's repository, whose host and port are always asked.

    The machine itself, and the metadata service of its cloud, are asked only where the run ``reaches_host``; by ssh,
    with the machine's keys, only where it is ``trusted``. A name may resolve otherwise when git asks: this is no
    protection from one who rules a name server.
    """

    own: str = ""
    trusted: bool = True
    reaches_host: bool = False
    leads_to_host: Callable[[str], bool] = leads_to_host

    def refusal(self, url: str) -> str:
        """Why this address is not asked; empty where it may be."""
        if (self.reaches_host and self.trusted) or _OF_THIS_DISK.match(url):
            return ""
        place = _place(url)
        if place is None:
            return "it is no plain address; write https://HOST/PATH, without %, \\ and spaces in the host"
        if place.ssh and not self.trusted:
            return "an untrusted run asks no server by ssh, with the machine's keys; use https://"
        if self.is_closed(url):
            hint = "an administrator can trust the repository with 'network'"
            return f"{WORKERS_OWN}; {hint if self.trusted else 'no untrusted run has trust in `network`'}"
        return ""

    def is_closed(self, url: str) -> bool:
        """Whether the address leads to this machine or its cloud, and is not the repository's own server."""
        if self.reaches_host:
            return False
        place = _place(url)
        if place is None:
            return True
        return not self.is_own(url) and self.leads_to_host(place.host)

    def is_own(self, url: str) -> bool:
        """Whether the address is on the repository's own server: its host and port."""
        place, own = _place(url), _place(self.own)
        return bool(place and own and (place.host, place.port) == (own.host, own.port))

    def follows(self, asked: str, new: str) -> bool:
        """Whether a redirect is followed. The repository's own server may send to another port of its host."""
        own, before, after = _place(self.own), _place(asked), _place(new)
        if own and before and after and own.host == before.host == after.host:
            return True
        return not self.is_closed(new)


OPEN = Reach(reaches_host=True)
"""For a laptop: its user has chosen the repository, and asks from the own machine."""


def _place(url: str) -> _Place | None:
    found = _URL.fullmatch(url)
    if found and _is_host(found["host"]):
        ssh = found["scheme"] not in _PORTS
        return _Place(_plain(found["host"]), found["port"] or _PORTS.get(found["scheme"], _SSH_PORT), ssh)
    if "://" not in url and (short := _SCP.fullmatch(url)):
        return _Place(_plain(short["host"]), _SSH_PORT, ssh=True)
    return None


def _is_host(text: str) -> bool:
    """False for brackets around something else than an address: git reads ``[HOST:PORT]``, too."""
    try:
        return not text.startswith("[") or bool(IPv6Address(text[1:-1]))
    except ValueError:
        return False


def _plain(host: str) -> str:
    return host.strip("[]").rstrip(".").lower()
