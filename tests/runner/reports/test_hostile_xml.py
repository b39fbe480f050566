"""Reports that want to harm: each ends with a sentence, in bounded time and memory."""

import pytest

from runner.report_results import ReportLimits
from runner.reports.bounded_xml import DEPTH_MAX, PIECE_BYTES, TOKEN_BYTES_MAX, ReportError
from runner.reports.coverage import CoverageReader
from runner.reports.junit import TestReader

BOMB = '<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;">]><testsuite name="&b;"/>'
OUTSIDE = '<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]><testsuite name="s">&a;</testsuite>'


def junit() -> TestReader:
    return TestReader(ReportLimits(), "/headway/src", lambda: None)


def coverage() -> CoverageReader:
    return CoverageReader(lambda: None)


@pytest.mark.parametrize("make", [junit, coverage])
@pytest.mark.parametrize(
    ("document", "problem"),
    [
        (BOMB.encode(), "it declares a document type of its own, and none is read"),
        (OUTSIDE.encode(), "it declares a document type of its own, and none is read"),
        (b"\0\0\0\0", "it is no complete XML: not well-formed"),
        (b"", "it is no complete XML: no element found"),
        (b"{}", "it is no complete XML: not well-formed"),
        (b'<?xml version="1.0" encoding="nowhere"?><testsuite name="s"/>', "its encoding cannot be read: unknown enc"),
        (b'<?xml version="1.0" encoding="hex"?><testsuite name="s"/>', "its encoding cannot be read: 'hex' is not a"),
        (b'<?xml version="1.0" encoding="utf-8"?><testsuite name="\xff"/>', "it is no complete XML: not well-formed"),
        (b'<testsuite name="s\0"/>', "it is no complete XML: not well-formed"),
    ],
)  # fmt: skip
def test_a_hostile_document_ends_with_a_sentence(
    make: type[TestReader | CoverageReader], document: bytes, problem: str
) -> None:
    with pytest.raises(ReportError) as raised:
        make().read([document])  # type: ignore[call-arg]
    assert str(raised.value).startswith(problem)


def nested(depth: int) -> bytes:
    return b"<testsuite name='s'>" + b"<a>" * (depth - 1) + b"</a>" * (depth - 1) + b"</testsuite>"


def test_depth_is_limited() -> None:
    junit().read([nested(DEPTH_MAX)])
    with pytest.raises(ReportError, match="its elements are nested deeper than 100"):
        junit().read([nested(DEPTH_MAX + 1)])


def with_attribute(size: int) -> list[bytes]:
    return [b"<testsuite name='", b"x" * size, b"'/>"]


def test_a_huge_attribute_is_not_read_on() -> None:
    junit().read(with_attribute(TOKEN_BYTES_MAX - 100))
    with pytest.raises(ReportError, match="a tag or comment in it has more than 1,048,576 bytes"):
        junit().read(with_attribute(TOKEN_BYTES_MAX + PIECE_BYTES))


def test_large_text_is_no_large_token() -> None:
    pieces = [b"<testsuite name='s'><system-out>", *[b"x" * 1000] * 3000, b"</system-out></testsuite>"]
    junit().read(pieces)


def test_the_depth_of_coverage_is_limited() -> None:
    coverage().read([nested(DEPTH_MAX).replace(b"testsuite", b"coverage")])
    with pytest.raises(ReportError, match="its elements are nested deeper than 100"):
        coverage().read([nested(DEPTH_MAX + 1).replace(b"testsuite", b"coverage")])


def test_the_depth_below_a_test_is_limited() -> None:
    inside = [b"<testsuite name='s'><testcase name='a'>" + b"<a>" * 98, b"</a>" * 98 + b"</testcase></testsuite>"]
    junit().read(inside)
    inside[0] += b"<b/>"
    with pytest.raises(ReportError, match="its elements are nested deeper than 100"):
        junit().read(inside)


def test_other_encodings_are_read() -> None:
    reader = junit()
    for encoding, letter in (("utf-16", "ü"), ("iso-8859-1", "ö"), ("windows-1252", "€")):
        document = f'<testsuite name="s"><testcase name="{letter}"/></testsuite>'
        reader.read([f'<?xml version="1.0" encoding="{encoding}"?>{document}'.encode(encoding)])
    found = reader.results()
    assert found is not None
    assert all(letter in found.cases for letter in "üö€")


def test_a_document_type_that_is_only_named_is_not_loaded() -> None:
    reader = coverage()
    reader.read([b'<!DOCTYPE coverage SYSTEM "http://cobertura.sourceforge.net/xml/coverage-04.dtd"><coverage/>'])
    assert reader.coverage() is not None


def test_the_job_can_end_while_a_report_is_read() -> None:
    class EndedError(Exception):
        pass

    def check() -> None:
        raise EndedError

    with pytest.raises(EndedError):
        TestReader(ReportLimits(), "/headway/src", check).read([b"<testsuite/>"])
