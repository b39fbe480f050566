"""Every knob, from HEADWAY_* environment variables, as one frozen object. The manual's table is made from this file."""

import os
from pathlib import Path
from typing import Any
from urllib.parse import quote

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from runner.network.ca_certificates import own_certificates
from workers.labels import parse_labels


def _default_data_dir() -> Path:
    return Path("/var/lib/headway") if os.geteuid() == 0 else Path.home() / ".local/share/headway"


class Settings(BaseSettings):
    """The server's settings. Each is read from HEADWAY_ and its name in capitals."""

    model_config = SettingsConfigDict(env_prefix="HEADWAY_", frozen=True, extra="ignore", hide_input_in_errors=True)

    data_dir: Path = Field(
        default_factory=_default_data_dir,
        description="Where everything that must last is kept: database, logs, mirrors, workspaces and the key file.",
    )
    database_url: str = Field(
        "",
        description="SQLite (`sqlite:////path`) or PostgreSQL (`postgresql+psycopg://`). Empty: SQLite in `data_dir`.",
    )
    redis_url: str = Field("redis://127.0.0.1:6379/0", description="Redis for wake-ups and live logs.")
    base_url: str = Field(
        "", description="How browsers and forges reach this server. Empty: `http://localhost:` and the port."
    )
    host: str = Field("127.0.0.1", description="The address that the web server listens on.")
    port: int = Field(8080, ge=0, le=65535, description="The port that the web server listens on.")
    docker_host: str = Field("", description="The Docker Engine's address. Empty: as the docker command finds it.")
    ca_file: Path | None = Field(
        None,
        description="Your company's certificate authority, a PEM file: trusted by git, towards forges, by builds and "
        "steps ([network](network.md)).",
    )
    step_proxy: bool = Field(
        default=False,
        description="`true` gives steps and services the proxies that builds have ([network](network.md)).",
    )
    system_name: str = Field("headway", description="The name of this installation, as `CI_SYSTEM_NAME` shows it.")

    secret_keys: SecretStr = Field(
        SecretStr(""),
        description="Keys that seal secrets, newest first: `id:base64-of-32-bytes`, comma between. Empty: the file.",
    )
    secret_key_file: Path | None = Field(
        None,
        description="The file with such keys, one on each line. Made at first start. Empty: `data_dir/secret.key`.",
    )

    worker_slots: int = Field(2, ge=1, description="How many jobs one worker runs at the same time.")
    worker_labels: str = Field(
        "",
        description="What a worker offers to workflows with `labels`, such as `gpu=true,disk=ssd`, besides platform, "
        "hostname, backend and repo. `*` as a value fits all; with `!` before its name only such workflows run there.",
    )
    lease_s: int = Field(15, ge=3, description="Seconds after which a silent worker's job is given to another.")
    attempts_max: int = Field(3, ge=1, description="How often a job is given to a worker before it counts as broken.")
    job_timeout_s: int = Field(21_600, ge=1, description="Seconds that a job may take where its pipeline says nothing.")
    step_timeout_s: int = Field(
        3_600, ge=1, description="Seconds that a step may take where its pipeline says nothing."
    )
    shutdown_s: int = Field(
        30, ge=1, description="Seconds that a worker that must stop waits for its jobs; then others get them."
    )
    grace_s: int = Field(
        10, ge=0, description="Seconds between the polite and the final signal to a step that must end."
    )
    steps_ahead_max: int = Field(
        2, ge=0, description="How many containers of the next steps are started while the present ones run."
    )
    step_memory_bytes_max: int = Field(
        4 * 1024**3, ge=0, description="Memory of a step's container in bytes. 0: no limit."
    )
    step_pids_max: int = Field(4_096, ge=0, description="Processes in a step's container. 0: no limit.")
    step_files_max: int = Field(
        0, ge=0, description="Files that a process in a container of a job may have open. 0: as the engine has it."
    )
    step_cpus_max: float = Field(0, ge=0, description="Processors that a step's container may use. 0: no limit.")
    log_bytes_max: int = Field(1024**3, gt=0, description="Bytes of a step's output that are kept; the step goes on.")

    webhook_body_bytes_max: int = Field(
        5 * 1024**2, gt=0, description="Bytes of a webhook's body; a larger one gets 413."
    )
    status_context: str = Field(
        "headway",
        min_length=1,
        description="What the forge's commit statuses are named by, as in `headway/push` and `headway/push/test`.",
    )
    session_days: int = Field(30, ge=1, description="Days without a visit after which a browser must log in again.")
    retention_days: int = Field(90, ge=0, description="Days that a finished run's logs are kept. 0: for ever.")

    @field_validator("worker_labels")
    @classmethod
    def _can_be_read(cls, text: str) -> str:
        parse_labels(text)
        return text

    @field_validator("ca_file", mode="before")
    @classmethod
    def _is_an_authority(cls, path: Path | str | None) -> Path | None:
        # Compose passes on as empty what its environment does not have.
        if not path:
            return None
        own_certificates(Path(path))
        return Path(path)

    @property
    def database(self) -> str:
        """The database's URL, with the default filled in."""
        return self.database_url or f"sqlite:///{self.data_dir.absolute() / 'headway.db'}"

    @property
    def url(self) -> str:
        """The server's own address without a slash at the end."""
        return self.base_url.rstrip("/") or f"http://localhost:{self.port}"

    def run_url(self, repo: str, number: int) -> str:
        """A run's page as others reach it. A repository's name may hold slashes; every other character is quoted."""
        return f"{self.url}/repos/{quote(repo, safe='/')}/runs/{number}"

    @property
    def key_file(self) -> Path:
        """The file with the keys that seal secrets."""
        return self.secret_key_file or self.data_dir / "secret.key"

    @property
    def logs_dir(self) -> Path:
        """Where logs are stored."""
        return self.data_dir / "logs"

    @property
    def mirrors_dir(self) -> Path:
        """Where bare mirrors of repositories are kept."""
        return self.data_dir / "mirrors"

    @property
    def ca_dir(self) -> Path:
        """Where git finds the certificates that it trusts."""
        return self.data_dir / "ca"

    @property
    def workspaces_dir(self) -> Path:
        """Where jobs' checkouts live while they run."""
        return self.data_dir / "workspaces"


def load_settings(**overrides: Any) -> Settings:  # noqa: ANN401 - each setting has a type of its own
    """The settings of this process. Raises pydantic's ValidationError, which names the setting and what it takes."""
    return Settings(**overrides)
