"""What BuildKit resolved, by its own progress: it has the last word on which images and downloads a Dockerfile names.

BuildKit looks up every image before the first instruction runs, each time, and tells of it by a step of this name. It
tells of an ADD, with the values of its variables, when it begins to run the instructions.
"""

import re

_RESOLVED = re.compile(r"(?:\[[^\]]*\] load metadata for|resolve image config for) (?:docker-image://)?(?P<name>\S+)")
_ADD = re.compile(r"\[(?:[^\]]* )?[0-9]+/[0-9]+\] (?P<instruction>ADD .*)", re.DOTALL)
_PLAIN_STEP = re.compile(r"#[0-9]+ (?P<name>.*)")


def resolved_image(step: str) -> str:
    """The image that this step of a build looks up, or an empty text. ``step`` is the step's name."""
    match = _RESOLVED.match(step)
    return match["name"] if match else ""


def resolved_add(step: str) -> str:
    """The ADD instruction that this step of a build runs, or an empty text."""
    match = _ADD.match(step)
    return match["instruction"] if match else ""


def step_in_line(line: str) -> str:
    """The name of the step that a line of plain progress tells of, or an empty text."""
    match = _PLAIN_STEP.match(line)
    return match["name"] if match else ""
