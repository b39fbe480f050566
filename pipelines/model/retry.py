"""The key ``retry`` of a step."""

import re
from typing import Annotated, ClassVar

from pydantic import AfterValidator, Field

from pipelines.model.base import PipelineModel
from pipelines.model.fields import Before, Items, Seconds, Whole, fail, text_of
from pipelines.model.json_types import VARIABLE, Also, OneOrMany, Written
from pipelines.step_options import retry_policy
from pipelines.step_options.retry_policy import (
    BACKOFF_SECONDS_MAX,
    EXIT_STATUS_MAX,
    FURTHER_ATTEMPTS_MAX,
    RETRY_CLASSES,
)
from pipelines.syntax.nodes import ScalarNode

_ON_HINT = f"the values are {', '.join(RETRY_CLASSES)}, and exit statuses from 1 to {EXIT_STATUS_MAX}"


def _on(value: object) -> object:
    text = text_of(value)
    if not isinstance(text, str) or text in RETRY_CLASSES:
        return text
    if re.fullmatch(r"[0-9]{1,3}", text) and 0 < int(text) <= EXIT_STATUS_MAX:
        return int(text)
    return fail(f"'{text}' is no outcome that a step can run again after", _ON_HINT)


def _attempts(value: int) -> int:
    if value > FURTHER_ATTEMPTS_MAX:
        fail(f"a step has at most {FURTHER_ATTEMPTS_MAX} further attempts", f"write {FURTHER_ATTEMPTS_MAX} or less")
    return value


def _backoff(value: int) -> int:
    if value > BACKOFF_SECONDS_MAX:
        fail("the time between two attempts is at most an hour (1h)", "write for example 10s")
    return value


_On = Annotated[
    retry_policy.RetryClass | int,
    Before(_on),
    Written(
        {
            "anyOf": [
                {"type": "integer", "minimum": 1, "maximum": EXIT_STATUS_MAX},
                {"type": "string", "pattern": rf"^({'|'.join(RETRY_CLASSES)}|[0-9]{{1,3}})$|{VARIABLE}"},
            ]
        }
    ),
]


class Retry(PipelineModel):
    """How often a step runs again, after which outcomes, and after which pause."""

    wanted: ClassVar[str] = "a number of further attempts, or {attempts: 2, on: [broken, timeout], backoff: 10s},"
    remedy: ClassVar[str] = "write for example retry: 2"

    attempts: Annotated[Whole, AfterValidator(_attempts)] = 1
    on: Annotated[tuple[_On, ...], Items, Field(min_length=1), OneOrMany()] = RETRY_CLASSES
    backoff: Annotated[Seconds, AfterValidator(_backoff)] | None = None

    def planned(self) -> retry_policy.Retry | None:
        """The same in a plan; None without any further attempt."""
        if not self.attempts:
            return None
        classes = tuple(name for name in RETRY_CLASSES if name in self.on)
        codes = tuple(dict.fromkeys(code for code in self.on if isinstance(code, int)))
        return retry_policy.Retry(attempts=self.attempts, on=classes, exit_codes=codes, backoff_s=self.backoff or 0)


def _short(value: object) -> object:
    return {"attempts": value} if isinstance(value, ScalarNode) else value


RetryField = Annotated[Retry, Before(_short), Also({"type": "integer", "minimum": 0, "maximum": FURTHER_ATTEMPTS_MAX})]
"""A number of further attempts, or a map."""
