"""Uploads images straight to a registry, so that the engine has none of their layers."""

import gzip
import hashlib
import io
import json
import random
import tarfile
import urllib.request
from functools import partial
from typing import Any

from runner.docker.client import Engine
from tests.support.plans import BUSYBOX

_CONFIG = "application/vnd.docker.container.image.v1+json"
_LAYER = "application/vnd.docker.image.rootfs.diff.tar.gzip"
_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
_GZIP = b"\x1f\x8b"
_INDEX = "application/vnd.docker.distribution.manifest.list.v2+json"


def put_image(
    engine: Engine, name: str, *, tag: str = "1", word: str = "made", layer_bytes: tuple[int, ...] = (1000,),
    architecture: str = "", index: bool = False,
) -> list[str]:  # fmt: skip
    """Uploads busybox with a file ``/word`` and layers of random bytes as ``name:tag``.

    Returns the digests of the new layers. With ``index`` the tag points to an index with one platform.
    """
    host, _, repo = name.partition("/")
    base = _base_layer(engine)
    description = engine.image(BUSYBOX) or {}
    files = {"word": word.encode()} | {f"fill-{at}": random.randbytes(size) for at, size in enumerate(layer_bytes)}
    layers = [base, *(_layer(name, data) for name, data in files.items())]
    packed = [gzip.compress(layer, mtime=0) for layer in layers]
    platform = {"architecture": architecture or description["Architecture"], "os": "linux"}
    config = json.dumps(
        {**platform, "config": {}, "rootfs": {"type": "layers", "diff_ids": [_digest(layer) for layer in layers]}}
    ).encode()
    put = partial(_put_blob, f"http://{host}/v2/{repo}")
    for blob in (config, *packed):
        put(blob)
    manifest = json.dumps({
        "schemaVersion": 2, "mediaType": _MANIFEST, "config": _described(_CONFIG, config),
        "layers": [_described(_LAYER, layer) for layer in packed],
    }).encode()  # fmt: skip
    _put_manifest(host, repo, _digest(manifest) if index else tag, _MANIFEST, manifest)
    if index:
        entry = _described(_MANIFEST, manifest) | {"platform": platform}
        listed = json.dumps({"schemaVersion": 2, "mediaType": _INDEX, "manifests": [entry]}).encode()
        _put_manifest(host, repo, tag, _INDEX, listed)
    return [_digest(layer) for layer in packed[1:]]


def untag_matching(engine: Engine, word: str) -> None:
    """Removes all image names that contain ``word`` from the engine."""
    for entry in engine.images():
        for name in [*(entry.get("RepoTags") or ()), *(entry.get("RepoDigests") or ())]:
            if word in name:
                engine.untag(name)


def _base_layer(engine: Engine) -> bytes:
    with tarfile.open(fileobj=io.BytesIO(b"".join(engine._api.get_image(BUSYBOX)))) as archive:
        (named,) = json.loads(_member(archive, "manifest.json"))
        layer = _member(archive, named["Layers"][0])
    # The containerd store exports layers as it stores them: mostly compressed.
    return gzip.decompress(layer) if layer.startswith(_GZIP) else layer


def _member(archive: tarfile.TarFile, name: str) -> bytes:
    file = archive.extractfile(name)
    assert file
    return file.read()


def _layer(name: str, data: bytes) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        entry = tarfile.TarInfo(name)
        entry.size = len(data)
        tar.addfile(entry, io.BytesIO(data))
    return packed.getvalue()


def _digest(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def _described(media: str, data: bytes) -> dict[str, Any]:
    return {"mediaType": media, "size": len(data), "digest": _digest(data)}


def _put_blob(base: str, data: bytes) -> None:
    start = urllib.request.Request(f"{base}/blobs/uploads/", method="POST")
    with urllib.request.urlopen(start) as answer:
        place = answer.headers["Location"]
    _put(f"{place}&digest={_digest(data)}", "application/octet-stream", data)


def _put_manifest(host: str, repo: str, reference: str, media: str, data: bytes) -> None:
    _put(f"http://{host}/v2/{repo}/manifests/{reference}", media, data)


def _put(url: str, media: str, data: bytes) -> None:
    request = urllib.request.Request(url, data=data, method="PUT", headers={"Content-Type": media})
    urllib.request.urlopen(request).close()
