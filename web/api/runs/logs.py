"""Logs of steps: by bytes, by lines, the last lines, or whole; where each part came from; and search."""

from collections.abc import Callable
from functools import partial
from typing import Annotated, NamedTuple

from fastapi import Depends, Query
from pydantic import Field
from starlette.responses import Response

from runner.events import Stream
from web.api.schemas import Schema
from web.json_api import RowId, make_router
from web.operations.lookup import step_with_id
from web.operations.repos.retention import logs_kept
from web.operations.runs.log_groups import groups_of
from web.operations.runs.log_parts import (
    LINES_MAX,
    PART_BYTES_MAX,
    LogPart,
    StepLogAddress,
    kept_log,
    last_lines,
    part_by_bytes,
    part_by_lines,
    pieces,
    raw_name,
    sources,
)
from web.operations.runs.log_search import Found, Wanted, search
from web.operations.runs.log_stream_lines import lines_from
from web.operations.runs.log_streams import part_from, pieces_from
from web.operations.verdicts.planned import commands_of
from web.security.access import Actor
from web.security.auth import CurrentUser
from web.security.long_requests import LongRequests, LongRequestsDep
from web.services import Services, ServicesDep
from workers.db.session import reading
from workers.logs import LogStore
from workers.store import StepPlace

router = make_router()
Attempt = Annotated[
    int | None, Query(ge=1, le=2**31 - 1, description="Of which attempt of the job; by default of the last one.")
]
Regex = Annotated[bool, Query(description="`text` is a regular expression, as in `matches` of conditions.")]
Case = Annotated[bool, Query(description="Letters match in their own case alone.")]
OfStream = Annotated[
    Stream | None, Query(description="Only what came from there; `note` is what Headway itself wrote into the log.")
]
_MEDIA_TYPE = "text/plain; charset=utf-8"


class LogSource(Schema):
    """From byte ``offset`` on, up to the next source, output came from ``stream`` at ``at_ms``."""

    offset: int
    at_ms: int
    stream: Stream


class LogSources(Schema):
    """Where a part of a log came from, and when, up to byte ``end``."""

    end: int
    sources: list[LogSource]


class SearchResult(Schema):
    """The numbers of the lines; ``more`` is true where lines after ``searched_lines`` were not searched."""

    lines: list[int]
    more: bool
    searched_lines: int


class StreamLines(Schema):
    """First and last lines of ranges; with ``more`` only those of the log's first ``searched_lines``."""

    ranges: list[tuple[int, int]]
    more: bool
    searched_lines: int


class LogGroup(Schema):
    """Lines that belong together, from ``line``, which names them, to ``last``."""

    kind: str = Field(description="command, github, gitlab or buildkite.")
    line: int
    last: int
    title: str
    took_ms: int | None = Field(description="The time from its first line to what ended it; null while it runs.")


class LogGroups(Schema):
    """The groups of a log by their first lines; with ``more`` only those of its first ``searched_lines``."""

    groups: list[LogGroup]
    more: bool
    searched_lines: int


_ReadPart = Callable[[LogStore, StepLogAddress], LogPart]


class _Asked(NamedTuple):
    long_requests: LongRequests
    step_id: int
    attempt: int | None


def _asked(long_requests: LongRequestsDep, step_id: RowId, attempt: Attempt = None) -> _Asked:
    return _Asked(long_requests, step_id, attempt)


def _found_log(services: Services, user: Actor, asked: _Asked) -> tuple[StepPlace, StepLogAddress]:
    """The step that the user asked for, and where its log is. Raises NotFoundError and GoneError."""
    with reading(services.engine) as session:
        place = step_with_id(session, user, asked.step_id)
    return place, kept_log(place, partial(logs_kept, services, place.repo.id), asked.attempt)


def _part(
    offset: Annotated[int | None, Query(ge=0, le=2**53)] = None,
    max_bytes: Annotated[int, Query(ge=1, le=PART_BYTES_MAX)] = PART_BYTES_MAX,
    line: Annotated[int | None, Query(ge=1, le=2**53)] = None,
    lines: Annotated[int, Query(ge=1, le=LINES_MAX)] = LINES_MAX,
    last: Annotated[int | None, Query(ge=1, le=LINES_MAX)] = None,
) -> _ReadPart | None:
    """How to read the part that was asked for; None for all of the log."""
    if offset is not None:
        return lambda logs, address: part_by_bytes(logs, address, offset, max_bytes)
    if line is not None:
        return lambda logs, address: part_by_lines(logs, address, line, lines)
    return None if last is None else lambda logs, address: last_lines(logs, address, last)


