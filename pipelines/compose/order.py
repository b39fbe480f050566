"""Which services of a Compose file run, in which order, and which of them is waited for."""

from collections.abc import Mapping, Sequence
from graphlib import CycleError, TopologicalSorter
from typing import NamedTuple

from pipelines.compose.report import Report, shown
from pipelines.compose.service import Service
from pipelines.syntax.diagnostics import Place, did_you_mean


class Choice(NamedTuple):
    """Which service runs to its end (empty: the only one that no other waits for), and which profiles are on.

    With ``detach`` none does: all go on beside the steps after them.
    """

    service: str = ""
    profiles: frozenset[str] = frozenset()
    detach: bool = False


def choose_services(
    services: Sequence[Service], choice: Choice, place: Place, report: Report
) -> list[Service]:  # fmt: skip
    """The services that run, each after those that it waits for; none after an error. ``place`` is the step's key."""
    by_name = {service.name: service for service in services}
    if choice.service and choice.service not in by_name:
        hint = did_you_mean(choice.service, by_name) or f"it has {', '.join(map(shown, by_name))}"
        report.error(place, f"the Compose file has no service '{shown(choice.service)}'", hint)
        return []
    on = {each.name: each for each in services if _is_on(each, choice)}
    for service in on.values():
        _check_needs(service, by_name, on, report)
    ordered = [] if report.failed else _ordered(on, report)
    if not ordered and not report.failed:
        report.error(place, "no service of the Compose file runs: its profiles are off", "add one to 'profiles'")
    if report.failed:
        return []
    completed = {name for each in ordered for name, needed in each.needs.items() if needed.completed}
    for service in ordered:
        service.role = "first" if service.name in completed else "beside"
    return ordered if choice.detach else _with_last(ordered, choice, place, report)


def _is_on(service: Service, choice: Choice) -> bool:
    return not service.profiles or bool(service.profiles & choice.profiles) or service.name == choice.service


def _check_needs(service: Service, known: Mapping[str, Service], on: Mapping[str, Service], report: Report) -> None:
    """Reports what a service waits for and is not there; what is not required is left out."""
    for name, needed in service.needs.items():
        if name in on or not needed.required:
            continue
        if name in known:
            hint = "add its profile to 'profiles' of the Compose step"
            report.error(needed.place, f"{service.label} waits for '{shown(name)}', whose profile is off", hint)
        else:
            hint = did_you_mean(name, known) or "remove it"
            report.error(needed.place, f"{service.label} waits for '{shown(name)}', which is no service here", hint)
    service.needs = {name: needed for name, needed in service.needs.items() if name in on}


def _ordered(on: Mapping[str, Service], report: Report) -> list[Service]:
    """The services, each after those that it waits for, else in the order of the file."""
    try:
        TopologicalSorter({name: list(each.needs) for name, each in on.items()}).prepare()
    except CycleError as error:
        first = on[error.args[1][0]]
        chain = " -> ".join(f"'{name}'" for name in reversed(error.args[1]))
        report.error(first.place, f"these services wait for each other: {chain}", "remove one of these depends_on")
        return []
    ordered: dict[str, Service] = {}
    while len(ordered) < len(on):
        ready = next(each for each in on.values() if each.name not in ordered and each.needs.keys() <= ordered.keys())
        ordered[ready.name] = ready
    return list(ordered.values())


def _with_last(ordered: list[Service], choice: Choice, place: Place, report: Report) -> list[Service]:
    """The services, with the one at the end whose exit is the verdict. What waits for that one does not run."""
    waited_for = {name for each in ordered for name in each.needs}
    ends = [each for each in ordered if each.name not in waited_for]
    last = next((each for each in ordered if each.name == choice.service), None)
    if last is None and len(ends) != 1:
        names = ", ".join(shown(each.name) for each in ends) or "none"
        message = f"it is not clear which service runs to its end: no other waits for {names}"
        report.error(
            place, message, "write compose: {file: PATH, service: NAME}, or detach: true to run all beside steps"
        )
        return []
    last = last or ends[0]
    after = {last.name}
    for each in ordered:
        if after & each.needs.keys():
            after.add(each.name)
            message = f"{each.label} waits for '{last.name}', which runs to its end, and is not started"
            report.warning(each.place, message, "")
    last.role = "last"
    return [*(each for each in ordered if each.name not in after), last]
