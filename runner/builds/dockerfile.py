"""Which images a Dockerfile names, by the rules of BuildKit's frontend: in ``# syntax=``, FROM, COPY --from and mounts.

The engine resolves these names when it builds. Headway resolves them before, once and for good (``base_images``).
"""

import csv
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from runner.builds.dockerfile_lines import SPACE, Instruction, Reading, readings
from runner.builds.expansion import expanded_bytes
from runner.builds.shell_words import SPACES
from runner.builds.variables import GlobalVariables

DOCKERFILE_BYTES_MAX = 1_000_000
IMAGES_COUNT_MAX = 100
_DIRECTIVE = re.compile(r"\s*(?:#|//)\s*([A-Za-z][A-Za-z0-9]*)\s*=\s*(.+?)\s*")
_JSON_SYNTAX = re.compile(r'\{[^{}]*?"syntax"\s*:\s*"([^"]*)"', re.DOTALL)
_TARGETS = frozenset(
    {f"linux/{arch}" for arch in ("386", "amd64", "arm64", "mips64le", "ppc64le", "riscv64", "s390x")}
    | {"linux/arm/v6", "linux/arm/v7"}
)
_NO_CACHE = frozenset({"bind", "tmpfs", "secret", "ssh"})
_SCRATCH = "scratch"


@dataclass(frozen=True)
class BaseImage:
    """An image that a Dockerfile names. ``platform`` is what its FROM asks for, as it is written."""

    name: str
    platform: str = ""


@dataclass(frozen=True)
class DockerfileImages:
    """``syntax`` is the image of the frontend, or empty: the engine's own. ``unclear`` are names with variables that
    only the frontend knows. ``caches`` says that there are cache mounts. ``stages`` are the names of its stages.
    ``expanded_bytes`` is how large it may become when the frontend replaces its variables.
    """

    syntax: str
    images: tuple[BaseImage, ...]
    unclear: tuple[str, ...]
    caches: bool
    stages: frozenset[str]
    expanded_bytes: int


@dataclass
class _Stage:
    base: BaseImage
    name: str
    copies: list[str] = field(default_factory=list)


@dataclass
class _Contents:
    """What one reading of the Dockerfile has: its stages, and whether it has cache mounts."""

    stages: list[_Stage] = field(default_factory=list)
    caches: bool = False


def platform_arguments(machine: str, target: str = "") -> dict[str, str]:
    """The arguments that BuildKit itself sets: for a build for the machine's own platform, or for ``target``.

    Those of a target that BuildKit may write otherwise are missing.
    """
    found: dict[str, str] = {}
    for prefix, platform in (("BUILD", machine), ("TARGET", target or machine)):
        system, arch, variant = (*platform.split("/"), "")[:3]
        if platform == machine or platform in _TARGETS:
            parts = {"PLATFORM": platform, "OS": system, "ARCH": arch, "VARIANT": variant}
            found |= {f"{prefix}{name}": value for name, value in parts.items()}
    return found


def images_of(
    text: str, args: Mapping[str, str], target: str = "", predefined: Mapping[str, str] | None = None
) -> DockerfileImages:
    """The images that the build of this Dockerfile uses. ``args`` are its build arguments.

    ``predefined`` are the ``platform_arguments``, where they are known. Where versions of BuildKit read it differently,
    the images of all readings count.
    """
    found = readings(text)
    size = max(expanded_bytes(map(_expanded_parts, reading.instructions), args) for reading in found)
    contents = [_contents(reading, args, predefined or {}) for reading in found]
    names = dict.fromkeys(image for each in contents for image in _needed(each.stages, target))
    unclear = tuple(image.name for image in names if "$" in image.name)
    asked = args.get("BUILDKIT_SYNTAX") or _syntax(text)
    clear = tuple(image for image in names if "$" not in image.name)
    own = frozenset(stage.name for each in contents for stage in each.stages if stage.name)
    return DockerfileImages(asked.split(" ")[0], clear, unclear, any(each.caches for each in contents), own, size)


def _expanded_parts(instruction: Instruction) -> tuple[str, str]:
    """What BuildKit replaces variables in: also in flags, and in the documents that are copied."""
    return instruction.name, " ".join((*instruction.flags, instruction.rest, *instruction.documents))


