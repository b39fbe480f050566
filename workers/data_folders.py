"""What is where in the data directory."""

from collections.abc import Sequence
from pathlib import Path


class DataFolders:
    """The folders of the settings."""

    data_dir: Path

    @property
    def redis_dir(self) -> Path:
        """Where the private Redis of ``headway serve`` keeps its files."""
        return self.data_dir / "redis"

    @property
    def mirrors_dir(self) -> Path:
        """Where bare mirrors of repositories are kept."""
        return self.data_dir / "mirrors"

    @property
    def image_records_dir(self) -> Path:
        """Which images of the engine this machine's jobs have pulled."""
        return self.data_dir / "images"

    @property
    def caches_dir(self) -> Path:
        """What steps on this machine keep between runs."""
        return self.data_dir / "caches"

    @property
    def housekeeping_lock(self) -> Path:
        """Held by the process that cleans up on this machine; its time says when one did last."""
        return self.data_dir / "housekeeping.lock"

    @property
    def ca_dir(self) -> Path:
        """Where the certificates are that git trusts."""
        return self.data_dir / "ca"

    @property
    def running_dir(self) -> Path:
        """A locked file for each running job: says who can go on with it."""
        return self.data_dir / "running"

    @property
    def workspaces_dir(self) -> Path:
        """Where jobs' checkouts live while they run."""
        return self.data_dir / "workspaces"

    @property
    def kept_dir(self) -> Path:
        """Where the files of failed jobs are kept for a re-run."""
        return self.data_dir / "kept"

    @property
    def logs_dir(self) -> Path:
        """Where versions before the blob store kept logs: they are only read and deleted."""
        return self.data_dir / "logs"

    @property
    def spool_dir(self) -> Path:
        """Where output waits while the blob store does not take it."""
        return self.data_dir / "spool"

    @property
    def private_dirs(self) -> Sequence[Path]:
        """The folders in the data directory into which no other user may look."""
        return [
            self.data_dir / name
            for name in (
                "logs",
                "blobs",
                "spool",
                "mirrors",
                "workspaces",
                "running",
                "redis",
                "images",
                "caches",
                "kept",
            )
        ]
