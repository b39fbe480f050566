"""Plans the caches of a step: folders, keys, and what a mistake in them says."""

import re
from collections.abc import Iterator
from posixpath import normpath, relpath

from pipelines.compiler.job_input import JobInput
from pipelines.compiler.selection.step_candidates import StepCandidates, steps_with_programs
from pipelines.compiler.step_options.cache_tools import TOOL_CACHES
from pipelines.compiler.workspace import HIDES, NEEDED
from pipelines.images.build_values import is_one_line
from pipelines.matching.glob import BadPatternError, expand_braces, matches
from pipelines.model.caches import Cache
from pipelines.model.workflow import CommandsStep, PluginStep
from pipelines.plan import Container, NamedImage
from pipelines.step_options import caches
from pipelines.step_options.caches import TOOLS, CacheFolder, Checksum, Key
from pipelines.syntax.diagnostics import Place, did_you_mean
from pipelines.visible import visible_line

CACHES_COUNT_MAX = 8
FOLDERS_COUNT_MAX = 8
RESTORE_COUNT_MAX = 8
CHECKSUM_FILES_COUNT_MAX = 16
KEY_CHARACTERS_MAX = 200
PATH_CHARACTERS_MAX = 500
_CHECKSUM = re.compile(r"checksum\(([^()]*)\)")
_KEY_HINT = "write for example npm-checksum(package-lock.json)"
_PATH_HINT = "write a folder of the container, for example node_modules, ~/.cache/tool or /opt/data"
_NO_TOOL = re.compile(r"[a-z]+")


def plan_caches(job: JobInput, asked: tuple[Cache, ...], container: Container) -> tuple[caches.Cache, ...]:
    """What the step keeps between runs. It has been checked."""
    base = _base(job, container.directory)
    return tuple(_planned(each, base, container) for each in asked)


def _base(job: JobInput, directory: str) -> str:
    """Where files of the checkout are looked for: relative to it, where the step starts."""
    inside = directory and f"{directory}/".startswith(f"{job.workspace.checkout}/")
    return relpath(directory, job.workspace.checkout) if inside else "."


def _planned(asked: Cache, base: str, container: Container) -> caches.Cache:
    if tool := _tool(asked):
        return _of_tool(tool, base, container)
    text = asked.key or ", ".join(asked.paths)
    folders = tuple(CacheFolder(path=_plain(path)) for path in asked.paths)
    restore = tuple(_key(each, base) for each in asked.restore)
    return caches.Cache(name=text, key=_key(text, base), restore=restore, folders=folders)


def _tool(asked: Cache) -> caches.Tool | None:
    return next((tool for tool in TOOL_CACHES if asked.paths == (tool,) and not asked.key), None)


def _of_tool(tool: caches.Tool, base: str, container: Container) -> caches.Cache:
    known = TOOL_CACHES[tool]
    image = container.image.name if isinstance(container.image, NamedImage) else "the image that was built"
    start = f"{tool}-{image}-" if known.of_image else f"{tool}-"
    files = tuple(_of_checkout(base, f"**/{name}") for name in known.lock_files)
    key: Key = (start, Checksum(files=files, optional=True)) if files else (start.removesuffix("-"),)
    return caches.Cache(name=tool, key=key, restore=((start,),) if files else (), folders=known.folders, tool=tool)


def _key(text: str, base: str) -> Key:
    parts: list[str | Checksum] = []
    # The text around the checksums, and what is in their brackets, take turns.
    for index, part in enumerate(_CHECKSUM.split(text)):
        if index % 2:
            parts.append(Checksum(files=tuple(_of_checkout(base, file) for file in _files(part))))
        elif part:
            parts.append(part)
    return tuple(parts)


def _files(listed: str) -> list[str]:
    return [file.strip() for file in listed.split(",")]


def _of_checkout(base: str, pattern: str) -> str:
    plain = pattern.removeprefix("./")
    return plain if base == "." else f"{base}/{plain}"


def _plain(path: str) -> str:
    return f"~/{normpath(path[2:])}" if path.startswith("~/") else normpath(path)


def check_caches(candidates: StepCandidates) -> None:
    """Reports caches that no step could have."""
    job = candidates.job
    for group, index, step, builds in steps_with_programs(candidates):
        if not step.cache:
            continue
        label = f"step '{step.name or f'step-{index}'}'"
        if why := _why_none(group, step, builds=builds):
            place = job.located.key_place(group, index, "cache")
            job.diagnostics.error(place, f"{label} has no caches: {why}", "let another step have them")
        for place, message, hint in _wrong(job, (group, index, "cache"), step.cache, label):
            job.diagnostics.error(place, message, hint)


