"""Node: npm, pnpm, yarn and bun, and the scripts of package.json."""

import json
from collections.abc import Mapping
from typing import NamedTuple

from runner.cli.init.found import Found, Step, step, version_in
from runner.cli.init.repository import Repository

NEWEST = "22"
_SCRIPTS = ("lint", "typecheck", "test", "build")


class _Manager(NamedTuple):
    name: str
    install: list[str]
    cache: str


def find(repository: Repository) -> Found | None:
    """The steps of a Node project at the root."""
    if not repository.has("package.json"):
        return None
    package = _package(repository)
    manager = _manager(repository, package)
    image = "oven/bun:1" if manager.name == "bun" else f"node:{_version(repository, package)}"
    scripts = _texts(package.get("scripts"))
    steps = [step("install", image, manager.install, manager.cache)]
    steps += [
        _script(name, scripts[name], image, manager, package)
        for name in _SCRIPTS
        if name in scripts and "no test specified" not in scripts[name]
    ]
    return Found(f"Node with {manager.name}", steps, ("the steps share the checkout, and so node_modules",))


def _package(repository: Repository) -> Mapping[str, object]:
    try:
        found = json.loads(repository.text("package.json"))
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _texts(value: object) -> dict[str, str]:
    if not isinstance(value, dict):
        return {}
    return {key: text for key, text in value.items() if isinstance(key, str) and isinstance(text, str)}


def _version(repository: Repository, package: Mapping[str, object]) -> str:
    for name in (".nvmrc", ".node-version"):
        if pinned := version_in(repository.text(name), r"^v?(\d{1,3})\b", ""):
            return pinned
    wanted = version_in(_texts(package.get("engines")).get("node", ""), r"\b(\d{1,3})\b", "")
    return max(wanted, NEWEST, key=int) if wanted and int(wanted) < 100 else NEWEST  # noqa: PLR2004 - no such version


def _manager(repository: Repository, package: Mapping[str, object]) -> _Manager:
    named = str(package.get("packageManager", "")).partition("@")[0]
    if repository.has("pnpm-lock.yaml") or named == "pnpm":
        return _Manager("pnpm", ["corepack enable", _frozen("pnpm", repository.has("pnpm-lock.yaml"))], "pnpm")
    if repository.has("yarn.lock") or named == "yarn":
        if repository.has(".yarnrc.yml"):
            return _Manager("yarn", ["corepack enable", "yarn install --immutable"], "yarn")
        return _Manager("yarn", [_frozen("yarn", repository.has("yarn.lock"))], "yarn")
    if repository.has("bun.lock", "bun.lockb"):
        return _Manager("bun", ["bun install --frozen-lockfile"], "")
    is_locked = repository.has("package-lock.json", "npm-shrinkwrap.json")
    return _Manager("npm", ["npm ci" if is_locked else "npm install"], "npm")


def _frozen(name: str, is_locked: bool) -> str:
    return f"{name} install{' --frozen-lockfile' if is_locked else ''}"


def _script(name: str, text: str, image: str, manager: _Manager, package: Mapping[str, object]) -> Step:
    """The step of a script; the tests with a report where their runner can write one."""
    first = ["corepack enable"] if "corepack enable" in manager.install else []
    installed = _texts(package.get("devDependencies")) | _texts(package.get("dependencies"))
    if name == "test" and text.split()[:1] == ["vitest"]:
        command = "npx vitest run --reporter=default --reporter=junit --outputFile=report.xml"
        return step(name, image, [command], reports="report.xml")
    if name == "test" and "jest" in text.split() and "jest-junit" in installed:
        return step(name, image, ["npx jest --ci --reporters=default --reporters=jest-junit"], reports="junit.xml")
    return step(name, image, [*first, f"{manager.name} run {name}"])
