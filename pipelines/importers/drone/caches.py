"""Cache plugins of Drone: steps that restore and rebuild folders become the key ``cache`` of the other steps."""

import re
from posixpath import normpath

from pipelines.importers.keys import entries_of, text_of, texts_of
from pipelines.importers.yaml_text import Raw
from pipelines.syntax.nodes import MapNode, Node

_IMAGES = re.compile(r"(?:.*/)?(?:drone-(?:[a-z0-9]+-)?cache|(?:s3|gcs|sftp|oss|azure|volume)-cache)(?::.*)?")
_MOUNTS = ("mount", "mounts", "cache_paths", "path")
CHECKOUT = "/drone/src"


def is_cache_plugin(step: MapNode) -> bool:
    """Does the step only keep folders for other runs?"""
    return _IMAGES.fullmatch(text_of(step.by_key.get("image"))) is not None and "commands" not in step.by_key


_GIT = re.compile(r"(?:docker\.io/)?(?:plugins|drone)/git(?::.*)?")


def is_clone(step: MapNode) -> bool:
    """Does the step only make the checkout?"""
    return _GIT.fullmatch(text_of(step.by_key.get("image"))) is not None and "commands" not in step.by_key


def folders_of(step: MapNode) -> list[Raw]:
    """The folders that a cache plugin keeps."""
    settings = step.by_key.get("settings", step)
    found: list[Raw] = []
    for key, value in entries_of(settings):
        if key.text in _MOUNTS:
            for text in _comma_texts(value):
                path = normpath(text.removeprefix(CHECKOUT).lstrip("/") if text.startswith(CHECKOUT) else text)
                if path not in {"", "."}:
                    found.append(Raw(path))
    return list(dict.fromkeys(found))


def _comma_texts(value: Node) -> list[str]:
    return [part.strip() for text in texts_of(value) for part in text.split(",") if part.strip()]
