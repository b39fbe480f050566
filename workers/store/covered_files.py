"""The coverage of each file of a step, as it is stored: compressed lines in the row of its reports."""

import zlib
from collections.abc import Collection, Iterator, Mapping
from typing import NamedTuple

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from runner.report_results import CoveredFile, CoveredFiles
from workers.db.models import StepReport

RUN_BYTES_MAX = 1024**2
"""The steps of a run keep so many bytes of lines. Jobs that end at the same time may pass it by one step each."""
_LEVEL = 6  # paths that begin alike: a tenth of their size, in a few milliseconds


class KnownFiles(NamedTuple):
    """The coverage of the files of a run, by paths. ``complete``: it has no others."""

    files: Mapping[str, CoveredFile]
    complete: bool


def to_store(session: Session, run_id: int, files: CoveredFiles) -> tuple[dict[str, object], str]:
    """The values of the columns, and a sentence where the files are not kept because the run keeps too many."""
    if not files.files:
        return {"covered_files": None, "covered_files_bytes": 0}, ""
    text = f"{files.left_out}\n{''.join(each.line for each in files.files)}".encode(errors="replace")
    others = select(func.sum(StepReport.covered_files_bytes)).where(StepReport.run_id == run_id)
    if int(session.scalar(others) or 0) + len(text) > RUN_BYTES_MAX:
        why = f"its files with coverage are not listed, but count: the steps of a run list {RUN_BYTES_MAX:,} bytes of "
        why += "them; report the coverage of fewer files, or in fewer steps"
        return {"covered_files": None, "covered_files_bytes": 0}, why
    return {"covered_files": zlib.compress(text, _LEVEL), "covered_files_bytes": len(text)}, ""


def covered_files(session: Session, report_ids: Collection[int]) -> KnownFiles:
    """The coverage of the files of these reports of one run.

    Of several steps that cover the same file, the one that covers most lines of it counts.
    """
    found: dict[str, CoveredFile] = {}
    complete = True
    wanted = (StepReport.covered_files, StepReport.covered_files_bytes, StepReport.total_lines)
    query = select(*wanted).where(StepReport.id.in_(report_ids)).order_by(StepReport.id)
    for data, size_bytes, total_lines in session.execute(query):
        if data is None:
            complete = complete and not total_lines
            continue
        left_out, files = _unpacked(data, size_bytes)
        complete = complete and not left_out
        for file in files:
            known = found.get(file.path)
            if known is None or file.covered_lines > known.covered_lines:
                found[file.path] = file
    return KnownFiles(found, complete)


def _unpacked(data: bytes, size_bytes: int) -> tuple[int, Iterator[CoveredFile]]:
    """How many files are not in it, and those that are. Rows come back from backups: their sizes are not believed."""
    text = zlib.decompressobj().decompress(data, max(1, min(size_bytes, RUN_BYTES_MAX))).decode(errors="replace")
    first, *lines = text.split("\n")
    return int(first), _files(lines)


def _files(lines: Collection[str]) -> Iterator[CoveredFile]:
    for line in lines:
        covered, _, rest = line.partition("\t")
        total, _, path = rest.partition("\t")
        if path:  # else the line is the end, or cut off
            yield CoveredFile(path, int(covered), int(total))
