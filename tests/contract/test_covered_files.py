"""The coverage of files on both databases: what is stored of a step, read of a run, and kept where."""

import zlib
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import Engine, delete, func, select, update

from runner.report_results import CoveredFile, CoveredFiles, StepReports
from tests.contract.test_reports import Place
from tests.support.reports import covered
from workers.blobs import LocalBlobs
from workers.db.models import Job, Run, StepReport
from workers.db.session import reading, transaction
from workers.store import covered_files as module
from workers.store import reports as rows
from workers.store.covered_files import KnownFiles, covered_files
from workers.store.jobs import leases
from workers.store.reruns.copies import copy_reports


@pytest.fixture
def place(database: Engine, repo_id: int, tmp_path: Path) -> Place:
    (tmp_path / "blobs").mkdir()
    return Place(database, repo_id, LocalBlobs(tmp_path / "blobs"))


def known(place: Place, run_id: int) -> KnownFiles:
    with reading(place.database) as session:
        return covered_files(session, [each.report.id for each in rows.reports_of_run(session, run_id)])


def warnings(place: Place, claim: leases.Claim) -> list[str]:
    with reading(place.database) as session:
        return [each for shown in rows.reports_of_run(session, claim.run_id) for each in shown.report.warnings]


def test_the_files_of_a_step_come_back(place: Place) -> None:
    claim = place.job()
    reports = covered(a=(1, 2), b=(0, 3))
    odd = CoveredFile("src/\N{GREEK SMALL LETTER LAMDA} \\ 'x'\t.py", 2**53, 2**53)
    place.keep(claim, replace(reports, covered_files=CoveredFiles((*reports.covered_files.files, odd))))
    found = known(place, claim.run_id)
    assert (list(found.files.values()), found.complete) == ([*reports.covered_files.files, odd], True)
    place.keep(claim, covered(a=(2, 2)))
    assert list(known(place, claim.run_id).files) == ["a.py"], "a further attempt takes their place"


def test_of_several_steps_the_one_that_covers_most_of_a_file_counts(place: Place) -> None:
    claim = place.job()
    place.keep(claim, covered(a=(1, 4), b=(1, 1)))
    place.keep(claim, covered(a=(3, 4), c=(0, 1)), step=2)
    place.keep(claim, covered(a=(2, 4)), step=3)
    found = {path: file.covered_lines for path, file in known(place, claim.run_id).files.items()}
    assert found == {"a.py": 3, "b.py": 1, "c.py": 0}


def test_files_that_are_not_listed_make_the_list_incomplete(place: Place) -> None:
    claim = place.job()
    place.keep(claim, covered(a=(1, 4)))
    place.keep(claim, StepReports(), step=2)
    assert known(place, claim.run_id).complete, "a report of tests alone has no files"
    place.keep(claim, covered(1, b=(1, 4)), step=2)
    assert (len(known(place, claim.run_id).files), known(place, claim.run_id).complete) == (2, False)
    place.keep(claim, replace(covered(b=(1, 4)), covered_files=CoveredFiles()), step=2)
    assert (len(known(place, claim.run_id).files), known(place, claim.run_id).complete) == (1, False)


def test_the_steps_of_a_run_keep_together_what_the_limit_says(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    claim, other = place.job(), place.job()
    place.keep(other, covered(a=(1, 4)))
    with reading(place.database) as session:
        size_bytes = session.scalar(select(func.max(StepReport.covered_files_bytes))) or 0
    assert size_bytes == len(b"0\n1\t4\ta.py\n")
    monkeypatch.setattr(module, "RUN_BYTES_MAX", 2 * size_bytes)
    for step in (1, 2, 2):  # also when it is stored again
        place.keep(claim, covered(a=(1, 4)), step)
    assert warnings(place, claim) == []
    place.keep(claim, covered(b=(1, 4)), 3)
    (sentence,) = warnings(place, claim)
    assert sentence.startswith("its files with coverage are not listed, but count: the steps of a run list 22 bytes")
    assert (list(known(place, claim.run_id).files), known(place, claim.run_id).complete) == (["a.py"], False)


def test_of_a_row_no_more_is_unpacked_than_a_run_may_keep(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    claim = place.job()
    place.keep(claim, covered(a=(1, 4)))
    with transaction(place.database) as session:
        data = zlib.compress(b"0\n1\t4\ta.py\n1\t4\tb.py\n" + b"1\t4\ta.py\n" * 1000)
        session.execute(update(StepReport).values(covered_files=data, covered_files_bytes=2**40))
    for bytes_max in (11, 13):  # between two lines, and within one
        monkeypatch.setattr(module, "RUN_BYTES_MAX", bytes_max)
        assert list(known(place, claim.run_id).files) == ["a.py"]


def test_a_carried_over_job_has_its_files(place: Place) -> None:
    first, second = place.job(), place.job()
    place.keep(first, covered(a=(1, 4)))
    with transaction(place.database) as session:
        copy_reports(session, session.get_one(Job, first.job_id), session.get_one(Job, second.job_id), [1])
    assert known(place, second.run_id) == known(place, first.run_id)


def test_files_go_with_their_run_and_are_read_only_when_they_are_asked_for(place: Place) -> None:
    claim = place.job()
    place.keep(claim, covered(a=(1, 4)))
    with reading(place.database) as session:
        (shown,) = rows.reports_of_run(session, claim.run_id)
        assert "covered_files" not in shown.report.__dict__
    with transaction(place.database) as session:
        session.execute(delete(Run).where(Run.id == claim.run_id))
    assert place.count(StepReport) == 0
