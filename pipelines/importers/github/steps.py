"""The steps of a job, read one by one: what they set up, keep and run."""

import re
from collections.abc import Callable, Mapping

from pipelines.importers.github import kept_files, sources
from pipelines.importers.github.actions import (
    CACHED_TOOLS,
    CACHES,
    COMMANDS,
    IGNORED,
    LEFT_OUT,
    MISSING,
    PLUGINS,
    TOOLS,
    Uses,
    filled,
    read_values,
    uses_of,
)
from pipelines.importers.github.reading import Plugin, Reading, with_text
from pipelines.importers.github.scripts import Run
from pipelines.importers.keys import Keys, entries_of, text_of
from pipelines.importers.yaml_text import Raw, Value
from pipelines.syntax.nodes import Node

_OWN: Mapping[str, Callable[[Reading, Keys, Run], None]] = {
    "actions/checkout": sources.checkout,
    "actions/cache": kept_files.cache,
    "actions/cache/restore": kept_files.cache,
    "actions/cache/save": kept_files.cache,
    "actions/upload-artifact": kept_files.upload,
    "actions/upload-pages-artifact": kept_files.upload,
    "actions/download-artifact": kept_files.download,
    "docker/build-push-action": sources.build,
    "docker/metadata-action": sources.metadata,
    "pypa/gh-action-pypi-publish": sources.publish,
}
_KNOWN = TOOLS.keys() | COMMANDS.keys() | IGNORED.keys() | CACHES.keys()
_INSTALLER = "https://github.com/mlocati/docker-php-extension-installer/releases/latest/download/install-php-extensions"


def read_step(reading: Reading, node: Node) -> None:
    """Reads one step."""
    remarks = reading.texts.remarks
    keys = Keys(node, remarks, "a step")
    name = " ".join(keys.text("name").split())
    uses = uses_of(keys.text("uses"))
    run = Run(
        text=keys.text("run"),
        place=keys.place("run") if keys.has("run") else keys.place("uses"),
        name=name,
        step_id=keys.text("id").lower(),
        shell=keys.text("shell") or reading.shell,
        directory=_directory(keys.text("working-directory") or reading.directory),
        env=tuple((key.text, text_of(value), value.place) for key, value in entries_of(keys.take("env"))),
        condition=keys.text("if"),
        continues=_continues(keys),
        timeout=keys.text("timeout-minutes"),
    )
    keys.where = f"step '{name}'" if name else "a step"
    inputs = Keys(keys.take("with"), remarks, f"'with' of {uses.name or keys.where}")
    keys.remark_rest()
    if uses.name:
        _action(reading, uses, inputs, run)
    elif run.text.strip():
        reading.add(run)


def _directory(text: str) -> str:
    """The folder of a run; empty for the checkout, where it begins."""
    return "" if text in {".", "./"} else text


def _continues(keys: Keys) -> bool:
    """``continue-on-error``; one that an expression decides counts as true."""
    text = keys.text("continue-on-error")
    if "${{" in text:
        keys.remarks.warning(keys.place("continue-on-error"), "'continue-on-error' counts as true here")
    return text not in {"", "false"}


def _action(reading: Reading, uses: Uses, inputs: Keys, run: Run) -> None:
    remarks = reading.texts.remarks
    if uses.name in _OWN:
        _OWN[uses.name](reading, inputs, run)
    elif uses.name in PLUGINS:
        settings = {key.text: _setting(reading, value) for key, value in entries_of(inputs.node)}
        value: dict[str, Value] = {"image": PLUGINS[uses.name], "settings": settings}
        reading.parts.append(Plugin(run.name or uses.name.rpartition("/")[2], value, run.condition, run.place))
    elif uses.name in _KNOWN:
        _known(reading, uses, inputs, run)
    elif uses.name in LEFT_OUT:
        does, hint = LEFT_OUT[uses.name]
        remarks.warning(run.place, f"the action {uses.name} {does}; it is left out", hint)
    else:
        does, hint = MISSING.get(uses.name, ("is not known here", "write the commands that do the same"))
        remarks.error(run.place, f"the action {uses.name} {does}; it is left out", hint)


def _setting(reading: Reading, node: Node) -> Value:
    value = reading.texts.environment(text_of(node), node.place)
    return reading.texts.value(text_of(node), node.place) if value is None else value


def _known(reading: Reading, uses: Uses, inputs: Keys, run: Run) -> None:
    """A tool that is set up, commands in place of an action, caches."""
    values = {key.text.lower(): text_of(value) for key, value in entries_of(inputs.node)}
    _tool(reading, uses, values, run)
    found = _caches_of(uses, values)
    reading.caches += [Raw(each) for each in found if each not in reading.caches]
    if left := sorted(values.keys() - read_values(uses)) if uses.name not in IGNORED else []:
        shown = ", ".join(f"'{key}'" for key in left)
        reading.texts.remarks.note(run.place, f"{shown} of {uses.name}: left out, without a counterpart")
    if uses.name in IGNORED:
        reading.texts.remarks.note(run.place, f"the action {uses.name} is not needed: {IGNORED[uses.name]}")
    commands = [*COMMANDS.get(uses.name, ()), *_more_commands(uses, values)]
    if uses.name.startswith("gradle/") and not values.get("arguments"):
        commands = []
    if commands:
        reading.add(with_text(run, "\n".join(filled(command, values) for command in commands), values))


def _tool(reading: Reading, uses: Uses, values: dict[str, str], run: Run) -> None:
    tool, keys = TOOLS.get(uses.name, ("", ()))
    if not tool:
        return
    version = values.get(keys[0], "")
    if uses.name == "dtolnay/rust-toolchain" and not version:
        version = uses.version
    file = next((values[key] for key in keys[1:] if key in values), "")
    if file and not version:
        text = f"the version of {tool} is not read from {file}; here it is the newest"
        reading.texts.remarks.warning(run.place, text, "write it into 'image'")
    if version or tool not in {name for name, _ in reading.tools}:
        reading.tools.append((tool, version))


def _caches_of(uses: Uses, values: dict[str, str]) -> list[str]:
    found: list[str] = list(CACHES.get(uses.name, ()))
    wanted = values.get("cache", "")
    if wanted in CACHED_TOOLS:
        found.append(wanted)
    elif wanted in {"poetry", "pipenv"}:
        found.append("pip")
    elif uses.name == "actions/setup-go" and wanted != "false":
        found.append("go")
    if values.get("bundler-cache") == "true":
        found.append("bundler")
    if uses.name == "astral-sh/setup-uv" and values.get("enable-cache") != "false":
        found.append("~/.cache/uv")
    return found


def _more_commands(uses: Uses, values: dict[str, str]) -> list[str]:
    """Commands that values of ``with`` ask for."""
    found: list[str] = []
    if url := values.get("registry-url"):
        host = re.sub(r"^https?:", "", url).rstrip("/")
        found.append(f"echo '{host}/:_authToken=${{NODE_AUTH_TOKEN}}' >> ~/.npmrc")
    if values.get("bundler-cache") == "true":
        found.append("bundle install")
    if uses.name == "shivammathur/setup-php":
        wanted = re.split(r"[,\s]+", values.get("extensions", "").strip())
        extensions = [*(each for each in wanted if each and not each.startswith((":", "none"))), "@composer"]
        found.append(f"curl -fsSLo /usr/local/bin/install-php-extensions {_INSTALLER}")
        found.append(f"sh /usr/local/bin/install-php-extensions {' '.join(extensions)}")
    if uses.name.endswith("rust-toolchain") and (parts := values.get("components", "")):
        found.append(f"rustup component add {parts.replace(',', ' ')}")
    return found
