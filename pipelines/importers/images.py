"""What is known of images by their names."""

import re

from pipelines.importers.yaml_text import Value

_ENTRYPOINTS = (
    (re.compile("postgres|mysql|mariadb|redis|mongo|rabbitmq|memcached|nginx|node|wordpress"), "docker-entrypoint.sh"),
    (re.compile("postgis|timescaledb|pgvector|valkey"), "docker-entrypoint.sh"),
    (re.compile("docker"), "dockerd-entrypoint.sh"),
    (re.compile("minio"), "/usr/bin/docker-entrypoint.sh"),
)


def base_name(image: str) -> str:
    """The last part of an image's name without version."""
    return re.sub(r"[:@].*", "", image.rpartition("/")[2])


def entrypoint_of(image: str) -> list[Value]:
    """The entrypoint of a well-known image; empty for all others."""
    name = base_name(image)
    return next(([path] for pattern, path in _ENTRYPOINTS if pattern.fullmatch(name)), [])


def is_docker_daemon(image: str) -> bool:
    """Does the image run a Docker daemon?"""
    return base_name(image) in {"docker", "dind"} and ("dind" in image or ":" not in image)


def dockerfile_from(context: str, dockerfile: str) -> str:
    """A Dockerfile's path from the context: ``docker build -f`` counts it from where it runs."""
    if context == "." or dockerfile.startswith("/"):
        return dockerfile
    if dockerfile.startswith(f"{context}/"):
        return dockerfile.removeprefix(f"{context}/")
    return "../" * (context.count("/") + 1) + dockerfile
