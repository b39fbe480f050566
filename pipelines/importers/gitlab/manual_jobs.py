"""Jobs that a person starts: here a run by hand says by an input that it is wanted."""

import re
from collections.abc import Sequence

from pipelines.importers.gitlab.conditions import Condition
from pipelines.importers.yaml_text import Raw, Value, literal

_OF_A_PUSH = re.compile(r"CI_PIPELINE_EVENT|CI_COMMIT_TAG")


def input_of(name: str) -> str:
    """The input that starts the job of this name."""
    return "RUN_" + re.sub(r"\W+", "_", name, flags=re.ASCII).strip("_").upper()


def inputs(name: str) -> Value:
    """The declaration of that input."""
    return {input_of(name): {"type": "boolean", "default": False, "description": f"Run the job {name}"}}


def by_hand(name: str, conditions: Sequence[Condition]) -> list[Condition]:
    """The conditions of a run by hand that starts the job: what ``conditions`` say of branches counts for it too."""
    wanted = f'{literal(input_of(name))} == "true"'
    found: list[Condition] = []
    for condition in conditions or [{}]:
        tests = [Raw(wanted)]
        if counts(condition, "evaluate"):
            tests.append(Raw(f"({condition['evaluate']})"))
        kept: Condition = {"event": ["manual"], "evaluate": Raw(" && ".join(tests))}
        if "branch" in condition:
            kept["branch"] = condition["branch"]
        if kept not in found:
            found.append(kept)
    return found


def counts(condition: Condition, key: str) -> bool:
    """Does a part of a condition mean the same in a run by hand? Tags, events and changed files do not."""
    if key == "evaluate":
        return key in condition and not _OF_A_PUSH.search(str(condition[key]))
    return key == "branch"


def changes_meaning(conditions: Sequence[Condition]) -> bool:
    """Is a part of the conditions left out in a run by hand, besides the usual events?"""
    return any(
        condition.get("event") == ["tag"] or any(not counts(condition, key) for key in condition if key != "event")
        for condition in conditions
    )
