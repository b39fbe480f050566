"""How this machine, and what runs on it, reach others: through a company's proxies, trusting a company's authority."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from runner.docker.folders import Folder
from runner.network.ca_certificates import BUNDLE_FILE, OWN_FILE, Authority, read_authority
from runner.network.proxies import NAMES, NO_PROXIES, Proxies, docker_proxies, proxies_of

CONTAINER_FOLDER = "/etc/headway"
"""Where steps and services find the authority's files."""
BUILD_SECRETS = {"headway-ca": OWN_FILE, "headway-ca-bundle": BUNDLE_FILE}
"""Under these ids a Dockerfile can mount them."""
# Each of these files takes the place of what the program else trusts ...
_NAME_THE_BUNDLE = (
    "SSL_CERT_FILE", "CURL_CA_BUNDLE", "GIT_SSL_CAINFO", "REQUESTS_CA_BUNDLE", "PIP_CERT", "AWS_CA_BUNDLE",
    "CARGO_HTTP_CAINFO", "NIX_SSL_CERT_FILE",
)  # fmt: skip
# ... and what these name is trusted besides.
_NAME_THE_OWN = ("NODE_EXTRA_CA_CERTS", "DENO_CERT")


@dataclass(frozen=True)
class CompanyNetwork:
    """The proxies of this machine's own programs, of builds, and of steps and services; the authority, if any."""

    own: Proxies = NO_PROXIES
    builds: Proxies = NO_PROXIES
    steps: Proxies = NO_PROXIES
    authority: Authority | None = None

    def without_logins(self) -> "CompanyNetwork":
        """The same for a job whose author may not know the proxies' passwords."""
        return replace(self, builds=self.builds.without_logins(), steps=self.steps.without_logins())

    def git_environment(self, folder: Path) -> dict[str, str]:
        """The environment of git. The authority's files lie in ``folder``."""
        trusted = {"GIT_SSL_CAINFO": str(folder / BUNDLE_FILE)} if self.authority else {}
        return self.own.variables() | trusted

    def secrets(self) -> set[str]:
        """What must not be seen in any log."""
        return self.own.secrets() | self.builds.secrets() | self.steps.secrets()


NO_COMPANY = CompanyNetwork()


def server_network(environment: Mapping[str, str], ca_file: Path | None, *, step_proxy: bool) -> CompanyNetwork:
    """As the environment of a worker has it, and its settings. Raises ValueError with the variable to look at."""
    own = proxies_of(environment)
    builds = own.for_containers()
    return CompanyNetwork(own, builds, builds if step_proxy else NO_PROXIES, _authority(ca_file, environment))


def laptop_network(environment: Mapping[str, str], docker_config: Path, docker_host: str) -> CompanyNetwork:
    """The same for ``headway run``; what docker's configuration has for containers comes first. Raises ValueError."""
    ca_file = environment.get("HEADWAY_CA_FILE")
    step_proxy = environment.get("HEADWAY_STEP_PROXY", "").lower() in {"1", "true", "yes", "on"}
    network = server_network(environment, Path(ca_file) if ca_file else None, step_proxy=step_proxy)
    docker = docker_proxies(docker_config, docker_host)
    return replace(network, builds=docker, steps=docker) if docker.urls else network


def _authority(ca_file: Path | None, environment: Mapping[str, str]) -> Authority | None:
    if ca_file is None:
        return None
    try:
        return read_authority(ca_file, environment)
    except ValueError as error:
        raise ValueError(f"HEADWAY_CA_FILE: {error}") from None


@dataclass(frozen=True)
class JobNetwork:
    """The same for one job. The authority's files lie in ``folder``; ``names`` are its containers that serve others."""

    company: CompanyNetwork = NO_COMPANY
    folder: Path = Path()
    names: tuple[str, ...] = ()

    def prepare(self) -> None:
        """Writes what the job's containers and build clients read. Raises StepError."""
        if self.company.authority:
            self.company.authority.write(self.folder)

    @property
    def folders(self) -> tuple[Folder, ...]:
        """What is mounted into steps and services."""
        return (Folder(self.folder, CONTAINER_FOLDER, read_only=True),) if self.company.authority else ()

    def container_environment(self, given: Mapping[str, str]) -> dict[str, str]:
        """The environment of a step or service, of which ``given`` is what the pipeline says: that counts."""
        proxies = self.company.steps.beside(self.names).variables()
        # A program that prefers the other spelling must not find ours there.
        taken = {name.upper() for name in given if name.upper() in NAMES}
        found = {name: value for name, value in proxies.items() if name.upper() not in taken}
        if self.company.authority:
            found |= dict.fromkeys(_NAME_THE_BUNDLE, f"{CONTAINER_FOLDER}/{BUNDLE_FILE}")
            found |= dict.fromkeys(_NAME_THE_OWN, f"{CONTAINER_FOLDER}/{OWN_FILE}")
        return found | dict(given)

    def client_environment(self) -> dict[str, str]:
        """The environment of the build client: it asks registries for access itself."""
        named = {"SSL_CERT_FILE": str(self.folder / BUNDLE_FILE)} if self.company.authority else {}
        return self.company.own.variables() | named

    def build_secrets(self) -> dict[str, Path]:
        """The files that a Dockerfile may mount, by the secrets' ids."""
        return {name: self.folder / file for name, file in BUILD_SECRETS.items()} if self.company.authority else {}

    def docker_config(self) -> dict[str, object]:
        """What belongs into the build client's ``config.json``: in a command line all could read the password.

        The client hands it to BuildKit as build arguments that are predefined: they reach RUN, and no image nor cache.
        """
        entry = self.company.builds.docker_entry()
        return {"proxies": {"default": entry}} if entry else {}
