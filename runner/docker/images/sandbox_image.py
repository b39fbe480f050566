"""An image with nothing in it, which Headway makes itself, so that a job pulls no images except those that it names.

Containers of it mount folders and run this machine's own programs on them, or are never started; its tags are
announcements to other processes (``runner/cleanup/image_removal.py``).
"""

import io
import json
import tarfile
from collections.abc import Mapping
from hashlib import sha256

from pipelines.images.own_images import SANDBOX_REPO
from runner.docker.client import Engine
from runner.docker.containers.folders import Folder
from runner.docker.containers.specs import ContainerSpec

SANDBOX_IMAGE = f"{SANDBOX_REPO}:2"
NO_PROGRAM = ("/none",)
"""The command of a container that is never started: the engine wants one."""


def sandbox_archive(arch: str) -> bytes:
    """The sandbox image as an archive for ``docker load``: one layer with an empty file, for the architecture ``arch``.

    The archive is reproducible, so loading it again gives the same image. If the image changed, the containerd image
    store would remove the tag for a moment, and a job that starts in that moment would not find it.
    """
    return image_archive(SANDBOX_IMAGE, arch, archive_of({"empty": b""}))


def image_archive(name: str, arch: str, layer: bytes) -> bytes:
    """An image of one layer, itself an archive of files, as ``docker load`` reads it."""
    config = json.dumps({
        "architecture": arch,
        "os": "linux",
        "created": "2026-01-01T00:00:00Z",
        "config": {},
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{sha256(layer).hexdigest()}"]},
    }).encode()  # fmt: skip
    manifest = [{"Config": "config.json", "RepoTags": [name], "Layers": ["layer.tar"]}]
    return archive_of({"layer.tar": layer, "config.json": config, "manifest.json": json.dumps(manifest).encode()})


def archive_of(files: Mapping[str, bytes], links: Mapping[str, str] | None = None) -> bytes:
    """An archive of programs, and of symbolic links."""
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w", format=tarfile.GNU_FORMAT) as tar:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size, member.mode = len(data), 0o755
            tar.addfile(member, io.BytesIO(data))
        for name, target in (links or {}).items():
            member = tarfile.TarInfo(name)
            member.type, member.linkname, member.mode = tarfile.SYMTYPE, target, 0o777
            tar.addfile(member)
    return archive.getvalue()


def ensure_sandbox_image(engine: Engine) -> None:
    """Loads the sandbox image into the engine if it is missing."""
    if engine.image(SANDBOX_IMAGE) is None:
        engine.load_image(sandbox_archive(engine.connection.version.arch))


def check_folder(engine: Engine, folder: Folder, labels: Mapping[str, str]) -> str:
    """Creates a container that mounts the folder and returns its id. Raises UnseenFolderError.

    The container is never started: the engine already refuses to create it if it does not see the folder.
    """
    ensure_sandbox_image(engine)
    spec = ContainerSpec(image=SANDBOX_IMAGE, labels=labels, network="none", command=NO_PROGRAM, folders=(folder,))
    return engine.create(spec)
