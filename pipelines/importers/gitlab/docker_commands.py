"""Scripts that only build, tag and push images, as ``build`` and ``push``."""

import re
import shlex
from collections.abc import Callable, Sequence
from posixpath import join
from typing import NamedTuple

from pipelines.compiler.steps import leads_out
from pipelines.importers.images import dockerfile_from
from pipelines.importers.yaml_text import Raw, Value

_NOTHING = re.compile(
    r"docker\s+(?:login|logout|info|version|pull|images|buildx\s+(?:create|use|inspect|ls))\b.*"
    r"|echo\b[^|>]*(?:\|\s*docker\s+login\b.*)?|(?:docker-compose|docker)\s+(?:--version|-v)"
    r"|echo\b.*>\s*/kaniko/\.docker/config\.json"
    r"|(?:until|while)\s.*docker\s+info.*|sleep\s+\d+|mkdir\s+-p\s+/kaniko/\.docker|:|true"
)
_WITH_VALUE = {"-t": "tag", "--tag": "tag", "-f": "file", "--file": "file", "--build-arg": "arg", "--target": "target"}
_WITH_VALUE |= {
    "--cache-from": "cache",
    "--platform": "platform",
    "--label": "label",
    "--progress": "",
    "--cache-to": "",
}
_ALONE = {
    "--pull": "pull",
    "--no-cache": "no_cache",
    "--push": "push",
    "--rm": "",
    "-q": "",
    "--load": "",
    "--quiet": "",
}
_CHECKOUT = re.compile(r"^(?:\$\{?CI_PROJECT_DIR\}?|/headway/src)(?=/|$)/?")


class Images(NamedTuple):
    """What a script does with images. ``builds`` are the keys of ``build``; ``pushes`` are names with their tags."""

    builds: list[dict[str, Value]]
    pushes: list[tuple[Raw, list[Value]]]


class _UnknownError(Exception):
    """A command that does something else."""


def images_of(lines: Sequence[str], fill: Callable[[str], Raw]) -> Images | None:
    """What the lines build and push; None if they do anything else. ``fill`` fills in variables."""
    builds: list[dict[str, Value]] = []
    pushed: list[Raw] = []
    try:
        for line in _commands(lines):
            _command(line, builds, pushed, fill)
    except _UnknownError:
        return None
    if not (builds or pushed) or len(builds) > 1:
        return None
    names: dict[Raw, list[Value]] = {}
    for image in pushed:
        name, tag = _split(image)
        names.setdefault(name, []).append(tag)
    return Images(builds, list(names.items()))


def _split(image: Raw) -> tuple[Raw, Raw]:
    """The name and the tag; a colon inside of ``${}`` or before a slash is not the tag's."""
    depth = 0
    for index in range(len(image) - 1, -1, -1):
        depth += {"}": 1, "{": -1}.get(image[index], 0)
        if depth == 0 and image[index] == "/":
            break
        if depth == 0 and image[index] == ":":
            return Raw(image[:index]), Raw(image[index + 1 :])
    return image, Raw("latest")


def _commands(lines: Sequence[str]) -> list[str]:
    text = re.sub(r"\\\n\s*", " ", "\n".join(lines))
    parts = [part.strip() for line in text.splitlines() for part in re.split(r"\s&&\s|;\s", line)]
    return [re.sub(r"\s*\|\|\s*(?:true|:)$", "", part) for part in parts if part and not part.startswith("#")]


def _command(line: str, builds: list[dict[str, Value]], pushed: list[Raw], fill: Callable[[str], Raw]) -> None:
    if _NOTHING.fullmatch(line):
        return
    try:
        words = shlex.split(line)
    except ValueError:
        raise _UnknownError from None
    if any(word in {"|", ">", ">>", "||", "&"} for word in words) or "$(" in line or "`" in line:
        raise _UnknownError
    match _plain(words):
        case ["docker", "build", *rest]:
            _build(rest, builds, pushed, fill)
        case ["docker", "push", image]:
            if fill(image) not in pushed:
                pushed.append(fill(image))
        case ["docker", "tag", _, _]:
            pass
        case _:
            raise _UnknownError


def _plain(words: list[str]) -> list[str]:
    """The command in its shortest spelling."""
    if words[:1] and words[0].endswith("/executor"):
        return ["docker", "build", *_of_kaniko(words[1:])]
    if words[:2] in (["docker", "buildx"], ["docker", "image"]):
        words = ["docker", *words[2:]]
    return [word for word in words if word not in {"-q", "--quiet"}]


_KANIKO = {"--context": "", "-c": "", "--dockerfile": "-f", "-f": "-f", "--destination": "-t", "-d": "-t"}
_OF_KANIKO_ALONE = (
    "--cache",
    "--skip-tls-verify",
    "--insecure",
    "--snapshot",
    "--verbosity",
    "--use-new-run",
    "--single",
)


def _of_kaniko(words: Sequence[str]) -> list[str]:
    """The arguments of ``docker build`` in place of those of Kaniko, which pushes what it has built."""
    found = ["--push"]
    context = "."
    rest = iter(words)
    for word in rest:
        name, equals, value = word.partition("=")
        if name.startswith(_OF_KANIKO_ALONE):
            continue
        if name not in {*_KANIKO, "--build-arg", "--target"}:
            raise _UnknownError
        value = value if equals else next(rest, "")
        if name in {"--context", "-c"}:
            context = value.removeprefix("dir://")
        else:
            found += [_KANIKO.get(name, name), value]
    return [*found, context]


def _build(words: list[str], builds: list[dict[str, Value]], pushed: list[Raw], fill: Callable[[str], Raw]) -> None:
    options, contexts = _options(words)
    if len(contexts) != 1:
        raise _UnknownError
    context = _CHECKOUT.sub("", contexts[0]).removeprefix("./").rstrip("/") or "."
    build: dict[str, Value] = {"context": fill(context)}
    files = options.get("file", ["Dockerfile"])
    dockerfile = dockerfile_from(context, _CHECKOUT.sub("", files[-1]).removeprefix("./"))
    if leads_out(context) or leads_out(join(context, dockerfile)):
        raise _UnknownError
    if "file" in options:
        build["dockerfile"] = fill(dockerfile)
    if arguments := options.get("arg"):
        pairs = (argument.partition("=") for argument in arguments)
        build["args"] = {name: fill(value if equals else f"${name}") for name, equals, value in pairs}
    if targets := options.get("target"):
        build["target"] = fill(targets[-1])
    if platforms := options.get("platform"):
        build["platforms"] = [fill(each) for each in platforms[-1].split(",")]
    build |= {key: True for key in ("pull", "no_cache") if key in options}
    builds.append(build)
    if "push" in options:
        pushed.extend(fill(tag) for tag in options.get("tag", []))


def _options(words: list[str]) -> tuple[dict[str, list[str]], list[str]]:
    """The options that count, and the other words."""
    options: dict[str, list[str]] = {}
    others: list[str] = []
    rest = iter(words)
    for word in rest:
        name, equals, value = word.partition("=")
        if name in _WITH_VALUE:
            options.setdefault(_WITH_VALUE[name], []).append(value if equals else next(rest, ""))
        elif word in _ALONE:
            options[_ALONE[word]] = ["true"]
        elif word.startswith("-"):
            raise _UnknownError
        else:
            others.append(word)
    return options, others
