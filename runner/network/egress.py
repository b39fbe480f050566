"""Egress: the HTTP proxies and the private CA with which Headway, builds, steps and services reach other hosts."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from runner.docker.containers.folders import Folder
from runner.network.ca_certificates import BUNDLE_FILE, OWN_FILE, CaCertificates, read_ca_certificates
from runner.network.proxies import NAMES, NO_PROXIES, Proxies, docker_proxies, proxies_of

CONTAINER_FOLDER = "/etc/headway"
"""The folder of the CA certificates in steps and services."""
BUILD_SECRETS = {"headway-ca": OWN_FILE, "headway-ca-bundle": BUNDLE_FILE}
"""The ids of the build secrets with which a Dockerfile can mount the certificates."""
# Variables whose file replaces what the program trusts by default ...
_NAME_THE_BUNDLE = (
    "SSL_CERT_FILE", "CURL_CA_BUNDLE", "GIT_SSL_CAINFO", "REQUESTS_CA_BUNDLE", "PIP_CERT", "AWS_CA_BUNDLE",
    "CARGO_HTTP_CAINFO", "NIX_SSL_CERT_FILE",
)  # fmt: skip
# ... and variables whose file is trusted additionally.
_NAME_THE_OWN = ("NODE_EXTRA_CA_CERTS", "DENO_CERT")


@dataclass(frozen=True)
class EgressSettings:
    """The proxies for Headway's own programs, for builds, and for steps and services; and the private CA, if any."""

    own: Proxies = NO_PROXIES
    builds: Proxies = NO_PROXIES
    steps: Proxies = NO_PROXIES
    ca: CaCertificates | None = None

    def without_logins(self) -> "EgressSettings":
        """The settings without proxy passwords, for jobs whose author must not see these."""
        return replace(self, builds=self.builds.without_logins(), steps=self.steps.without_logins())

    def git_environment(self, folder: Path) -> dict[str, str]:
        """Variables for git. The CA certificates are in ``folder``."""
        trusted = {"GIT_SSL_CAINFO": str(folder / BUNDLE_FILE)} if self.ca else {}
        return self.own.variables() | trusted

    def secrets(self) -> set[str]:
        """The proxy passwords, which are masked in logs."""
        return self.own.secrets() | self.builds.secrets() | self.steps.secrets()


NO_EGRESS_SETTINGS = EgressSettings()


def server_egress(environment: Mapping[str, str], ca_file: Path | None, *, step_proxy: bool) -> EgressSettings:
    """A worker's settings, from its environment. Raises ValueError with the name of a wrong variable."""
    own = proxies_of(environment)
    builds = own.for_containers()
    return EgressSettings(own, builds, builds if step_proxy else NO_PROXIES, _read_ca(ca_file, environment))


def local_egress(environment: Mapping[str, str], docker_config: Path, docker_host: str) -> EgressSettings:
    """The settings of ``headway run``: proxies in Docker's configuration come first. Raises ValueError."""
    ca_file = environment.get("HEADWAY_CA_FILE")
    step_proxy = environment.get("HEADWAY_STEP_PROXY", "").lower() in {"1", "true", "yes", "on"}
    network = server_egress(environment, Path(ca_file) if ca_file else None, step_proxy=step_proxy)
    docker = docker_proxies(docker_config, docker_host)
    return replace(network, builds=docker, steps=docker) if docker.urls else network


def _read_ca(ca_file: Path | None, environment: Mapping[str, str]) -> CaCertificates | None:
    if ca_file is None:
        return None
    try:
        return read_ca_certificates(ca_file, environment)
    except ValueError as error:
        raise ValueError(f"HEADWAY_CA_FILE: {error}") from None


@dataclass(frozen=True)
class JobEgress:
    """The settings for one job. The CA certificates are in ``folder``; ``names`` are the host names of its containers,
    which are reached without a proxy.
    """

    settings: EgressSettings = NO_EGRESS_SETTINGS
    folder: Path = Path()
    names: tuple[str, ...] = ()

    def prepare(self) -> None:
        """Writes the CA certificates for containers and the build client. Raises StepError."""
        if self.settings.ca:
            self.settings.ca.write(self.folder)

    @property
    def folders(self) -> tuple[Folder, ...]:
        """The folders to mount into steps and services."""
        return (Folder(self.folder, CONTAINER_FOLDER, read_only=True),) if self.settings.ca else ()

    def container_environment(self, given: Mapping[str, str]) -> dict[str, str]:
        """The variables of a step or service; ``given``, from the pipeline file, take precedence."""
        proxies = self.settings.steps.with_direct(self.names).variables()
        # If the pipeline sets one spelling (http_proxy), do not set the other: some programs prefer it.
        taken = {name.upper() for name in given if name.upper() in NAMES}
        found = {name: value for name, value in proxies.items() if name.upper() not in taken}
        if self.settings.ca:
            found |= dict.fromkeys(_NAME_THE_BUNDLE, f"{CONTAINER_FOLDER}/{BUNDLE_FILE}")
            found |= dict.fromkeys(_NAME_THE_OWN, f"{CONTAINER_FOLDER}/{OWN_FILE}")
        return found | dict(given)

    def client_environment(self) -> dict[str, str]:
        """Variables for the build client, which itself fetches tokens from registries."""
        named = {"SSL_CERT_FILE": str(self.folder / BUNDLE_FILE)} if self.settings.ca else {}
        return self.settings.own.variables() | named

    def build_secrets(self) -> dict[str, Path]:
        """The certificate files as build secrets, by their ids."""
        return {name: self.folder / file for name, file in BUILD_SECRETS.items()} if self.settings.ca else {}

    def docker_config(self) -> dict[str, object]:
        """The proxies for the build client's ``config.json``. Not in its command line, where all users could read them.

        The client passes them to BuildKit as predefined build arguments: RUN sees them, images and caches do not.
        """
        entry = self.settings.builds.docker_entry()
        return {"proxies": {"default": entry}} if entry else {}
