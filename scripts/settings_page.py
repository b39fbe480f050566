"""Writes docs/running/settings.md from the settings themselves. Called by `make docs`; a test holds the page to it."""

import sys
from pathlib import Path

from workers.housekeeping_settings import HousekeepingSettings
from workers.settings import Settings

HEAD = """\
# Settings

Every setting of the server is an environment variable. This page is made from `workers/settings.py` and
`workers/housekeeping_settings.py` by `make docs`. `headway settings` shows the value of each on a machine, and where it
comes from; the page *Settings* (linked from *Workers*, for administrators) shows those of the web server.

| variable | default | meaning |
|---|---|---|
"""


def page() -> str:
    """The page's text."""
    rows = []
    last = HousekeepingSettings.model_fields  # pydantic has the fields of a base class first
    for name, field in sorted(Settings.model_fields.items(), key=lambda item: item[0] in last):
        value = "" if field.default_factory else field.default
        shown = "" if value in ("", None) or "Secret" in type(value).__name__ else f"`{value}`"
        rows.append(f"| `HEADWAY_{name.upper()}` | {shown} | {field.description} |\n")
    return HEAD + "".join(rows)


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(page())
