"""Which images a Dockerfile names, by the rules of BuildKit's frontend: in ``# syntax=``, FROM, COPY --from and mounts.

The engine resolves these names when it builds. Headway resolves them before, once and for good (``base_images``).
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import takewhile

from runner.builds.expansion import expanded_bytes

DOCKERFILE_BYTES_MAX = 1_000_000
IMAGES_COUNT_MAX = 100
VALUE_CHARS_MAX = 4096
"""Longer values are cut: no image has such a name, and values that double each other would take all memory."""
_DIRECTIVE = re.compile(r"\s*(?:#|//)\s*([A-Za-z][A-Za-z0-9]*)\s*=\s*(.+?)\s*")
_JSON_SYNTAX = re.compile(r'\{[^{}]*?"syntax"\s*:\s*"([^"]*)"', re.DOTALL)
_SPACE = re.compile(r"[\t\v\f\r ]+")
_WORD = re.compile(r"""(?:[^\s"'\\]|\\.|"(?:[^"\\]|\\.)*"|'[^']*')+""")
_HEREDOC = re.compile(r"\d*<<(-?)([^<]+)")
_QUOTES = str.maketrans("", "", "\"'\\")
_VARIABLE = r"(?P<name>[A-Za-z_][A-Za-z0-9_]*)"
_REFERENCE = re.compile(
    rf"\$(?:{_VARIABLE}|\{{(?P<braced>[A-Za-z_][A-Za-z0-9_]*)(?:(?P<how>:?[-+])(?P<word>[^{{}}]*))?\}})"
)
_FROM_FLAG = re.compile(r"--from=(\S+)", re.IGNORECASE)
_MOUNT = re.compile(r"--mount=(\S+)", re.IGNORECASE)
_ASSIGNMENT = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)(?:=(\"[^\"]*\"|'[^']*'|\S*))?")
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


def platform_arguments(platform: str) -> dict[str, str]:
    """The arguments that BuildKit itself sets, for a build for the machine's own platform."""
    system, _, arch = platform.partition("/")
    parts = {"PLATFORM": platform, "OS": system, "ARCH": arch, "VARIANT": ""}
    return {f"{prefix}{name}": value for prefix in ("TARGET", "BUILD") for name, value in parts.items()}


def images_of(
    text: str, args: Mapping[str, str], target: str = "", predefined: Mapping[str, str] | None = None
) -> DockerfileImages:
    """The images that the build of this Dockerfile uses. ``args`` are its build arguments.

    ``predefined`` are the ``platform_arguments``, where they are known.
    """
    text = text.removeprefix("\ufeff").replace("\r\n", "\n")
    syntax, escape = _directives(text)
    instructions = list(_instructions(text, escape))
    known: dict[str, str] = dict(predefined or {})
    stages: list[_Stage] = []
    caches = False
    for instruction, rest in instructions:
        if instruction == "FROM":
            stages.append(_from(rest, known))
        elif instruction == "ARG" and not stages:
            for name, value in _ASSIGNMENT.findall(rest):
                known[name] = args.get(name, _expand(value, known))
        elif stages:
            stages[-1].copies += [_expand(name, known) for name in _copied(instruction, rest)]
            caches = caches or (instruction == "RUN" and re.search(r"type=[\"']?cache", rest) is not None)
    names = _needed(stages, target)
    unclear = tuple(image.name for image in names if "$" in image.name)
    asked = args.get("BUILDKIT_SYNTAX") or syntax
    clear = tuple(image for image in names if "$" not in image.name)
    own = frozenset(stage.name for stage in stages if stage.name)
    return DockerfileImages(asked.split(" ")[0], clear, unclear, caches, own, expanded_bytes(instructions, args))


def _directives(text: str) -> tuple[str, str]:
    """The frontend's image and the escape character, which comments before the first instruction may set."""
    found = {"escape": "\\", "syntax": ""}
    lines = text.split("\n")
    for line in lines[1:] if lines[0].startswith("#!") else lines:
        match = _DIRECTIVE.fullmatch(line)
        if match is None:
            break
        found[match[1].lower()] = match[2]
    if not found["syntax"] and (match := _JSON_SYNTAX.match(text.lstrip())):
        found["syntax"] = match[1]
    return found["syntax"], found["escape"][:1]


def _instructions(text: str, escape: str) -> Iterator[tuple[str, str]]:
    """Each instruction with its arguments, and those of ONBUILD; documents that are copied stand as ``<<``."""
    lines = iter(text.split("\n"))
    while joined := _next_line(lines, escape):
        word, rest = _first_word(joined)
        while word.upper() == "ONBUILD":
            word, rest = _first_word(rest)
        if word.upper() in {"RUN", "COPY", "ADD"}:
            for dash, end in filter(None, map(_document, _WORD.findall(rest))):
                content = _read_document(lines, end, indented=bool(dash))
                if word.upper() != "RUN":
                    yield "<<", content
        yield word.upper(), rest.strip()


def _first_word(text: str) -> tuple[str, str]:
    word, *rest = _SPACE.split(text.strip(), maxsplit=1)
    return word, "".join(rest)


def _document(word: str) -> tuple[str, str] | None:
    """The dash and the end mark of a document. As in BuildKit, the word begins with it: ``a<<EOF`` is none."""
    match = _HEREDOC.fullmatch(word)
    end = match[2].translate(_QUOTES) if match else ""
    return (match[1], end) if match and end else None


def _next_line(lines: Iterator[str], escape: str) -> str:
    """The next instruction as one line; empty at the end. Comments and empty lines may stand between its parts."""
    joined = ""
    for line in lines:
        bare = line.rstrip(" \t")
        if not bare or bare.lstrip().startswith("#"):
            continue
        # An escape character that is escaped itself continues nothing.
        if not bare.endswith(escape) or bare.endswith(escape * 2):
            return f"{joined}{line}".strip()
        joined += bare[:-1]
    return joined.strip()


def _read_document(lines: Iterator[str], end: str, *, indented: bool) -> str:
    """The next lines, up to the one that ends the document."""
    return "\n".join(takewhile(lambda line: (line.lstrip("\t") if indented else line) != end, lines))


def _from(rest: str, known: Mapping[str, str]) -> _Stage:
    words = rest.split()
    platform = next((word.partition("=")[2] for word in words if word.lower().startswith("--platform=")), "")
    plain = [word for word in words if not word.startswith("--")]
    name = plain[2].lower() if len(plain) > 2 and plain[1].lower() == "as" else ""  # noqa: PLR2004 - FROM image AS name
    return _Stage(BaseImage(_expand(plain[0], known) if plain else "", _expand(platform, known)), name)


def _copied(instruction: str, rest: str) -> list[str]:
    """The stages and images that an instruction takes files from."""
    if instruction == "RUN":
        mounts = (part.strip("\"'") for mount in _MOUNT.findall(rest) for part in mount.strip("\"'").split(","))
        return [part.partition("=")[2] for part in mounts if part.lower().startswith("from=")]
    return _FROM_FLAG.findall(rest) if instruction in {"COPY", "ADD"} else []


def _expand(text: str, known: Mapping[str, str]) -> str:
    """The text with its variables. What only the frontend can evaluate keeps its ``$``."""
    text = text.replace('"', "").replace("'", "")[:VALUE_CHARS_MAX]

    def value(match: re.Match[str]) -> str:
        name, how, word = match["name"] or match["braced"], match["how"] or "", match["word"] or ""
        held = known.get(name)
        if held is None and name.startswith(("TARGET", "BUILD")):
            return match[0]
        is_set = held is not None and (bool(held) or not how.startswith(":"))
        if how.endswith("+"):
            return word if is_set else ""
        return (held or "") if is_set else word

    for _ in range(3):  # a default may name another variable
        expanded = _REFERENCE.sub(value, text)[:VALUE_CHARS_MAX]
        if expanded == text:
            break
        text = expanded
    return text


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
