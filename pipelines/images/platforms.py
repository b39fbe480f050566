"""Multi-platform images, which not every Docker Engine can store; the spellings of platforms."""

from collections.abc import Iterable
from difflib import get_close_matches

NEED = "an image of several platforms can only be kept in the containerd image store of the Docker Engine"
SWITCH_ON = (
    'switch it on with {"features": {"containerd-snapshotter": true}} in the engine\'s daemon.json and restart it '
    "(the images that it has now must be pulled again)"
)
REMEDY = f"{SWITCH_ON}, or build for one platform"
EMULATION = (
    "install emulation (docker run --privileged --rm tonistiigi/binfmt --install all), or compile for it in a stage of "
    "this machine's platform (FROM --platform=$BUILDPLATFORM)"
)

_SYSTEMS = frozenset(
    {"aix", "android", "darwin", "dragonfly", "freebsd", "illumos", "ios", "js", "linux", "netbsd", "openbsd", "plan9"}
    | {"solaris", "wasi", "wasip1", "windows", "zos"}
)
_ARCHITECTURES = frozenset(
    {"386", "amd64", "arm", "arm64", "loong64", "mips", "mips64", "mips64le", "mipsle", "ppc64", "ppc64le", "riscv64"}
    | {"s390x", "sparc64", "wasm", "wasm32"}
)
"""As Go names them, and so Docker."""
_OTHER_SYSTEMS = {"macos": "darwin"}
_OTHER_NAMES = {
    "aarch64": ("arm64", ""), "armhf": ("arm", "v7"), "armel": ("arm", "v6"), "armv6": ("arm", "v6"),
    "armv7": ("arm", "v7"), "i386": ("386", ""), "x86_64": ("amd64", ""), "x86-64": ("amd64", ""),
}  # fmt: skip
_VARIANTS = {
    "amd64": ("", "v1", "v2", "v3", "v4"),
    "arm": ("v5", "v6", "v7", "v8"),
    "arm64": ("", "v8", *(f"v8.{number}" for number in range(1, 10)), "v9", *(f"v9.{n}" for n in range(8))),
}
_USUAL_VARIANTS = {"amd64": "v1", "arm64": "v8"}
"""The variant that an architecture means where none is named."""
_SHOWN_CHARS = 80
_LONGEST = 3  # parts: a system, an architecture, and perhaps a variant


def canonical(platform: str) -> str:
    """The platform as Docker writes it: ``arm64``, ``linux/aarch64`` and ``linux/arm64/v8`` are ``linux/arm64``.

    Empty for what is no platform that Docker knows.
    """
    parts = platform.strip().lower().split("/")
    if len(parts) == 1:
        parts = ["linux", *parts]
    system = _OTHER_SYSTEMS.get(parts[0], parts[0])
    arch, implied = _OTHER_NAMES.get(parts[1], (parts[1], ""))
    if len(parts) > _LONGEST or system not in _SYSTEMS or arch not in _ARCHITECTURES:
        return ""
    variant = _variant(arch, parts[2] if len(parts) == _LONGEST else implied)
    if variant is None or (len(parts) == _LONGEST and not parts[2]):
        return ""
    return "/".join(filter(None, (system, arch, variant)))


def _variant(arch: str, given: str) -> str | None:
    """The variant as Docker writes it, empty for the usual one; None for one that the architecture does not have."""
    variant = f"v{given}" if given[:1].isdecimal() else given
    if arch == "arm" and not variant:
        variant = "v7"
    if variant not in _VARIANTS.get(arch, ("",)):
        return None
    return "" if variant == _USUAL_VARIANTS.get(arch) else variant


def each_once(platforms: Iterable[str]) -> tuple[str, ...]:
    """The platforms as Docker writes them, in this order. One that it does not know stays as it is."""
    return tuple(dict.fromkeys(canonical(platform) or platform for platform in platforms))


def are_several(platforms: Iterable[str]) -> bool:
    """True for more than one platform, such as ``linux/amd64`` and ``linux/arm64``."""
    return len(each_once(platforms)) > 1


def lack(platforms: Iterable[str], machine: str) -> bool:
    """True where some platforms are named and none is the machine's own, in any of its variants."""
    own, named = family(machine), {family(platform) for platform in each_once(platforms)}
    return bool(named) and own not in named


def family(platform: str) -> str:
    """The system and the architecture of a platform, without its variant."""
    return "/".join((canonical(platform) or platform).split("/")[:2])


def hint_for(platform: str) -> str:
    """What to write in place of something that is no platform."""
    if platform.strip().lower() in {"local", "linux"}:
        return "leave 'platforms' out to build for the machine's own, or write for example linux/arm64"
    parts = [part for part in platform[:_SHOWN_CHARS].lower().split("/") if part]
    arch = (parts[1:] or parts or [""])[0]
    near = get_close_matches(arch, sorted(_ARCHITECTURES | set(_OTHER_NAMES)), n=1, cutoff=0.6)
    guess = canonical(f"{parts[0] if parts[1:] and parts[0] in _SYSTEMS else 'linux'}/{near[0]}") if near else ""
    return f"did you mean {guess}?" if guess else "write for example linux/arm64"
