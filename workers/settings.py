"""All settings, read from HEADWAY_* environment variables. `make docs` writes docs/running/settings.md from them."""

import os
from pathlib import Path
from typing import Any, Literal
from urllib.parse import quote

from pydantic import Field, SecretStr, ValidationInfo, field_validator
from pydantic_settings import SettingsConfigDict
from sqlalchemy import make_url

from pipelines.plan import JOB_TIMEOUT_S, STEP_TIMEOUT_S
from runner.network.ca_certificates import custom_certificates
from workers import setting_checks as checks
from workers import setting_kinds as kinds
from workers.ballast import Ballast
from workers.blob_url import BlobUrl, folder_at
from workers.data_folders import DataFolders
from workers.disk import RESERVE_BYTES_MIN, DiskReserve
from workers.housekeeping_settings import HousekeepingSettings
from workers.labels import parse_labels
from workers.log_lines import LogFormat
from workers.password_files import password_in, with_password


def _default_data_dir() -> Path:
    return Path("/var/lib/headway") if os.geteuid() == 0 else Path.home() / ".local/share/headway"


class Settings(DataFolders, HousekeepingSettings):
    """The server's settings. Each is read from HEADWAY_ and its name in capitals."""

    model_config = SettingsConfigDict(env_prefix="HEADWAY_", frozen=True, extra="ignore", hide_input_in_errors=True)

    data_dir: kinds.Folder = Field(
        default_factory=_default_data_dir,
        description="The directory for all data: database, stored blobs, mirrors, workspaces and the key file.",
    )
    database_password_file: kinds.PasswordFile = Field(
        None, description="A file with the password for `database_url`, so that it is in no environment variable."
    )
    database_url: kinds.DatabaseAddress = Field(
        "",
        description="SQLite (`sqlite:////path`) or PostgreSQL (`postgresql+psycopg://`). Empty: SQLite in `data_dir`.",
    )
    blob_url: BlobUrl = Field(
        "",
        description="Where logs are stored: `s3://BUCKET/PREFIX`, `gs://`, `az://` or `file:///FOLDER` "
        "([storage](storage.md)). Workers and web servers need the same. Empty: the folder `blobs` in `data_dir`.",
    )
    redis_password_file: kinds.PasswordFile = Field(
        None, description="A file with the password for `redis_url`, so that it is in no environment variable."
    )
    redis_url: kinds.RedisAddress = Field(
        "redis://127.0.0.1:6379/0", validate_default=True, description="Redis for wake-ups and live logs."
    )
    base_url: kinds.WebAddress = Field(
        "",
        description="This server's address for browsers and forges. Empty: `http://localhost:` and the port.",
    )
    host: kinds.ListeningHost = Field("127.0.0.1", description="The address that the web server listens on.")
    port: int = Field(8080, ge=0, le=65535, description="The port that the web server listens on.")
    allowed_hosts: kinds.HostNames = Field(
        "",
        description="More host names of this server, besides that of `base_url`, comma-separated. Requests for other "
        "names get status 421 ([behind a proxy](proxy.md)).",
    )
    trusted_proxies: kinds.Networks = Field(
        "",
        description="Addresses or networks of the proxies in front of the web server, comma-separated, as in "
        "`127.0.0.1,10.0.0.0/8`. Only their `X-Forwarded-` headers are believed ([behind a proxy](proxy.md)).",
    )
    connections_max: kinds.Count = Field(
        8_192, ge=1, description="Open connections of a web server. Fewer where it may open fewer files."
    )
    docker_host: kinds.EngineAddress = Field(
        "", description="The Docker Engine's address. Empty: the one that the docker command uses."
    )
    ca_file: Path | None = Field(
        None,
        description="Your company's certificate authority, a PEM file. Git, builds, steps and requests to forges "
        "trust it ([network](network.md)).",
    )
    step_proxy: bool = Field(
        default=False,
        description="`true` gives steps and services the proxies that builds use ([network](network.md)).",
    )
    system_name: kinds.Line = Field("headway", description="The name of this installation, in `CI_SYSTEM_NAME`.")

    secret_keys: SecretStr = Field(
        SecretStr(""),
        description="Keys that seal secrets, newest first, comma-separated: `id:base64-of-32-bytes`. Empty: the file.",
    )
    secret_key_file: kinds.KeyFile = Field(
        None,
        description="The file with these keys, one on each line. Created at first start. Empty: `data_dir/secret.key`.",
    )

    worker_slots: kinds.Slots = Field(2, ge=1, description="How many jobs one worker runs at the same time.")
    worker_labels: str = Field(
        "",
        description="Labels that a worker offers, besides `platform`, `hostname`, `backend` and `repo`: for example "
        "`gpu=true,disk=ssd`. The value `*` matches every value. With `!` before a name the worker runs only workflows "
        "that ask for this label.",
    )
    lease_s: kinds.Seconds = Field(
        15,
        ge=3,
        description="Seconds without a lease renewal after which a job is given to another worker.",
    )
    attempts_max: kinds.Count = Field(
        2, ge=1, description="How many times a job may lose its worker, or its machine by a fault, before it is broken."
    )
    fetch_retry_s: kinds.Seconds = Field(
        300,
        ge=0,
        description="Seconds for which a job waits for a repository's server that does not answer or has a fault. "
        "It is tried again and again meanwhile, and takes no slot. 0: not at all.",
    )
    registry_retry_s: kinds.Seconds = Field(
        120,
        ge=0,
        description="Seconds for which a step asks a registry again that does not answer, has a fault or asks to wait. "
        "0: not at all.",
    )
    job_timeout_s: kinds.Seconds = Field(
        JOB_TIMEOUT_S, ge=1, description="The timeout of a job, in seconds, if its pipeline sets none."
    )
    step_timeout_s: kinds.Seconds = Field(
        STEP_TIMEOUT_S,
        ge=1,
        description="The timeout of a step, in seconds, if its pipeline sets none.",
    )
    shutdown_s: kinds.Seconds = Field(
        30,
        ge=1,
        description="Seconds that a worker waits for its jobs at shutdown. Their steps run on after that: the next "
        "worker on this machine goes on with them.",
    )
    grace_s: kinds.Seconds = Field(
        10,
        ge=0,
        description="Seconds between SIGTERM and SIGKILL for the processes of a step or service that must end.",
    )
    steps_ahead_max: kinds.Count = Field(
        4,
        ge=0,
        description="How many containers of the next steps are prestarted while the current ones run.",
    )
    step_memory_bytes_max: kinds.Memory = Field(
        4 * 1024**3, ge=0, description="Memory of a step's container in bytes. 0: no limit."
    )
    step_pids_max: kinds.Count = Field(4_096, ge=0, description="Processes in a step's container. 0: no limit.")
    step_files_max: kinds.Files = Field(
        0, ge=0, description="Open files of a process in a job's container. 0: the engine's own limit."
    )
    step_cpus_max: kinds.Cpus = Field(0, ge=0, description="CPUs that a step's container may use. 0: no limit.")
    steps_reach_host: bool = Field(
        default=False,
        description="`true` lets steps, services and builds reach the addresses of the engine's host and the metadata "
        "service of its cloud ([security](security.md#the-host-and-its-cloud)).",
    )
    builds_reach_host: Literal["auto", "true", "false"] = Field(
        "auto",
        description="Whether builds, and what else uses the engine's default network, reach the addresses of its host. "
        "`auto`: other people's containers do, builds only with `steps_reach_host` "
        "([security](security.md#the-host-and-its-cloud)).",
    )
    artifact_bytes_max: kinds.Bytes = Field(
        1024**3, gt=0, description="Bytes that a step may keep as artifacts. With more it keeps none and fails."
    )
    artifact_files_max: kinds.Count = Field(
        10_000, gt=0, description="Files that a step may keep as artifacts. With more it keeps none and fails."
    )
    artifact_run_bytes_max: kinds.Bytes = Field(
        10 * 1024**3, gt=0, description="Bytes that all steps of a run may keep together. A step that passes it fails."
    )
    artifact_run_files_max: kinds.Count = Field(
        100_000, gt=0, description="Files that all steps of a run may keep together. A step that passes it fails."
    )
    log_bytes_max: kinds.Bytes = Field(
        1024**3,
        gt=0,
        description="Bytes of a step's output that are stored. The step goes on after that.",
    )

    disk_reserve_bytes: kinds.Bytes = Field(
        512 * 1024**2,
        ge=RESERVE_BYTES_MIN,
        description="Bytes that stay free on the disk of `data_dir`, a tenth of it at most. With less, workers take no "
        "job, logs of steps end, and `/readyz` answers 503, until there is room again. With less than half of it, the "
        "job is ended that writes most.",
    )

    webhook_body_bytes_max: kinds.Bytes = Field(
        5 * 1024**2,
        gt=0,
        description="The largest body of a webhook in bytes. A larger one gets status 413.",
    )
    sent_tree_bytes_max: kinds.Bytes = Field(
        32 * 1024**2,
        gt=0,
        description="The largest working tree that `headway run --remote` may send, in bytes as git packs it. A larger "
        "one gets status 413.",
    )
    missed_pushes: Literal["off", "report", "run"] = Field(
        "report",
        description="What happens to a push whose webhook did not come, which the scheduler finds by asking the "
        "repository's server every few minutes: `report` shows it, `run` starts its run, `off` asks none "
        "([forges](forges.md#missed-pushes)).",
    )
    log_format: LogFormat = Field(
        "auto",
        description="How the server's processes write their own log: `text`, or `json` with an object on each line "
        "([monitoring](monitoring.md#logs-of-the-processes)). `auto`: text.",
    )
    metrics_token: SecretStr = Field(
        SecretStr(""),
        description="What a scraper of `/metrics` sends as `Authorization: Bearer`: 16 characters at least. Empty: "
        "only administrators read it ([monitoring](monitoring.md)).",
    )
    status_context: kinds.Line = Field(
        "headway",
        min_length=1,
        description="The first part of the names of commit statuses, as in `headway/push` and `headway/push/test`.",
    )
    step_shells: bool = Field(
        default=True,
        description="`false`: no shell can be opened in a running step "
        "([security](security.md#shells-in-running-steps)). For web servers and workers alike.",
    )
    session_days: kinds.Days = Field(
        30, ge=1, description="Days without a visit after which a browser must log in again."
    )

    @field_validator("metrics_token")
    @classmethod
    def _is_no_short_token(cls, token: SecretStr) -> SecretStr:
        checks.metrics_token(token.get_secret_value())
        return token

    @field_validator("worker_labels")
    @classmethod
    def _can_be_read(cls, text: str) -> str:
        parse_labels(text)
        return text

    @field_validator("database_url", "redis_url")
    @classmethod
    def _with_password(cls, url: str, info: ValidationInfo) -> str:
        # The files' fields come first: a field that was refused is not in ``data``.
        file = info.data.get(f"{str(info.field_name).removesuffix('_url')}_password_file")
        return with_password(url, password_in(file)) if url and file else url

    @field_validator("ca_file", mode="before")
    @classmethod
    def _is_a_certificate(cls, path: Path | str | None) -> Path | None:
        # Docker Compose passes a variable that is not set as empty.
        if not path:
            return None
        custom_certificates(Path(path))
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
        """The address of a run's page. A repository's name may contain slashes; other special characters are quoted."""
        return f"{self.url}/repos/{quote(repo, safe='/')}/runs/{number}"

    @property
    def key_file(self) -> Path:
        """The file with the keys that seal secrets."""
        return self.secret_key_file or self.data_dir / "secret.key"

    @property
    def blobs_dir(self) -> Path | None:
        """The folder of the blob store; None where it is no folder."""
        return folder_at(self.blob_url) if self.blob_url else self.data_dir / "blobs"

    @property
    def disk_reserve(self) -> DiskReserve:
        """What stays free on the disks of the data, the blobs and the checkouts, which may be disks of their own."""
        blobs = () if self.blobs_dir is None else (self.blobs_dir,)
        return DiskReserve((self.data_dir, *blobs, self.workspaces_dir), self.disk_reserve_bytes)

    @property
    def ballast(self) -> Ballast:
        """What is given up first on a full disk, beside SQLite's file. PostgreSQL may be on another disk."""
        path = make_url(self.database).database if self.database.startswith("sqlite") else None
        return Ballast(Path(path).parent if path else self.data_dir)


def load_settings(**overrides: Any) -> Settings:  # noqa: ANN401 - each setting has a type of its own
    """The settings of this process. Raises pydantic's ValidationError, which names the setting and what it takes."""
    return Settings(**overrides)
