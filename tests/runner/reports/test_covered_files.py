"""The coverage of each file, in the formats of common tools."""

from dataclasses import replace

import pytest

from runner.report_results import CoveredFile, CoveredFiles, ReportLimits, StepReports
from runner.reports.bounded_xml import ReportError
from runner.reports.coverage import CoverageReader
from runner.reports.masking import masked_reports
from runner.reports.repository_paths import PATH_CHARACTERS_MAX, RepositoryPaths
from tests.runner.reports.test_coverage import CLOVER, COBERTURA, JACOCO, LCOV


def files(*documents: str, limits: ReportLimits | None = None, folder: str = "") -> CoveredFiles:
    reader = CoverageReader(lambda: None, paths=RepositoryPaths("/headway/src", folder))
    for document in documents:
        reader.read([document.encode()])
    return reader.files(limits or ReportLimits())


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        (COBERTURA.replace(">/src<", ">/headway/src<"), [("p/a.py", 2, 3)]),
        (JACOCO, [("org/x/A.java", 3, 5)]),
        (CLOVER.replace("/src/A", "/headway/src/A"), [("A.php", 1, 2)]),
        (CLOVER.replace('name="/src/A.php"', 'name="A.php" path="/headway/src/b/A.php"'), [("b/A.php", 1, 2)]),
        (LCOV, [("src/a.js", 1, 2), ("src/b.js", 0, 1)]),
    ],
)
def test_each_format_names_its_files(document: str, expected: list[tuple[str, int, int]]) -> None:
    assert files(document) == CoveredFiles(tuple(CoveredFile(*each) for each in expected))


@pytest.mark.parametrize("document", [COBERTURA, CLOVER, LCOV.replace("SF:", "SF:../../")])
def test_what_is_not_in_the_repository_counts_and_is_not_listed(document: str) -> None:
    reader = CoverageReader(lambda: None)
    reader.read([document.encode()])
    assert reader.files(ReportLimits()) == CoveredFiles()
    coverage = reader.coverage()
    assert coverage is not None
    assert coverage.total_lines > 0


def test_a_source_comes_in_pieces_and_is_as_long_as_the_limit() -> None:
    longest = "s" * (PATH_CHARACTERS_MAX - len("/p/a.py"))
    for name, listed in ((longest, 1), (longest + "s", 0)):
        document = COBERTURA.replace("/src<", f"{name}<").encode()
        reader = CoverageReader(lambda: None)
        reader.read(document[start : start + 50] for start in range(0, len(document), 50))
        assert len(reader.files(ReportLimits()).files) == listed


def test_with_several_sources_names_count_from_where_the_step_starts() -> None:
    sources = "<source>/headway/src/x</source>\n<source> </source><source>/headway/src/x</source>"
    one = COBERTURA.replace("<source>/src</source>", sources)
    assert [each.path for each in files(one).files] == ["x/p/a.py"]
    two = COBERTURA.replace("<source>/src</source>", f"{sources}<source>/headway/src/y</source>")
    assert [each.path for each in files(two, folder="/headway/src/z").files] == ["z/p/a.py"]


def test_two_spellings_of_a_path_are_one_file() -> None:
    other = LCOV.replace("SF:src/a.js", "SF:/headway/src/src/./a.js").replace("DA:2,0", "DA:2,1")
    assert files(LCOV, other).files[0] == CoveredFile("src/a.js", 2, 2)


def test_of_lines_and_sums_of_a_file_those_with_more_coverage_count() -> None:
    assert files(JACOCO, "SF:org/x/A.java\nDA:1,1\n").files == (CoveredFile("org/x/A.java", 3, 5),)
    assert files(JACOCO.replace('missed="2" covered="3"', 'missed="0" covered="0"')).files == ()


def test_the_lines_of_a_sum_are_limited() -> None:
    CoverageReader(lambda: None, lines_count_max=5).read([JACOCO.encode()])
    with pytest.raises(ReportError, match="it has more than 4 lines"):
        CoverageReader(lambda: None, lines_count_max=4).read([JACOCO.encode()])


def test_files_are_listed_up_to_the_limits() -> None:
    limits = ReportLimits()
    exact = replace(limits, covered_files_max=2)
    assert files(LCOV, limits=exact) == files(LCOV)
    first = files(LCOV).files[:1]
    assert files(LCOV, limits=replace(limits, covered_files_max=1)) == CoveredFiles(first, 1)
    size_bytes = sum(len(each.line.encode()) for each in files(LCOV).files)
    assert files(LCOV, limits=replace(limits, covered_files_bytes_max=size_bytes)) == files(LCOV)
    assert files(LCOV, limits=replace(limits, covered_files_bytes_max=size_bytes - 1)) == CoveredFiles(first, 1)


def test_secrets_in_paths_are_masked() -> None:
    reports = StepReports(covered_files=CoveredFiles((CoveredFile("src/hunter2.py", 1, 2),), 3))
    masked = masked_reports(reports, lambda text: text.replace("hunter2", "***")).covered_files
    assert masked == CoveredFiles((CoveredFile("src/***.py", 1, 2),), 3)
