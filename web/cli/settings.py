"""`headway settings`: the settings in force here, and where each comes from."""

import json
import os
from dataclasses import asdict
from typing import Annotated

import typer

from web.cli.helpers import say
from workers.cli.errors import report_errors


@report_errors
def settings(
    as_json: Annotated[bool, typer.Option("--json", help="Prints JSON, for programs.")] = False,
) -> None:
    """Shows the settings that a command here has: value and source of each. Secrets are not shown."""
    from web.operations.settings_in_force import settings_in_force
    from workers.startup import read_settings

    found = settings_in_force(read_settings(), os.environ)
    if as_json:
        say(json.dumps([asdict(each) for each in found], indent=2))
        return
    for each in found:
        say(f"{each.name}\t{each.value}\t{each.source.value}")
