"""Which images BuildKit resolved, by its own progress: it has the last word on what a Dockerfile names.

BuildKit looks up every image before the first instruction runs, each time, and tells of it by a step of this name.
"""

import re

_RESOLVED = re.compile(r"(?:\[[^\]]*\] load metadata for|resolve image config for) (?:docker-image://)?(?P<name>\S+)")
_PLAIN_STEP = re.compile(r"#[0-9]+ (?P<name>.*)")


def resolved_image(step: str) -> str:
    """The image that this step of a build looks up, or an empty text. ``step`` is the step's name."""
    match = _RESOLVED.match(step)
    return match["name"] if match else ""


def resolved_in_line(line: str) -> str:
    """The same for a line of plain progress."""
    match = _PLAIN_STEP.match(line)
    return resolved_image(match["name"]) if match else ""