def _why_none(group: str, step: CommandsStep | PluginStep, *, builds: bool) -> str:
    if group == "clone":
        return "it makes the checkout, in which the lock files are"
    if builds:
        return "it builds or pushes an image; `RUN --mount=type=cache` in the Dockerfile keeps files between builds"
    return "with 'detach' it has no end of its own" if step.detach else ""


Found = Iterator[tuple[Place, str, str]]


def _wrong(job: JobInput, where: tuple[str, int, str], asked: tuple[Cache, ...], label: str) -> Found:
    if len(asked) > CACHES_COUNT_MAX:
        message = f"{label} has {len(asked)} caches, and at most {CACHES_COUNT_MAX} are possible"
        yield job.place(*where), message, "put folders that belong together into the 'paths' of one"
        return
    seen: set[str] = set()
    for index, each in enumerate(asked):
        here = (*where, index) if len(asked) > 1 else where
        if _tool(each):
            paths = [str(index) for index in each.paths]
        else:
            paths = [_plain(path) for path in each.paths]
            yield from _wrong_folders(job, here, each)
            yield from _wrong_keys(job, here, each)
        if twice := next((path for path in paths if path in seen or paths.count(path) > 1), ""):
            yield job.place(*here), f"{label} has two caches of '{visible_line(twice)}'", "remove one of them"
        seen.update(paths)


def _wrong_folders(job: JobInput, here: tuple[str | int, ...], asked: Cache) -> Found:
    if len(asked.paths) > FOLDERS_COUNT_MAX:
        message = f"a cache has {len(asked.paths)} folders, and at most {FOLDERS_COUNT_MAX} are possible"
        yield job.place(*here, "paths"), message, "name a folder above them"
        return
    for index, path in enumerate(asked.paths):
        place = job.place(*here, "paths", index)
        if why := _why_no_folder(path, job.workspace.checkout):
            shown = visible_line(path[:80])
            yield place, f"'{shown}' cannot be a cache: {why}", _PATH_HINT
        elif _NO_TOOL.fullmatch(path) and (hint := did_you_mean(path, TOOLS)):
            yield place, f"'{path}' is no tool whose caches are known", f"{hint} A folder is written ./{path}"


def _why_no_folder(path: str, checkout: str) -> str:
    if not path.isprintable() or len(path) > PATH_CHARACTERS_MAX:
        return f"it is not a line of at most {PATH_CHARACTERS_MAX} characters that can be shown"
    if ".." in path.split("/"):
        return "'..' leaves the folder in which it is"
    plain = _plain(path)
    if path in {"", "~"} or plain in {".", "~/."} or f"{checkout}/".startswith(f"{plain.rstrip('/')}/"):
        return "it is a whole home folder, or hides the checkout"
    if plain in HIDES or NEEDED.match(plain):
        return f"it would hide {plain} of the image"
    return "'~' is followed by a slash" if path.startswith("~") and not path.startswith("~/") else ""


def _wrong_keys(job: JobInput, here: tuple[str | int, ...], asked: Cache) -> Found:
    if len(asked.restore) > RESTORE_COUNT_MAX:
        message = f"a cache has {len(asked.restore)} keys in 'restore', and at most {RESTORE_COUNT_MAX} are tried"
        yield job.place(*here, "restore"), message, "a key stands for all that begin with it"
        return
    keys = [("key", job.place(*here, "key"), asked.key)] if "key" in asked.model_fields_set else []
    keys += [("restore", job.place(*here, "restore", index), key) for index, key in enumerate(asked.restore)]
    for name, place, key in keys:
        if why := next(_wrong_key(key), ""):
            yield place, f"'{visible_line(key[:80])}' cannot be a key in '{name}': {why}", _KEY_HINT


def _wrong_key(key: str) -> Iterator[str]:
    if not key.strip() or not is_one_line(key) or len(key) > KEY_CHARACTERS_MAX:
        yield f"a key is one line of at most {KEY_CHARACTERS_MAX} characters"
    if "checksum(" in _CHECKSUM.sub("", key):
        yield "'checksum(' is not closed"
    files = [file for listed in _CHECKSUM.findall(key) for file in _files(listed)]
    if len(files) > CHECKSUM_FILES_COUNT_MAX:
        yield f"it has more than {CHECKSUM_FILES_COUNT_MAX} files"
    for file in files:
        if not file or file.startswith("/") or ".." in file.split("/") or not file.isprintable():
            yield f"checksum() takes files of the checkout, not '{file}'"
        try:
            matches(file, "name")
            list(expand_braces(file))
        except BadPatternError as error:
            yield str(error)
