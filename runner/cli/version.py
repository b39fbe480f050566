"""``headway --version``: shows the versions of Headway, of Python, and of the engine."""

import platform
import sys
from collections.abc import Mapping
from concurrent.futures import TimeoutError as TimeIsOverError
from contextlib import closing
from importlib import metadata
from typing import Any, TextIO

from runner.cli import exit_status
from runner.docker.client import Engine
from runner.docker.compatibility import EngineVersion, image_store, missing_limits
from runner.errors import StepError
from runner.threads import in_background

ENGINE_TIMEOUT_S = 2.0


def show_version(out: TextIO) -> int:
    """Writes the versions and returns the exit status. Waits for the engine for at most ``ENGINE_TIMEOUT_S``."""
    engine = in_background(_engine)
    out.write(f"headway {metadata.version('headway')}\nPython {platform.python_version()} ({sys.executable})\n")
    out.flush()
    try:
        line = engine.result(ENGINE_TIMEOUT_S)
    except TimeIsOverError:
        line = f"the Docker Engine does not answer within {ENGINE_TIMEOUT_S:g} s"
    except StepError as error:
        line = str(error)
    out.write(f"{line}\n")
    return exit_status.DONE


def _engine() -> str:
    with closing(Engine()) as engine:
        info = engine.info()
        line = engine_line(engine.connection.version, info, str(engine.connection.transport.endpoint))
        return "\n".join(filter(None, (line, missing_limits(info))))


def engine_line(engine: EngineVersion, info: Mapping[str, Any], where: str) -> str:
    """One line about an engine, from its answers to /version and /info."""
    spoken = "" if engine.api == engine.api_newest else f", of which {engine.api} is spoken"
    rootless = ", rootless" if engine.rootless else ""
    store = image_store(info)
    return (
        f"Docker Engine {engine.version} (API {engine.api_newest}{spoken}{rootless}), image store {store}, at {where}"
    )
