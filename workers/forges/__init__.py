"""The forges: webhook to trigger, run to commit status. A new one is a module with the functions of ``Forge``."""

from collections.abc import Mapping

from workers.forges import bitbucket, generic, gitea, github, gitlab
from workers.forges.interface import BadPayloadError, Forge, NothingToDo, Parsed

FORGES: Mapping[str, Forge] = {
    "generic": generic,
    "github": github,
    "gitea": gitea,
    "gitlab": gitlab,
    "bitbucket": bitbucket,
}

__all__ = ["FORGES", "BadPayloadError", "Forge", "NothingToDo", "Parsed"]
