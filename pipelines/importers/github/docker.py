"""``docker/build-push-action`` and ``docker/metadata-action`` as ``build`` and ``push``."""

import re
from posixpath import join
from typing import NamedTuple

from pipelines.compiler.steps import leads_out
from pipelines.importers.github.expressions.folding import fold
from pipelines.importers.github.expressions.parser import Lit, Tree, UnreadableError, parse_condition
from pipelines.importers.github.expressions.texts import Texts
from pipelines.importers.images import dockerfile_from
from pipelines.importers.keys import Keys
from pipelines.importers.yaml_text import Raw, Value, literal
from pipelines.syntax.diagnostics import Place

_META = re.compile(r"\$\{\{\s*steps\.([\w-]+)\.outputs\.(tags|labels|json)\s*\}\}", re.IGNORECASE)
_TYPE = re.compile(r"type=(\w+)")
_NOT_NEEDED = (
    *("cache-from", "cache-to", "provenance", "sbom", "load", "builder", "annotations", "attests", "github-token"),
    *("outputs", "secret-envs", "call"),
)


class Names(NamedTuple):
    """The names and tags that a step of ``docker/metadata-action`` makes."""

    repos: list[Raw]
    tags: list[Value]


class Images(NamedTuple):
    """A build, and the names that it is pushed under, with their tags. ``pushed`` is the condition of the push."""

    build: dict[str, Value]
    names: list[tuple[list[Raw], list[Value]]]
    pushed: str


def lines_of(text: str) -> list[str]:
    """The values of a key that takes a list as lines or with commas."""
    return [part.strip() for line in _lines(text) for part in line.split(",") if part.strip()]


def _lines(text: str) -> list[str]:
    """The lines that are not empty and no comments."""
    return [line for each in text.splitlines() if (line := each.strip()) and not line.startswith("#")]


def names_of(keys: Keys, texts: Texts) -> Names:
    """What a step of ``docker/metadata-action`` stands for."""
    place = keys.place("images")
    repos = [texts.value(line, place) for line in _lines(keys.text("images"))]
    lines = _lines(keys.text("tags"))
    tags: list[Value] = []
    for line in lines or ["type=ref,event=branch", "type=semver,pattern={{version}}"]:
        tag = _tag(line, texts, keys)
        if tag and tag not in tags:
            tags.append(tag)
    for key in ("labels", "annotations", "context", "github-token", "bake-target", "sep-tags"):
        keys.take(key)
    if flavor := keys.text("flavor"):
        texts.remarks.warning(keys.place("flavor"), f"the flavor {' '.join(flavor.split())} of the tags is left out")
    keys.remark_rest()
    return Names([repo for each in repos for repo in (Raw(part.strip()) for part in each.split(",")) if repo], tags)


def _tag(line: str, texts: Texts, keys: Keys) -> Value:
    found = _TYPE.search(line)
    options = dict(part.partition("=")[::2] for part in line.split(","))
    if options.get("enable", "").strip().lower() == "false":
        return ""
    kind = found[1] if found else "raw"
    match kind, options.get("event", ""):
        case "ref", "branch" | "":
            return Raw("${CI_COMMIT_BRANCH@tag}")
        case "ref", "pr":
            return ""
        case "ref" | "semver" | "pep440", _:
            return "auto"
        case "sha", _:
            prefix = options.get("prefix", "sha-")
            return Raw(
                f"{literal(prefix)}${{CI_COMMIT_SHA:0:7}}"
                if options.get("format") != "long"
                else f"{literal(prefix)}${{CI_COMMIT_SHA}}"
            )
        case "raw", _:
            return texts.value(options.get("value", line if "=" not in line else ""), keys.place("tags"))
        case _:
            texts.remarks.warning(keys.place("tags"), f"the tag {line} has no counterpart; it is left out")
            return ""


def _places(keys: Keys, texts: Texts) -> dict[str, Value]:
    """The context and the Dockerfile. What leads out of the checkout no build may read, so it is left out."""
    place = keys.place("context")
    context = keys.text("context").removeprefix("./").rstrip("/") or "."
    if "github.server_url" in context or context.startswith(("{{", "https:")):
        context = "."
    if leads_out(context):
        texts.remarks.warning(place, f"the context {context} is outside of the checkout; it is left out")
        context = "."
    build: dict[str, Value] = {"context": texts.value(context, place)}
    if file := keys.text("file"):
        dockerfile = dockerfile_from(context, file.removeprefix("./"))
        if leads_out(join(context, dockerfile)):
            said = f"the Dockerfile {file} is outside of the checkout; it is left out"
            texts.remarks.warning(keys.place("file"), said)
        else:
            build["dockerfile"] = texts.value(dockerfile, place)
    return build


