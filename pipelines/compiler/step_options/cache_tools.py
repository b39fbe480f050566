"""The caches of common tools: their folders, and the lock files that say what is in them."""

from collections.abc import Mapping
from typing import NamedTuple

from pipelines.step_options.caches import CacheFolder, Tool

_BASE = "/var/cache/headway"


class ToolCache(NamedTuple):
    """``of_image``: it holds what was built for the system of one image, whose name belongs into the key."""

    folders: tuple[CacheFolder, ...]
    lock_files: tuple[str, ...] = ()
    of_image: bool = False


def _led(variable: str, name: str) -> CacheFolder:
    """A folder of our own, to which a variable leads the tool: it is there for every user, and hides nothing."""
    return CacheFolder(path=f"{_BASE}/{name}", variable=variable, leads=True)


TOOL_CACHES: Mapping[Tool, ToolCache] = {
    "pip": ToolCache(
        (_led("PIP_CACHE_DIR", "pip"),),
        ("requirements*.txt", "constraints*.txt", "poetry.lock", "Pipfile.lock", "uv.lock", "pyproject.toml"),
    ),
    "npm": ToolCache((_led("npm_config_cache", "npm"),), ("package-lock.json", "npm-shrinkwrap.json")),
    "pnpm": ToolCache((_led("npm_config_store_dir", "pnpm"),), ("pnpm-lock.yaml",)),
    "yarn": ToolCache(
        # The first is for Yarn 1; later versions keep archives in their global folder.
        (_led("YARN_CACHE_FOLDER", "yarn/cache"), _led("YARN_GLOBAL_FOLDER", "yarn/global")),
        ("yarn.lock",),
    ),
    "maven": ToolCache((CacheFolder(path="~/.m2", below="repository"),), ("pom.xml",)),
    "gradle": ToolCache(
        # Not the whole folder: gradle.properties in it may have passwords.
        tuple(CacheFolder(path="~/.gradle", variable="GRADLE_USER_HOME", below=name) for name in ("caches", "wrapper")),
        ("*.gradle", "*.gradle.kts", "gradle-wrapper.properties", "gradle.lockfile", "libs.versions.toml"),
    ),
    "go": ToolCache((_led("GOMODCACHE", "go/mod"), _led("GOCACHE", "go/build")), ("go.sum",)),
    "cargo": ToolCache(
        # Not the whole folder: credentials.toml in it has tokens.
        tuple(CacheFolder(path="~/.cargo", variable="CARGO_HOME", below=name) for name in ("registry", "git")),
        ("Cargo.lock",),
    ),
    "apt": ToolCache(
        (CacheFolder(path="/var/cache/apt/archives"), CacheFolder(path="/var/lib/apt/lists")), of_image=True
    ),
    "composer": ToolCache((_led("COMPOSER_CACHE_DIR", "composer"),), ("composer.lock",)),
    "bundler": ToolCache((_led("BUNDLE_PATH", "bundler"),), ("Gemfile.lock",), of_image=True),
}
