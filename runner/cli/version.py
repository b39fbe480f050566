"""What ``headway --version`` says: this program, its Python, and the engine that it would use."""

import platform
import sys
from collections.abc import Mapping
from concurrent.futures import TimeoutError as TimeIsOverError
from contextlib import closing
from importlib.metadata import version
from typing import Any, TextIO

from runner.docker.about import About, image_store
from runner.docker.client import Engine
from runner.errors import StepError
from runner.threads import in_background

PATIENCE_S = 2.0


def show_version(out: TextIO) -> int:
    """Writes it and returns the exit status. An engine that takes longer than ``PATIENCE_S`` is not waited for."""
    asked = in_background(_engine)
    out.write(f"headway {version('headway')}\nPython {platform.python_version()} ({sys.executable})\n")
    out.flush()
    try:
        said = asked.result(PATIENCE_S)
    except TimeIsOverError:
        said = f"the Docker Engine does not answer within {PATIENCE_S:g} s"
    except StepError as error:
        said = str(error)
    out.write(f"{said}\n")
    return 0


def _engine() -> str:
    with closing(Engine()) as engine:
        return engine_line(engine.connection.about, engine.info(), str(engine.connection.transport.endpoint))


def engine_line(about: About, info: Mapping[str, Any], where: str) -> str:
    """One line on an engine, from what it says of itself."""
    spoken = "" if about.api == about.api_newest else f", of which {about.api} is spoken"
    rootless = ", rootless" if about.rootless else ""
    store = image_store(info)
    return f"Docker Engine {about.version} (API {about.api_newest}{spoken}{rootless}), image store {store}, at {where}"
