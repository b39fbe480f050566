"""The servers that Headway needs, as processes that can be killed, stopped, frozen and started again."""

import json
import shutil
import signal
import subprocess
from pathlib import Path

from tests.support.object_store import ObjectStoreServer
from tests.support.registry import Registry
from tests.support.services import PostgresServer, RedisServer, Server, need

__all__ = ["ObjectStoreServer", "RedisServer", "RegistryServer", "SturdyPostgres"]


class RegistryServer(Server):
    """A registry that keeps its images when it is started again."""

    def __init__(self) -> None:
        self._program = need(shutil.which("docker-registry"), "docker-registry")
        super().__init__("registry")
        self.registry = Registry(f"127.0.0.1:{self.port}", locked=False)

    def start(self) -> None:
        """Starts it, or starts it again."""
        config = self.folder / "config.yml"
        config.write_text(
            json.dumps(
                {
                    "version": "0.1",
                    "log": {"level": "error", "accesslog": {"disabled": True}},
                    "storage": {"filesystem": {"rootdirectory": str(self.folder / "storage")}},
                    "http": {"addr": f"127.0.0.1:{self.port}", "secret": "the-same-after-a-restart"},
                }
            )
        )
        self._run(self._program, "serve", str(config))
        self._wait(self.registry.answers)

    def tags(self, repo: str) -> set[str]:
        """The tags of a repository of images."""
        folder = self.folder / "storage/docker/registry/v2/repositories" / repo / "_manifests/tags"
        return {path.name for path in folder.iterdir()} if folder.is_dir() else set()


class SturdyPostgres(PostgresServer):
    """A PostgreSQL that loses no commit when its processes are killed, and can be started again."""

    def start(self) -> None:
        """Makes the cluster and starts it; or starts it again."""
        data = self.folder / "data"
        if not data.exists():
            command = [*self._as_user(), str(self._bin / "initdb"), "--pgdata", str(data), "--username=headway"]
            command += ["--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync"]
            subprocess.run(command, check=True, capture_output=True, timeout=120)
        self._run(
            *(str(self._bin / "postgres"), "-D", str(data), "-p", str(self.port), "-k", str(self.folder)),
            # What is written survives the death of all processes, if not that of the machine.
            *("-c", "listen_addresses=127.0.0.1", "-c", "fsync=off", "-c", "shared_buffers=32MB"),
            user=self._user,
        )
        self._wait(self._answers)

    def _as_user(self) -> list[str]:
        user = self._user
        return ["setpriv", f"--reuid={user}", f"--regid={user}", "--init-groups"] if user else []

    def crash(self) -> None:
        """Ends all its processes at once. (Killed by -9, the first one would leave the others behind for a moment.)"""
        self.stop(signal.SIGQUIT)


def blob_folder(folder: Path) -> str:
    """The address of a blob store in a folder that all machines share."""
    blobs = folder / "shared-blobs"
    blobs.mkdir()
    return f"file://{blobs}"
