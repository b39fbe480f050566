"""What is wrong with a setting, as part of a sentence. Values are not shown: an address may hold a password."""

from collections.abc import Collection, Mapping
from typing import Any

from workers.setting_names import PREFIX, service_link

_UNITS = {"_s": "seconds", "_days": "days", "_bytes": "bytes", "_bytes_max": "bytes"}

_WHOLE = "write a whole number{of_unit}, without a unit or other signs"
_SENTENCES = {
    "int_parsing": _WHOLE,
    "int_parsing_size": _WHOLE,
    "int_from_float": _WHOLE,
    "int_type": _WHOLE,
    "float_parsing": "write a number, as in 1.5",
    "bool_parsing": "write true or false",
    "less_than_equal": "it is {limit} at most",
    "greater_than_equal": "it is {limit} at least",
    "greater_than": "it is more than {limit}",
    "literal_error": "write {expected}",
}


def said_of(part: Mapping[str, Any], options: Collection[str] = ()) -> str:
    """One of pydantic's errors. ``options`` are the settings that the command line has."""
    name = "_".join(map(str, part["loc"]))
    shown = f"--{name.replace('_', '-')}" if name in options else f"{PREFIX}{name.upper()}"
    if name == "port" and service_link(part.get("input")):
        return (
            f"{shown} is what Kubernetes sets for a Service named headway; write enableServiceLinks: false into the "
            "Pod, or give the Service another name"
        )
    return f"{shown}: {_why(part, name)}"


def _why(part: Mapping[str, Any], name: str) -> str:
    context = part.get("ctx", {})
    unit = next((word for end, word in _UNITS.items() if name.endswith(end)), "")
    if part["type"] == "value_error":
        return str(context["error"])
    if part.get("input") == "":
        return "it is empty; write a value, or unset it"
    said = _SENTENCES.get(part["type"], part["msg"])
    limit = next((f"{context[word]:,} {unit}".rstrip() for word in ("le", "ge", "gt", "lt") if word in context), "")
    expected = str(context.get("expected", "")).replace("'", "")
    return str(said).format(limit=limit, of_unit=f" of {unit}" if unit else "", expected=expected)