def images_of(keys: Keys, texts: Texts, known: dict[str, Names]) -> Images:
    """What a step of ``docker/build-push-action`` builds and pushes."""
    place = keys.place("context")
    build = _places(keys, texts)
    if target := keys.text("target"):
        build["target"] = texts.value(target, place)
    arguments = _lines(keys.text("build-args"))
    if arguments:
        pairs = (line.strip().partition("=") for line in arguments)
        build["args"] = {name: texts.value(value.strip("\"'"), keys.place("build-args")) for name, _, value in pairs}
    if platforms := lines_of(keys.text("platforms")):
        build["platforms"] = [texts.value(each, keys.place("platforms")) for each in platforms]
    build |= {ours: True for ours, key in (("pull", "pull"), ("no_cache", "no-cache")) if keys.text(key) == "true"}
    _secrets(keys, build, texts)
    for key in _NOT_NEEDED:
        keys.take(key)
    tags, labels = keys.text("tags"), keys.text("labels")
    if labels and not _META.fullmatch(labels.strip()):
        pairs = (line.partition("=") for line in _lines(labels) if "=" in line)
        build["labels"] = {name: texts.value(value, keys.place("labels")) for name, _, value in pairs}
    pushed = keys.text("push")
    keys.remark_rest()
    return Images(build, _names(tags, keys.place("tags"), texts, known), pushed)


def _secrets(keys: Keys, build: dict[str, Value], texts: Texts) -> None:
    """``secrets`` as BuildKit's id and the secret."""
    found: dict[str, Value] = {}
    for line in _lines(keys.text("secrets")):
        name, _, value = line.strip().strip("\"'").partition("=")
        secret = re.fullmatch(r"\$\{\{\s*secrets\.(\w+)\s*\}\}", value, re.IGNORECASE)
        if secret:
            found[name] = Raw(secret[1].lower())
        else:
            texts.remarks.error(
                keys.place("secrets"), f"the secret '{name}' of the build is no secret alone; it is left out"
            )
    if found:
        build["secrets"] = found
    for key in ("secret-files", "ssh"):
        if keys.take(key) is not None:
            texts.remarks.warning(keys.place(key), f"'{key}' of the build is left out", "write 'secrets' or 'ssh'")


def _names(text: str, place: Place, texts: Texts, known: dict[str, Names]) -> list[tuple[list[Raw], list[Value]]]:
    found: list[tuple[list[Raw], list[Value]]] = []
    for line in lines_of(text):
        meta = _META.fullmatch(line)
        if meta and meta[1].lower() in known:
            found.append((known[meta[1].lower()].repos, known[meta[1].lower()].tags))
            continue
        name = texts.value(line, place)
        repo, colon, tag = _split(name)
        same = next((tags for repos, tags in found if repos == [repo]), None)
        if same is None:
            found.append(([repo], [tag if colon else Raw("latest")]))
        else:
            same.append(tag if colon else Raw("latest"))
    return found


def _split(name: Raw) -> tuple[Raw, bool, Raw]:
    """The repository and the tag: a colon inside of ``${}`` or before a slash is not the tag's."""
    outside = re.sub(r"\$\{[^{}]*(?:\{[^{}]*\}[^{}]*)*\}", lambda found: "_" * len(found[0]), name)
    index = outside.rfind(":")
    is_tag = index > outside.rfind("/")
    return (Raw(name[:index]), True, Raw(name[index + 1 :])) if is_tag else (name, False, Raw(""))


def push_condition(images: Images, texts: Texts, place: Place) -> Tree:
    """For which runs it is pushed."""
    try:
        return fold(parse_condition(images.pushed or "false"), "", texts.names)
    except UnreadableError as error:
        texts.remarks.error(place, f"the condition of the push cannot be taken over, for '{error}'; it is never pushed")
        return Lit("false")


def repo_and_tags(repos: list[Raw], tags: list[Value]) -> dict[str, Value]:
    """The keys of a push."""
    repo: Value = repos[0] if len(repos) == 1 else list[Value](repos)
    return {"repo": repo, **({"tags": tags} if tags else {})}
