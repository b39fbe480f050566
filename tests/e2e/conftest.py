"""The whole stack for end-to-end tests, started once for a module."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.stack import Stack
from tests.support.registry import running_registry


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Gives all tests of this folder the mark e2e, if they have no other one."""
    folder = f"{Path(__file__).parent}{os.sep}"
    for item in items:
        marks = {mark.name for mark in item.iter_markers()}
        if str(item.path).startswith(folder) and not marks & {"compose", "browser"}:
            item.add_marker(pytest.mark.e2e)


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """`headway serve` and a registry. At the end of the module no process of them is left."""
    for program in ("redis-server", "docker-registry", "git", "curl", "openssl"):
        if shutil.which(program) is None:
            refuse = pytest.fail if os.environ.get("CI") else pytest.skip
            refuse(f"{program} is not installed; `make test` installs it")
    folder = tmp_path_factory.mktemp("stack")
    storage = tmp_path_factory.mktemp("registry")
    with running_registry(storage) as registry:
        stack = Stack(folder, registry)
        stack.start()
        try:
            yield stack
        finally:
            if stack.process is not None:
                assert stack.stop() == 0