def _contents(reading: Reading, args: Mapping[str, str], predefined: Mapping[str, str]) -> _Contents:
    variables = GlobalVariables(args, predefined, reading.escape)
    found = _Contents()
    for instruction in reading.instructions:
        if instruction.name == "FROM":
            found.stages.append(_from(instruction, variables))
        elif instruction.name == "ARG" and not found.stages:
            variables.declare(instruction.rest)
        elif found.stages:
            names, caches = _copied(instruction)
            found.stages[-1].copies += names
            found.caches |= caches
    return found


def _syntax(text: str) -> str:
    """The frontend's image, which a comment before the first instruction may set."""
    text = text.removeprefix("\ufeff").replace("\r\n", "\n")
    lines = text.split("\n")
    for line in lines[1:] if lines[0].startswith("#!") else lines:
        match = _DIRECTIVE.fullmatch(line)
        if match is None:
            break
        if match[1].lower() == "syntax":
            return match[2]
    found = _JSON_SYNTAX.match(text.lstrip())
    return found[1] if found else ""


def _from(instruction: Instruction, variables: GlobalVariables) -> _Stage:
    flags = (flag.partition("=") for flag in instruction.flags)
    platform = next((value for name, _, value in flags if name.lower() == "--platform"), "")
    plain = SPACE.split(instruction.rest)
    name = plain[2].lower() if len(plain) > 2 and plain[1].lower() == "as" else ""  # noqa: PLR2004 - FROM image AS name
    return _Stage(BaseImage(_plain(variables.expand(plain[0])), variables.expand(platform)), name)


def _copied(instruction: Instruction) -> tuple[list[str], bool]:
    """The stages and images that an instruction takes files from, and whether it mounts a cache.

    Variables are not allowed there: a name with one is unclear.
    """
    flags = [flag.partition("=") for flag in instruction.flags]
    if instruction.name != "RUN":
        return [_plain(value) for name, _, value in flags if name.lower() == "--from"], False
    fields = [pair for name, _, value in flags if name.lower() == "--mount" for pair in _mount(value)]
    caches = any(name == "type" and value.lower() not in _NO_CACHE for name, value in fields)
    return [_plain(value) for name, value in fields if name == "from"], caches


def _mount(value: str) -> list[tuple[str, str]]:
    """The fields of a mount. BuildKit reads it as CSV; one that it cannot read ends the build."""
    try:
        (fields,) = csv.reader([value], strict=True)
    except (csv.Error, ValueError):
        fields = value.replace('"', "").split(",")
    parts = (part.partition("=") for part in fields)
    return [(name.strip(SPACES).lower(), value) for name, _, value in parts]


def _plain(name: str) -> str:
    """The name; one that no image can have is made unclear, so that nothing is concluded from it."""
    return name if not name or (name.isascii() and name.isprintable()) else f"${name!a}"


def _needed(stages: list[_Stage], target: str) -> list[BaseImage]:
    """The images of the stages that ``target``, by default the last stage, is made of."""
    numbers = {str(number): number for number in range(len(stages))}
    numbers |= {stage.name: number for number, stage in enumerate(stages) if stage.name}
    waiting, seen = [numbers.get(target.lower(), len(stages) - 1)] if stages else [], set[int]()
    found: dict[BaseImage, None] = {}
    while waiting:
        number = waiting.pop()
        if number in seen:
            continue
        seen.add(number)
        stage = stages[number]
        for image in (stage.base, *(BaseImage(name) for name in stage.copies)):
            other = numbers.get(image.name.lower(), number)
            is_stage = other < number and not (image is stage.base and image.name.isdigit())
            if is_stage:
                waiting.append(other)
            elif image.name and image.name != _SCRATCH:
                found[image] = None
    return list(found)


_OFFICIAL = re.compile(
    r"(?:(?:index\.)?docker\.io/)?docker/dockerfile(?:-upstream)?(?::(?P<tag>[\w.-]+))?(?:@sha256:[0-9a-f]{64})?"
)
_SEPARATES = re.compile(r"(?:1|latest|labs|master)(?:-labs)?|1\.(?:[4-9]|[1-9][0-9])(?:\.[0-9]+)?(?:-labs)?")


def is_official(syntax: str) -> bool:
    """True for Docker's own frontend, of any version."""
    return not syntax or _OFFICIAL.fullmatch(syntax) is not None


def separates(syntax: str) -> bool:
    """True for a frontend that keeps the caches of repositories apart: Docker's own, of version 1.4 or newer."""
    match = _OFFICIAL.fullmatch(syntax)
    return not syntax or (match is not None and _SEPARATES.fullmatch(match["tag"] or "latest") is not None)
