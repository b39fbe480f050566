"""Variables whose names begin with HEADWAY_: those that are no setting, and which setting was meant."""

import re
from collections.abc import Collection, Iterable, Mapping
from difflib import get_close_matches

PREFIX = "HEADWAY_"
OF_OTHERS = frozenset(
    f"{PREFIX}{name}"
    for name in (
        "PYTHON", "ROOT", "SBIN", "ENGINE_TESTS", "DEMO_EXIT", "KEEP_HOST_RULES", "REGISTRY_PORT", "IMAGE", "SERVER",
        "TOKEN",
    )
)  # fmt: skip
"""No settings of a server: read by this project's scripts and its Compose file, and by commands that speak to one."""

# What Kubernetes sets in every container for a Service that is named headway.
_SERVICE_LINK = re.compile(r"HEADWAY_(SERVICE_(HOST|PORT(_[A-Z0-9_]+)?)|PORT_[0-9]+_[A-Z]+(_[A-Z]+)?)")
_LINK_VALUE = re.compile(r"(tcp|udp)://[0-9a-fA-F.:\[\]]+")
_ALIKE = 0.6


def wrong_names(environment: Iterable[str], settings: Collection[str]) -> list[str]:
    """A sentence's part for each variable that looks like a setting and is none. ``settings`` are all their names."""
    known = {f"{PREFIX}{name.upper()}" for name in settings}
    return [_said_of(name, known) for name in sorted(environment) if _is_wrong(name, known)]


def _is_wrong(name: str, known: Collection[str]) -> bool:
    if not name.upper().startswith(PREFIX) or name.upper() in known or name in OF_OTHERS:
        return False
    return _SERVICE_LINK.fullmatch(name) is None


def _said_of(name: str, known: Collection[str]) -> str:
    shown = name.encode("utf-8", "backslashreplace").decode()
    rests = sorted(each.removeprefix(PREFIX) for each in known)
    alike = get_close_matches(name.upper().removeprefix(PREFIX), rests, 1, _ALIKE)
    return f"{shown} is no setting" + (
        f": do you mean {PREFIX}{alike[0]}?" if alike else "; docs/running/settings.md has all"
    )


def not_text(environment: Mapping[str, str]) -> list[str]:
    """A sentence's part for each variable of ours whose value is no text in UTF-8."""
    ours = ((name, value) for name, value in sorted(environment.items()) if name.upper().startswith(PREFIX))
    return [f"{name}: its value is no text in UTF-8; write it anew" for name, value in ours if not _is_text(value)]


def _is_text(value: str) -> bool:
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def service_link(value: object) -> bool:
    """True for what Kubernetes sets as HEADWAY_PORT where a Service is named headway."""
    return isinstance(value, str) and _LINK_VALUE.fullmatch(value) is not None
