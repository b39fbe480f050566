"""Fixtures of the tests of images."""

from collections.abc import Iterator

import pytest

from runner.docker.client import Engine
from tests.support.registry import Registry
from tests.support.registry_images import untag_matching
from tests.support.registry_proxy import RegistryProxy, registry_proxy


@pytest.fixture
def front(engine: Engine, registry: Registry) -> Iterator[RegistryProxy]:
    """A proxy before the registry, whose answers a test may change."""
    with registry_proxy(registry.host) as made:
        yield made
        untag_matching(engine, made.host)
