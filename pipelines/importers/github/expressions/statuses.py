"""Functions and results in a condition that ask for a status: after which statuses it holds."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import product
from typing import NamedTuple

from pipelines.importers.github.expressions.folding import both_or_either, negated
from pipelines.importers.github.expressions.names import Names
from pipelines.importers.github.expressions.parser import FALSE, TRUE, Call, Lit, Not, Op, Ref, Tree, UnreadableError

RESULTS_COUNT_MAX = 5
"""How many jobs a condition may ask for their results."""

_STATUSES = ("success", "failure", "canceled")
_RESULTS: Mapping[str, str] = {"success": "success", "failure": "failure", "cancelled": "canceled"}
_FUNCTIONS: Mapping[str, tuple[str, ...]] = {
    "always": _STATUSES,
    "success": ("success",),
    "failure": ("failure",),
    "cancelled": ("canceled",),
}


class ResultsError(UnreadableError):
    """The condition asks for results of jobs in a way that no status here says."""


class Statuses(NamedTuple):
    """What a condition is after some statuses, without what asks for them. ``named`` says that it asks for results."""

    tree: Tree
    statuses: tuple[str, ...]
    named: bool = False


def by_status(tree: Tree, names: Names) -> list[Statuses]:
    """A condition by the statuses for which it may hold; those for which it is the same are together.

    Without a function that asks for the status it is for success. Raises UnreadableError.
    """
    asked = _Asked(names, {})
    asked.at(tree, "success")
    if not asks_for_status(tree) and not (asked.jobs and names.after_failure):
        tree = Op("&&", Call("success", ()), tree)
    found: dict[Tree, list[str]] = {}
    for status in _STATUSES if asked.cancellation else _STATUSES[:2]:
        rest = {_Asked(names, results).at(tree, status) for results in _results(asked.jobs, names, status)}
        if len(rest) > 1:
            raise ResultsError("the results of some jobs of several")
        found.setdefault(rest.pop(), []).append(status)
    made = [Statuses(rest, tuple(statuses), bool(asked.jobs)) for rest, statuses in found.items() if rest != FALSE]
    return made or [Statuses(FALSE, ("success",))]


def asks_for_status(tree: Tree) -> bool:
    """Has it ``always()``, ``failure()`` or the like?"""
    match tree:
        case Call(name, ()):
            return name in _FUNCTIONS
        case Not(operand):
            return asks_for_status(operand)
        case Op(_, left, right):
            return asks_for_status(left) or asks_for_status(right)
        case _:
            return False


def _results(jobs: set[str], names: Names, status: str) -> Iterator[dict[str, str]]:
    """The results that the jobs may have if all that are needed have this status together."""
    named = sorted(jobs - {"*"})
    if len(named) > RESULTS_COUNT_MAX:
        raise ResultsError(f"the results of more than {RESULTS_COUNT_MAX} jobs")
    for results in product(_STATUSES, repeat=len(named)):
        others = not named or len(named) < len(names.needs)
        if set(results) <= {"success"} if status == "success" else others or status in results:
            yield dict(zip(named, results, strict=True))


@dataclass
class _Asked:
    """A condition at one status, and what it asks for. ``results`` are the results of jobs; without them success."""

    names: Names
    results: Mapping[str, str]
    jobs: set[str] = field(default_factory=set)
    cancellation: bool = False

    def at(self, tree: Tree, status: str, *, holds: bool = True) -> Tree:
        """The rest of the condition. ``holds`` is False below a negation."""
        match tree:
            case Call(name, ()) if name in _FUNCTIONS:
                self.cancellation |= name == "cancelled"
                return _constant(status in _FUNCTIONS[name])
            case Not(operand):
                return negated(self.at(operand, status, holds=not holds))
            case Op("&&" | "||" as sign, left, right):
                return both_or_either(sign, self.at(left, status, holds=holds), self.at(right, status, holds=holds))
            case Op("==" | "!=" as sign, Ref(("needs", job, "result")), Lit(text)) if self._is_asked(job):
                same = self._result(job, text.lower(), status, holds=holds == (sign == "=="))
                return _constant(same == (sign == "=="))
            case Call("contains", (Ref(("needs", "*", "result")), Lit(text))) if self._is_asked("*"):
                return _constant(self._result("*", text.lower(), status, holds=holds))
            case Op(sign, left, right):
                return Op(sign, self.at(left, status), self.at(right, status))
            case _:
                return tree

    def _is_asked(self, job: str) -> bool:
        """Is a result not known? In a job that only runs after success it is, for all steps."""
        if self.names.after_failure is False:
            return False
        self.jobs.add(job)
        return True

    def _result(self, job: str, text: str, status: str, *, holds: bool) -> bool:
        """Has the job this result, or with ``*`` any of those that are needed?"""
        if text not in _RESULTS:
            if holds:
                return False
            raise ResultsError(f"the result '{text}'")
        wanted = _RESULTS[text]
        self.cancellation |= wanted == "canceled"
        if job == "*":
            if wanted == "success" and status != wanted:
                raise ResultsError("whether any job had success")
            return wanted == status
        if job not in self.names.needs:
            raise ResultsError(f"needs.{job}.result")
        return self.results.get(job, "success") == wanted


def _constant(holds: bool) -> Tree:  # noqa: FBT001 - the value is all there is
    return TRUE if holds else FALSE
