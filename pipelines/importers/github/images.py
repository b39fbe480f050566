"""The image of a job, from the actions that set up tools, and from its commands."""

import re
from collections.abc import Sequence
from typing import NamedTuple

DEFAULT = "buildpack-deps:24.04"
"""The image of a job that needs nothing in particular: Ubuntu with compilers, git and curl."""

DOCKER = "docker:28"


class Tool(NamedTuple):
    """A language or tool that a job sets up: the versions that it asks for, one for each combination."""

    name: str
    versions: tuple[str, ...]


class _Known(NamedTuple):
    """The image of a tool, its version where none is asked for, and the command that adds it to another image."""

    image: str
    version: str
    install: str = ""


_APT = "apt-get update && apt-get install -y "
_KNOWN = {
    "rust": _Known("rust:{}", "1"),
    "go": _Known("golang:{}", "1", _APT + "golang"),
    "dotnet": _Known("mcr.microsoft.com/dotnet/sdk:{}", "9.0"),
    "php": _Known("php:{}-cli", "8.4"),
    "ruby": _Known("ruby:{}", "3.4", _APT + "ruby-full"),
    "maven": _Known("maven:3-eclipse-temurin-{}", "21", _APT + "maven"),
    "gradle": _Known("gradle:8-jdk{}", "21"),
    "java": _Known("eclipse-temurin:{}-jdk", "21", _APT + "default-jdk"),
    "python": _Known("python:{}", "3", _APT + "python3 python3-pip python3-venv python-is-python3"),
    "node": _Known(
        "node:{}", "22", "curl -fsSL https://deb.nodesource.com/setup_{}.x | bash - && apt-get install -y nodejs"
    ),
    "bun": _Known("oven/bun:{}", "1", "npm install -g bun"),
    "deno": _Known("denoland/deno:{}", "latest", "npm install -g deno"),
    "terraform": _Known("hashicorp/terraform:{}", "1.13"),
    "composer": _Known("composer:{}", "2"),
    "helm": _Known("alpine/helm:{}", "3"),
    "docker": _Known("docker:{}", "28"),
}
"""In the order in which one is the job's image and the others are added to it."""

_COMMANDS = (
    ("rust", {"cargo", "rustup", "rustc"}),
    ("go", {"go", "gofmt"}),
    ("dotnet", {"dotnet"}),
    ("ruby", {"bundle", "gem", "rake", "ruby", "bundler"}),
    ("composer", {"composer", "php"}),
    ("maven", {"mvn"}),
    ("gradle", {"gradle"}),
    ("java", {"./gradlew", "./mvnw", "java", "javac"}),
    ("python", {"python", "python3", "pip", "pip3", "pytest", "tox", "poetry", "uv", "uvx", "pipx", "hatch", "nox"}),
    ("node", {"npm", "npx", "node", "yarn", "pnpm"}),
    ("bun", {"bun", "bunx"}),
    ("terraform", {"terraform"}),
    ("helm", {"helm"}),
    ("docker", {"docker", "docker-compose"}),
)
_WORDS = re.compile(
    r"(?:^|&&|\|\||;|\|)[ \t]*(?:sudo[ \t]+(?:-E[ \t]+)?)?(?:[A-Z_]+=\S*[ \t]+)*([\w./-]+)", re.MULTILINE
)
_NEWEST = frozenset({"", "x", "*", "latest", "stable", "current", "node", "head", "ruby", "release", "oldstable"})
_BUILT_WITH = {"mvn": "maven", "gradle": "gradle"}


def commands_in(script: str) -> set[str]:
    """The programs that a script calls, as far as its lines show it."""
    return set(_WORDS.findall(re.sub(r"\\\n", " ", script)))


def with_tools_of(tools: Sequence[Tool], script: str, count: int) -> list[Tool]:
    """The tools in the order of what is the image; without any, those that the commands are of."""
    words = commands_in(script)
    if not tools:
        found = [Tool(name, ("",) * count) for name, programs in _COMMANDS if programs & words]
        return found if len(found) < 2 or found[-1].name != "docker" else found[:-1]  # noqa: PLR2004 - it beside others
    built_with = next((name for word, name in _BUILT_WITH.items() if word in words), "")
    named = [tool._replace(name=built_with) if tool.name == "java" and built_with else tool for tool in tools]
    order = list(_KNOWN)
    return sorted({tool.name: tool for tool in named}.values(), key=lambda tool: order.index(tool.name))


def image_of(tool: Tool, number: int) -> str:
    """The image of a tool for one combination."""
    version = tool.versions[number].strip()
    if tool.name == "python" and (pypy := re.fullmatch(r"pypy-?([\d.]+)(?:-.*)?", version)):
        return f"pypy:{pypy[1]}"
    if tool.name == "rust" and version.startswith(("nightly", "beta")):
        return "rustlang/rust:nightly"
    known = _KNOWN[tool.name]
    return known.image.format(_version(tool.name, version) or known.version)


def _version(name: str, version: str) -> str:
    """A version as tags of images have it; empty for the newest."""
    text = re.split(r"[\s,]|\|\|", version.strip().lstrip("^~>=v "))[0].lower()
    if name == "node" and text.startswith("lts"):
        return text.removeprefix("lts/").replace("*", "lts").removeprefix("-") or "lts"
    text = re.sub(r"(?:\.[x*])+$|-dev$", "", text)
    if text in _NEWEST or not text[:1].isdigit():
        return ""
    if name == "dotnet":
        return ".".join([*text.split("."), "0"][:2])
    return re.sub(r"^1\.8$", "8", text) if name in {"java", "maven", "gradle"} else text


_HAS = {("maven", "java"), ("gradle", "java")}


def install_of(tool: Tool, first: Tool) -> str | None:
    """The command that adds a tool to the image of another; empty where it has it, None where none is known."""
    if (first.name, tool.name) in _HAS:
        return ""
    known = _KNOWN[tool.name]
    if not known.install:
        return None
    return known.install.replace("{}", _version(tool.name, tool.versions[0]).split(".")[0] or known.version)
