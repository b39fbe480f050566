"""Labels: which worker may run which job. A job asks for labels, a worker offers labels."""

import hashlib
import json
import platform
import socket
from collections.abc import Mapping

ANY = "*"
ONLY = "!"
"""With this before the name of a label, a worker runs only jobs that ask for this label."""

NO_LABELS = ""
"""The lane of jobs that ask for no labels, see ``lane_of``."""

_PLATFORMS = {"x86_64": "linux/amd64", "aarch64": "linux/arm64", "arm64": "linux/arm64"}


def parse_labels(text: str) -> dict[str, str]:
    """``gpu=true,platform=linux/amd64`` as labels by name. Raises ValueError with a sentence."""
    labels: dict[str, str] = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        name, equals, value = (word.strip() for word in part.partition("="))
        if not (name.removeprefix(ONLY) and equals and value):
            raise ValueError(
                f"'{part}' is no label; write NAME=VALUE, with a comma between two, like gpu=true,disk=ssd"
            )
        labels[name] = value
    return labels


def this_platform() -> str:
    """The platform of this machine, as images name it: ``linux/amd64``."""
    return _PLATFORMS.get(platform.machine(), f"linux/{platform.machine()}")


def offered_here(text: str) -> dict[str, str]:
    """The labels of a worker on this machine: the built-in ones, and its own. Raises ValueError with a sentence."""
    own = {"platform": this_platform(), "hostname": socket.gethostname(), "backend": "docker", "repo": ANY}
    return own | parse_labels(text)


def wanted(labels: Mapping[str, str], repo: str) -> dict[str, str]:
    """The labels that a job of the repository ``repo`` asks for: its workflow's, and its repository."""
    return {**{name: value for name, value in labels.items() if value}, "repo": repo}


def fits(asked: Mapping[str, str], offered: Mapping[str, str]) -> bool:
    """True where a worker that offers the labels ``offered`` may run a job that asks for the labels ``asked``.

    The worker must offer every label that the job asks for, with the same value or ``*``. The job must ask for every
    label that the worker offers with ``!`` before its name.
    """
    only = {name.removeprefix(ONLY): value for name, value in offered.items() if name.startswith(ONLY)}
    offers = {**only, **offered}
    suits = all(offers.get(name) in {value, ANY} for name, value in asked.items())
    return suits and all(name in asked and value in {asked[name], ANY} for name, value in only.items())


def queue_of(offered: Mapping[str, str]) -> str:
    """The queue of all workers with exactly these labels. They also listen to the queue of all workers."""
    text = json.dumps(sorted(offered.items()))
    return f"headway-{hashlib.sha256(text.encode()).hexdigest()[:16]}"


def lane_of(labels: Mapping[str, str]) -> str:
    """Stands for the labels that a workflow asks for. Short, whatever they are: it is part of a database's index."""
    asked = sorted((name, value) for name, value in labels.items() if value)
    return hashlib.sha256(json.dumps(asked).encode()).hexdigest()[:16] if asked else NO_LABELS
