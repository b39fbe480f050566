"""``actions/cache``, ``upload-artifact`` and ``download-artifact`` as ``cache`` and ``artifacts``."""

import re
from posixpath import normpath

from pipelines.importers.github.reading import Reading, with_text
from pipelines.importers.github.scripts import Run, Script, statuses_of
from pipelines.importers.keys import Keys
from pipelines.importers.yaml_text import Raw, Value

_OF_CACHES = ("enableCrossOsArchive", "lookup-only", "fail-on-cache-miss", "upload-chunk-size", "save-always")
_OF_UPLOADS = ("if-no-files-found", "compression-level", "overwrite", "include-hidden-files")


def cache(reading: Reading, inputs: Keys, run: Run) -> None:
    """Folders that are kept between runs."""
    texts, place = reading.texts, run.place
    lines = [line.strip().rstrip("/") for line in inputs.text("path").splitlines()]
    paths = [path for line in lines if line and (path := texts.value(line, place))]
    if globs := [path for path in paths if "*" in path or path.startswith("!")]:
        texts.remarks.warning(place, f"a cache keeps folders, and no pattern such as {globs[0]}; it is left out")
        paths = [path for path in paths if path not in globs]
    key = _cache_key(texts.value(inputs.text("key"), place))
    restore = [_cache_key(texts.value(line.strip(), place)) for line in inputs.text("restore-keys").splitlines()]
    for name in _OF_CACHES:
        inputs.take(name)
    inputs.remark_rest()
    value: dict[str, Value] = {"key": key, "paths": list[Value](paths)}
    if restore := [each for each in restore if each]:
        value["restore"] = list[Value](restore)
    if paths and key and value not in reading.caches:
        reading.caches.append(value)


def _cache_key(key: Raw) -> Raw:
    return Raw(re.sub(r"^(?:Linux|X64)-?", "", key).strip())


def upload(reading: Reading, inputs: Keys, run: Run) -> None:
    """Files that are kept with the run: those of the script before it."""
    lines = [line.strip() for line in inputs.text("path").splitlines() if line.strip()]
    reading.uploads[inputs.text("name") or "artifact"] = [line for line in lines if not line.startswith("!")]
    wanted = _patterns(reading, [line for line in lines if not line.startswith("!")], run)
    unwanted = _patterns(reading, [line[1:] for line in lines if line.startswith("!")], run)
    made: dict[str, Value] = {"paths": list[Value](wanted)}
    if unwanted:
        made["exclude"] = list[Value](unwanted)
    if (days := inputs.text("retention-days")).isdigit() and days != "0":
        made["expire"] = f"{int(days[:4])}d"
    after = statuses_of(run.condition, reading.texts)
    if "failure" in after:
        made["when"] = "always" if "success" in after else "failure"
    for key in _OF_UPLOADS:
        inputs.take(key)
    inputs.remark_rest()
    scripts = [part for part in reading.parts if isinstance(part, Script)]
    if not scripts:
        scripts = [Script([with_text(run, "true", {})])]
        reading.parts += scripts
    keep(scripts[-1], made)


def keep(script: Script, made: dict[str, Value]) -> None:
    """Adds artifacts to those of a script."""
    before, more = script.artifacts.get("paths", []), made["paths"]
    if isinstance(before, list) and isinstance(more, list) and (before or more):
        paths = [*before, *(each for each in more if each not in before)]
        script.artifacts = {**made, **script.artifacts, "paths": paths}


def download(reading: Reading, inputs: Keys, run: Run) -> None:
    """Files of an earlier job, which are in the checkout already: at the path where they were."""
    remarks = reading.texts.remarks
    name, path = inputs.text("name"), normpath(inputs.text("path") or ".")
    for key in ("pattern", "merge-multiple", "github-token"):
        inputs.take(key)
    if inputs.take("run-id") is not None:
        remarks.error(run.place, "artifacts of another run cannot be taken; this is left out")
    inputs.take("repository")
    inputs.remark_rest()
    paths = reading.uploads.get(name, [])
    root = re.sub(r"(?:^|/)[^/]*\*.*$", "", normpath(paths[0])) or "." if len(paths) == 1 else ""
    if not root:
        text = "artifacts are at the paths of the checkout where they were kept; this moves none"
        remarks.warning(run.place, text, "look at the paths")
    elif root in {path, "."}:
        remarks.note(run.place, f"the artifact '{name}' is in {path} before the first step")
    else:
        text = f"mkdir -p {path}\nif [ -d {root} ]; then cp -r {root}/. {path}/; else cp {root} {path}/; fi"
        reading.add(with_text(run, text, {}))


def _patterns(reading: Reading, lines: list[str], run: Run) -> list[Raw]:
    """The paths from the checkout. One that an expression cannot make is empty, and has a remark already."""
    paths = [path for line in lines if (path := reading.texts.value(line, run.place))]
    found = [_pattern(path) for path in paths]
    if outside := [path for path in found if path.startswith(("/", "~", "../"))]:
        text = f"artifacts are files of the checkout, and {outside[0]} is outside of it; it is left out"
        reading.texts.remarks.warning(run.place, text, "write them into a folder of the checkout")
    return [path for path in found if path not in outside]


def _pattern(path: str) -> Raw:
    """A path from the checkout."""
    text = path.removeprefix("/headway/src/").removeprefix("./").rstrip("/")
    return Raw(text if text not in {"", "."} else "**")
