"""Starts our shell in a container whatever the user's environment is, and gives its commands exactly that environment.

Some variables change what a shell or the loader does before the first command of the user's: with
``PATH: /usr/local/bin`` no shell is found, with SHELLOPTS or BASH_ENV it runs something else, with TMOUT it stops
waiting. Such a variable reaches the container under a neutral name, and the first lines of the script set it.
"""

import re
from collections.abc import Iterator, Mapping
from itertools import count
from typing import NamedTuple

DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
CARRIER = "HEADWAY_ENV_"

_SHELLS_FOLDERS = frozenset({"/bin", "/usr/bin"})
_OPTIONS = ("SHELLOPTS", "BASHOPTS")  # readonly in bash, so set by other means
_OF_SHELLS = frozenset({"ENV", "BASH_ENV", "IFS", "PS4", "TMOUT", "EXECIGNORE", *_OPTIONS})
_OF_LOADERS = re.compile(r"LD_\w+", re.ASCII)
_FUNCTION = re.compile(r"BASH_FUNC_([A-Za-z_]\w*)(?:%%|\(\))", re.ASCII)
# A shell in POSIX mode, as ours is, refuses functions of these names.
_SPECIAL_BUILTINS = frozenset(
    "break continue eval exec exit export readonly return set shift source times trap unset".split()  # noqa: SIM905
)
_BASH_OPTIONS = frozenset(
    """
    allexport braceexpand emacs errexit errtrace functrace hashall histexpand history ignoreeof interactive-comments
    keyword monitor noclobber noglob nolog notify nounset onecmd physical pipefail posix privileged vi
    """.split()  # noqa: SIM905
)
# Set last: they show, or do not run, what follows.
_LAST_OPTIONS = ("verbose", "xtrace", "noexec")


class Launch(NamedTuple):
    """How a shell is started: ``overrides`` of the environment, and lines of its script that ``restore`` the user's."""

    overrides: dict[str, str]
    restore: tuple[str, ...]


def launch(given: Mapping[str, str], image: Mapping[str, str]) -> Launch:
    """The launch of a shell for an environment that the user gave, in an image with its own."""
    found = {name: value for name, value in image.items() if name in _OF_SHELLS or _is_function(name)}
    found |= {name: value for name, value in given.items() if _is_hazard(name)}
    image_path = image.get("PATH", DEFAULT_PATH)
    path = given.get("PATH", image_path)
    wanted = _path(image_path, path)
    overrides = dict.fromkeys(found, "")
    if wanted != path:
        found["PATH"] = path
        overrides["PATH"] = wanted
    free = (name for number in count(1) if (name := f"{CARRIER}{number}") not in given)
    carriers = dict(zip(found, free, strict=False))
    overrides |= {carriers[name]: value for name, value in found.items()}
    order = sorted(found, key=lambda name: name in _OPTIONS)
    lines = [line for name in order for line in _restoring(name, carriers[name], found[name])]
    return Launch(overrides, tuple(lines))


def _is_hazard(name: str) -> bool:
    return name in _OF_SHELLS or _OF_LOADERS.fullmatch(name) is not None or _is_function(name)


def _is_function(name: str) -> bool:
    return _FUNCTION.fullmatch(name) is not None


def _path(image: str, given: str) -> str:
    """A PATH on which a shell is found, if the image has one: the image's own, without the user's if it has one."""
    folders = image.split(":")
    if not _SHELLS_FOLDERS.intersection(folders):
        folders += DEFAULT_PATH.split(":")
        return ":".join(dict.fromkeys([*folders, *given.split(":")]))
    return image


def _restoring(name: str, carrier: str, value: str) -> Iterator[str]:
    if name in _OPTIONS:
        in_bash = " ".join(_set_options(name, value))
        otherwise = f'{name}="${carrier}"; unset {carrier}; export {name}'
        yield f"case ${{BASH_VERSION-}} in '') {otherwise} ;; *) unset {carrier}; export {name}; {in_bash} esac"
        return
    if function := _FUNCTION.fullmatch(name):
        # Only bash knows them; others do not pass them on. What is none of bash's own spelling is not defined.
        define = f'command eval "{function[1]} ${carrier}" 2>/dev/null && export -f {function[1]} || :'
        if function[1] not in _SPECIAL_BUILTINS and value.startswith("() {"):
            yield f"case ${{BASH_VERSION-}} in '') ;; *) {define} ;; esac"
    else:
        yield f'{name}="${carrier}"; export {name}'
    yield f"unset {carrier}"


def _set_options(name: str, value: str) -> Iterator[str]:
    words = value.split(":")
    if name == "BASHOPTS":
        yield from (f"shopt -s {word} 2>/dev/null || :;" for word in words if re.fullmatch("[a-z0-9_]+", word))
        return
    yield from (f"set -o {word};" for word in words if word in _BASH_OPTIONS)
    yield from (f"set -o {word};" for word in _LAST_OPTIONS if word in words)
