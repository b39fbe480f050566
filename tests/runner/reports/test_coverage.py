"""Coverage in the formats of common tools."""

import pytest

from runner.report_results import Coverage, total_of
from runner.reports import coverage as module
from runner.reports.bounded_xml import ReportError
from runner.reports.coverage import LCOV_LINE_BYTES_MAX, CoverageReader

COBERTURA = """<?xml version="1.0" ?><!DOCTYPE coverage SYSTEM 'http://cobertura.sourceforge.net/xml/coverage-04.dtd'>
<coverage line-rate="0.5" lines-valid="9" version="1"><sources><source>/src</source></sources><packages>
<package name="p"><classes><class name="a.py" filename="p/a.py"><methods><method name="f"><lines>
<line number="1" hits="3"/></lines></method></methods><lines><line number="1" hits="3"/><line number="2" hits="0"/>
<line number="3" hits="1" branch="true"/></lines></class></classes></package></packages></coverage>"""
JACOCO = """<?xml version="1.0"?><!DOCTYPE report PUBLIC "-//JACOCO//DTD Report 1.1//EN" "report.dtd"><report name="x">
<package name="org/x"><class name="org/x/A"><counter type="LINE" missed="9" covered="9"/></class>
<sourcefile name="A.java"><line nr="1" mi="0" ci="2"/><counter type="INSTRUCTION" missed="5" covered="5"/>
<counter type="LINE" missed="2" covered="3"/></sourcefile><counter type="LINE" missed="2" covered="3"/></package>
</report>"""
CLOVER = """<?xml version="1.0"?><coverage generated="1"><project timestamp="1"><file name="/src/A.php">
<class name="A"/><line num="1" type="method" name="f" count="1"/><line num="2" type="stmt" count="4"/>
<line num="3" type="stmt" count="0"/><metrics statements="2"/></file></project></coverage>"""
LCOV = (
    "TN:\nSF:src/a.js\nFN:1,f\nDA:1,3\nDA:2,0,hash\nLF:2\nLH:1\nend_of_record\n"
    "SF:src/b.js\r\nDA:1,0\r\nend_of_record\r\n"
)


def read(*documents: str, piece: int = 10**6) -> Coverage | None:
    reader = CoverageReader(lambda: None)
    for document in documents:
        data = document.encode()
        reader.read(data[start : start + piece] for start in range(0, len(data), piece))
    return reader.coverage()


@pytest.mark.parametrize(
    ("document", "covered", "total"), [(COBERTURA, 2, 3), (JACOCO, 3, 5), (CLOVER, 1, 2), (LCOV, 1, 3)]
)
def test_lines_that_ran_are_counted(document: str, covered: int, total: int) -> None:
    assert read(document) == Coverage(covered, total)
    assert read(document, piece=7 if document != LCOV else 30) == Coverage(covered, total)


def test_reports_of_the_same_files_are_one() -> None:
    other = LCOV.replace("DA:2,0", "DA:2,1")
    assert read(LCOV, other) == Coverage(2, 3)
    assert read(JACOCO, JACOCO.replace('"2" covered="3"', '"1" covered="4"')) == Coverage(4, 5)


def test_a_sentence() -> None:
    assert str(Coverage(813, 1000)) == "81.3 % of 1,000 lines"
    assert Coverage(0, 0).percent == 0
    assert total_of([Coverage(1, 2), Coverage(3, 4)]) == Coverage(4, 6)
    assert total_of([]) is None


@pytest.mark.parametrize(
    ("document", "problem"),
    [
        ("<html/>", "its root is <html>, and that of Cobertura and Clover is <coverage>, of JaCoCo <report>"),
        ("SF:a\nDA:x,1\n", "'x' is no number of a line or of its runs"),
        ("SF:a\nDA:1,-1\n", "'-1' is no number of a line or of its runs"),
        (COBERTURA.replace('hits="0"', 'hits="9999999999999999999999"'), "'9999999999999999999999' is no number"),
        ("TN:" + "x" * (LCOV_LINE_BYTES_MAX - 2), "it has a line of more than 65,536 bytes"),
    ],
)
def test_what_is_no_coverage(document: str, problem: str) -> None:
    with pytest.raises(ReportError) as raised:
        read(document)
    assert str(raised.value).startswith(problem)


def test_a_line_of_lcov_at_the_limit_is_read() -> None:
    assert read("TN:" + "x" * (LCOV_LINE_BYTES_MAX - 3)) == Coverage(0, 0)


def test_lines_and_files_are_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    document = [b"SF:a\nDA:1,1\nDA:2,1\nSF:b\nDA:1,1\n"]
    CoverageReader(lambda: None, lines_count_max=3).read(document)
    with pytest.raises(ReportError, match="it has more than 2 lines"):
        CoverageReader(lambda: None, lines_count_max=2).read(document)
    monkeypatch.setattr(module, "FILES_COUNT_MAX", 2)
    CoverageReader(lambda: None).read(document)
    monkeypatch.setattr(module, "FILES_COUNT_MAX", 1)
    with pytest.raises(ReportError, match="it names more than 1 files"):
        CoverageReader(lambda: None).read(document)
    two = JACOCO.replace(
        "</package>", '<sourcefile name="B"><counter type="LINE" missed="1" covered="0"/></sourcefile></package>'
    )
    with pytest.raises(ReportError, match="it names more than 1 files"):
        read(two)


def test_the_job_can_end_while_lcov_is_read() -> None:
    class EndedError(Exception):
        pass

    def check() -> None:
        raise EndedError

    with pytest.raises(EndedError):
        CoverageReader(check).read([LCOV.encode()])


def test_nothing_read_is_no_coverage() -> None:
    assert CoverageReader(lambda: None).coverage() is None
