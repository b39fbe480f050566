"""A web server on a real socket, with the database and keys of the command line under test."""

from collections.abc import Iterator
from contextlib import contextmanager

from tests.web.conftest import serving
from web.server.wiring import open_services
from workers.settings import load_settings
from workers.startup import database


@contextmanager
def web_server() -> Iterator[str]:
    """Its address. To be used with ``settings_of``."""
    settings = load_settings()

    with database(settings) as engine, open_services(settings, engine) as services, serving(services) as url:
        yield url
