"""Fixtures for all tests."""

pytest_plugins = ["tests.support.services", "tests.support.engine", "tests.support.disks", "tests.support.object_store"]