@router.get("/steps/{step_id}/log", response_class=Response)
def get_log(
    services: ServicesDep,
    user: CurrentUser,
    asked: Annotated[_Asked, Depends(_asked)],
    read: Annotated[_ReadPart | None, Depends(_part)],
    stream: OfStream = None,
) -> Response:
    """A step's output, byte for byte as it is stored.

    By bytes (``offset``, ``max_bytes``), by lines (``line`` from 1, ``lines``), the ``last`` lines, or all of it; with
    ``stream`` only those of its bytes that came from there: ``stdout``, ``stderr`` or ``note``.
    Headers say where the part begins and ends in the whole log (``X-Log-Offset``, ``X-Log-Line``, ``X-Log-End``), how
    much there is (``X-Log-Size``, ``X-Log-Lines``), whether the log is complete (``X-Log-Complete``), and whether its
    last output was lost with its worker (``X-Log-Cut-Off``). 410 says when and why it was deleted.
    """
    place, address = _found_log(services, user, asked)
    if read is not None:
        part = read(services.logs, address)
        return _response(part, part if stream is None else part_from(services.logs, address, stream, part))
    name = raw_name(place.repo.name, place.run.number, f"{place.step.name} {stream or ''}")
    headers = {"content-disposition": f'attachment; filename="{name}"'}
    opened = partial(pieces_from, services.logs, address, stream) if stream else partial(pieces, services.logs, address)
    return asked.long_requests.files.response(user.user_id, opened, headers, _MEDIA_TYPE)


def _response(part: LogPart, shown: LogPart) -> Response:
    headers = {
        "x-log-end": str(part.offset + len(part.data)),
        "x-log-offset": str(part.offset),
        "x-log-line": str(part.line),
        "x-log-size": str(part.size_bytes),
        "x-log-lines": str(part.lines),
        "x-log-complete": "true" if part.complete else "false",
        "x-log-cut-off": "true" if part.cut_off else "false",
    }
    return Response(shown.data, headers=headers, media_type=_MEDIA_TYPE)


@router.get("/steps/{step_id}/log/sources")
def get_log_sources(
    services: ServicesDep,
    user: CurrentUser,
    step_id: RowId,
    offset: Annotated[int, Query(ge=0, le=2**53)] = 0,
    max_bytes: Annotated[int, Query(ge=1, le=2**53)] = PART_BYTES_MAX,
) -> LogSources:
    """When the bytes of a step's output came, and from where: ``stdout``, ``stderr`` or ``note`` (from Headway itself).

    The first source may begin before ``offset``. To get what comes after ``end``, ask again from there.
    """
    with reading(services.engine) as session:
        place = step_with_id(session, user, step_id)
    end, found = sources(services.logs, kept_log(place, partial(logs_kept, services, place.repo.id)), offset, max_bytes)
    return LogSources(end=end, sources=[LogSource.model_validate(chunk) for chunk in found])


@router.get("/steps/{step_id}/log/search")
async def search_log(
    services: ServicesDep,
    user: CurrentUser,
    asked: Annotated[_Asked, Depends(_asked)],
    text: Annotated[str, Query(min_length=1, max_length=1_000)],
    regex: Regex = False,  # noqa: FBT002 - of the query
    case: Case = False,  # noqa: FBT002 - of the query
    from_line: Annotated[int, Query(ge=1, le=2**53)] = 1,
) -> SearchResult:
    """Which lines of a step's output match; without `case`, letters a to z match in either case.

    A search ends after 20,000 lines and after two seconds. `more` is true then: go on with `from_line` =
    `searched_lines` + 1.
    """
    wanted = Wanted(text, regex, case, from_line)
    work = partial(_searched, services, user, asked, wanted)
    found = await asked.long_requests.searches.run(user.user_id, work)
    return SearchResult(lines=found.lines, more=found.more, searched_lines=found.searched_lines)


def _searched(services: Services, user: Actor, asked: _Asked, wanted: Wanted) -> Found:
    return search(services.logs, _found_log(services, user, asked)[1], wanted)


@router.get("/steps/{step_id}/log/lines")
async def get_log_lines(
    services: ServicesDep, user: CurrentUser, asked: Annotated[_Asked, Depends(_asked)], stream: Stream
) -> StreamLines:
    """Which lines of a step's output came, wholly or in part, from ``stdout``, ``stderr`` or ``note``.

    A log is looked at for two seconds at most, and of many ranges there are the first 5,000.
    """
    return await asked.long_requests.groups.run(user.user_id, partial(_lines, services, user, asked, stream))


def _lines(services: Services, user: Actor, asked: _Asked, stream: Stream) -> StreamLines:
    return StreamLines.model_validate(lines_from(services.logs, _found_log(services, user, asked)[1], stream))


@router.get("/steps/{step_id}/log/groups")
async def get_log_groups(
    services: ServicesDep, user: CurrentUser, asked: Annotated[_Asked, Depends(_asked)]
) -> LogGroups:
    """What each command of a step's list wrote, and the groups of markers: `::group::`, `section_start:` and `--- `.

    Of a long log 64 MB are looked at, for two seconds at most, and of many groups there are the first 5,000.
    """
    return await asked.long_requests.groups.run(user.user_id, partial(_grouped, services, user, asked))


def _grouped(services: Services, user: Actor, asked: _Asked) -> LogGroups:
    place, address = _found_log(services, user, asked)
    commands = commands_of(place.job, place.step.number)
    finished_ms = place.step.finished_ms if asked.attempt is None else None
    return LogGroups.model_validate(groups_of(services.logs, address, commands, finished_ms))
