"""All checks, run side by side, each for a few seconds at most."""

import threading
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from functools import partial
from queue import Empty, SimpleQueue
from urllib.parse import quote

from sqlalchemy import make_url

from workers.doctor import blobs, database, machine, services, webhooks
from workers.doctor.finding import Check, Finding, problem
from workers.settings import Settings

CHECK_S_MAX = 8.0
_SECRET_CHARS_MIN = 4  # a shorter one would make holes in every sentence


def checks_of(settings: Settings) -> dict[str, Check]:
    """The checks by name. Each may take long, and may raise nothing."""
    return {
        "engine": partial(machine.engine, settings),
        "buildx": machine.buildx,
        "git": machine.git,
        "data": partial(machine.data_folder, settings),
        "database": partial(database.database, settings),
        "key": partial(database.key, settings),
        "redis": partial(services.redis, settings),
        "url": partial(services.base_url, settings),
        "blobs": partial(blobs.blobs, settings),
        "hooks": partial(webhooks.webhooks, settings),
    }


def examine(checks: Mapping[str, Check], hidden: Iterable[str] = (), seconds: float = CHECK_S_MAX) -> list[Finding]:
    """What the checks found, in their order. One that takes longer than ``seconds`` is a problem.

    The words in ``hidden`` are replaced in every sentence.
    """
    found: SimpleQueue[tuple[str, list[Finding]]] = SimpleQueue()
    for name, check in checks.items():
        # Daemons: one that hangs must not keep the program from ending.
        threading.Thread(
            target=lambda name=name, check=check: found.put((name, _run(name, check))), daemon=True
        ).start()
    results: dict[str, list[Finding]] = {}
    until_s = time.monotonic() + seconds
    with suppress(Empty):
        while len(results) < len(checks):
            name, findings = found.get(timeout=max(0.0, until_s - time.monotonic()))
            results[name] = findings
    late = f"no answer within {seconds:g} s; look whether its host is there, and at the network and firewall between"
    all_found = [each for name in checks for each in results.get(name, [problem(name, late)])]
    return [Finding(each.subject, each.level, _without(each.sentence, hidden)) for each in all_found]


def secrets_of(settings: Settings) -> list[str]:
    """What no sentence may contain: passwords in addresses, and keys. Longer ones first."""
    passwords = [make_url(url).password or "" for url in (settings.database, settings.redis_url) if "://" in url]
    keys = [key.strip() for key in settings.secret_keys.get_secret_value().split(",")]
    words = [*passwords, *(quote(word, safe="") for word in passwords), *keys, *(key.partition(":")[2] for key in keys)]
    return sorted((word for word in words if len(word) >= _SECRET_CHARS_MIN), key=len, reverse=True)


def _run(name: str, check: Check) -> list[Finding]:
    try:
        return check()
    except Exception as error:  # noqa: BLE001 - one check that fails must not take away the others
        return [problem(name, f"the check failed: {type(error).__name__}: {_first_line(error)}")]


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0]


def _without(sentence: str, hidden: Iterable[str]) -> str:
    for word in hidden:
        sentence = sentence.replace(word, "***")
    return sentence
