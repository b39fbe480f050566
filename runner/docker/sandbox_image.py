"""The image of sandbox containers, which Headway builds itself: one program that sleeps until it is killed."""

import io
import json
import struct
import tarfile
from collections.abc import Mapping
from hashlib import sha256

from pipelines.own_images import SANDBOX_REPO
from pipelines.state import Reason
from runner.docker.client import Engine
from runner.docker.folders import Folder
from runner.docker.specs import ContainerSpec
from runner.errors import MachineError

SANDBOX_IMAGE = f"{SANDBOX_REPO}:1"

# A program that sleeps for ever: `pause()` on x86-64, `ppoll(0, 0, 0, 0)` on AArch64, in an endless loop. Its machine
# code stands here so that a job pulls no images except those that it names.
_CODE = {
    "amd64": (62, bytes.fromhex("b822000000 0f05 ebf7")),
    "arm64": (183, bytes.fromhex("000080d2 010080d2 020080d2 030080d2 280980d2 010000d4 faffff17")),
}
_LOAD_ADDRESS = 0x400000


def sandbox_archive(arch: str) -> bytes:
    """The sandbox image as an archive for ``docker load``, for the architecture ``arch``: one layer with one file.

    The archive is reproducible, so loading it again gives the same image. If the image changed, the containerd image
    store would remove the tag for a moment, and a job that starts in that moment would not find it.
    Raises MachineError for an architecture without a program.
    """
    return image_archive(SANDBOX_IMAGE, arch, archive_of({"wait": _program(arch)}))


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


def _program(arch: str) -> bytes:
    """A static ELF program that sleeps until killed."""
    if arch not in _CODE:
        known = " and ".join(_CODE)
        raise MachineError(Reason.ENGINE_UNSUITABLE, f"the Docker Engine runs on {arch}; Headway can work with {known}")
    elf_machine, code = _CODE[arch]
    header_size, program_size = 64, 56
    entry = _LOAD_ADDRESS + header_size + program_size
    ident = b"\x7fELF" + bytes([2, 1, 1]) + bytes(9)
    head = struct.pack(
        "<HHIQQQIHHHHHH", 2, elf_machine, 1, entry, header_size, 0, 0, header_size, program_size, 1, 0, 0, 0
    )
    size = header_size + program_size + len(code)
    program = struct.pack("<IIQQQQQQ", 1, 5, 0, _LOAD_ADDRESS, _LOAD_ADDRESS, size, size, 0x1000)
    return ident + head + program + code


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
    spec = ContainerSpec(image=SANDBOX_IMAGE, labels=labels, network="none", command=("/wait",), folders=(folder,))
    return engine.create(spec)
