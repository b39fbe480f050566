"""What the detection of each language finds: steps, and the words that say what was found."""

import re
from typing import NamedTuple

from pipelines.importers.yaml_text import Raw, Value

Step = dict[str, Value]


class Found(NamedTuple):
    """Steps for one language or tool. ``title`` names it; ``folder`` is where it is."""

    title: str
    steps: list[Step]
    comments: tuple[str, ...] = ()
    folder: str = ""


def step(name: str, image: str, commands: list[str], cache: str = "", reports: str = "") -> Step:
    """A step with commands. ``reports`` is the pattern of its JUnit files."""
    made: Step = {"name": name, "image": Raw(image), "commands": list[Value](commands)}
    if cache:
        made["cache"] = [Raw(each) for each in cache.split()] if " " in cache else Raw(cache)
    if reports:
        made["reports"] = {"junit": Raw(reports)}
    return made


def version_in(text: str, pattern: str, default: str) -> str:
    """The first version that a pattern finds in a text, such as 3.12."""
    found = re.search(pattern, text)
    return found[1] if found else default
