"""Docker contexts: named engines in the docker command's folder, of which `docker context use` selects one."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from runner.docker.endpoints.endpoint import (
    DEFAULT_SOCKET,
    Address,
    Tls,
    UnixSocket,
    bad_endpoint,
    config_folder,
    parse_address,
)

DEFAULT = "default"
"""The context that stands for no context."""
TLS_FILES = ("ca.pem", "cert.pem", "key.pem")


@dataclass(frozen=True)
class ContextName:
    """The current context, and the variable or file that selects it."""

    name: str
    selected_by: str


def current_context(environment: Mapping[str, str]) -> ContextName | None:
    """The context that the docker command would use, or None. Raises MachineError if its file is broken."""
    name, selected_by = environment.get("DOCKER_CONTEXT", ""), "DOCKER_CONTEXT"
    if not name:
        file = config_folder(environment) / "config.json"
        name, selected_by = str(_read_json(file).get("currentContext") or ""), f"`currentContext` in {file}"
    return ContextName(name, selected_by) if name not in {"", DEFAULT} else None


def read_context(config: Path, context: ContextName) -> Address:
    """The address of a context. Raises MachineError if the context does not exist or has no engine."""
    key = sha256(context.name.encode()).hexdigest()
    file = config / "contexts" / "meta" / key / "meta.json"
    if not file.exists():
        known = ", ".join(context_names(config)) or "none but the default"
        hint = f"the contexts here are: {known}. Choose one with `docker context use NAME`, or unset DOCKER_CONTEXT"
        raise bad_endpoint(f"there is no docker context {context.name!r}, which {context.selected_by} selects; {hint}")
    endpoint = _table(_table(_read_json(file).get("Endpoints")).get("docker"))
    if not endpoint:
        hint = "choose another with `docker context use NAME`"
        raise bad_endpoint(f"the docker context {context.name!r} names no Docker Engine ({file}); {hint}")
    tls = _tls(config / "contexts" / "tls" / key / "docker", skip=bool(endpoint.get("SkipTLSVerify")))
    text = str(endpoint.get("Host") or "")
    return parse_address(text, f"the docker context {context.name!r}", tls) if text else UnixSocket(DEFAULT_SOCKET)


def context_names(config: Path) -> list[str]:
    """The names of all contexts except the default and broken ones."""
    names = []
    for file in config.glob("contexts/meta/*/meta.json"):
        try:
            names.append(str(json.loads(file.read_text())["Name"]))
        except (OSError, ValueError, KeyError, TypeError):
            continue
    return sorted(names)


def write_context(config: Path, name: str, host: str, tls: Tls) -> None:
    """Creates a docker context in ``config``, with copies of its certificates."""
    key = sha256(name.encode()).hexdigest()
    meta, certificates = config / "contexts" / "meta" / key, config / "contexts" / "tls" / key / "docker"
    for folder in (meta, certificates):
        folder.mkdir(parents=True, exist_ok=True)
    for file in TLS_FILES:
        if (tls.folder / file).exists():
            (certificates / file).write_bytes((tls.folder / file).read_bytes())
    endpoint = {"Host": host, "SkipTLSVerify": not tls.verify}
    (meta / "meta.json").write_text(json.dumps({"Name": name, "Metadata": {}, "Endpoints": {"docker": endpoint}}))


def _tls(folder: Path, *, skip: bool) -> Tls | None:
    if skip or any((folder / name).exists() for name in TLS_FILES):
        return Tls(folder, verify=not skip)
    return None


def _read_json(file: Path) -> Mapping[str, Any]:
    """A JSON file of the docker command; empty if it is missing or not readable, as for the docker command itself."""
    try:
        found = json.loads(file.read_bytes())
    except OSError:
        return {}
    except ValueError as error:
        hint = "fix it, delete it, or set DOCKER_HOST"
        raise bad_endpoint(f"{file}, which selects the Docker Engine, is not valid JSON ({error}); {hint}") from None
    return _table(found)


def _table(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}
