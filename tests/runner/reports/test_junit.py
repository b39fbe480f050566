"""JUnit XML as the common tools write it, and what becomes of it."""

from collections.abc import Iterator

import pytest

from runner.report_results import (
    CaseName,
    FailedTest,
    ReportLimits,
    TestResults,
    case_of,
    counted,
)
from runner.reports.bounded_xml import ReportError
from runner.reports.junit import TestReader

WORKSPACE = "/headway/src"


def read(*documents: str | bytes, limits: ReportLimits | None = None) -> TestResults:
    reader = TestReader(limits or ReportLimits(), WORKSPACE, lambda: None)
    for document in documents:
        reader.read([document.encode() if isinstance(document, str) else document])
    found = reader.results()
    assert found is not None
    return found


def only(document: str) -> FailedTest:
    (failed,) = read(document).failures
    return failed


def names(results: TestResults) -> Iterator[tuple[str, str]]:
    for line in filter(None, results.cases.split("\n")):
        case = case_of(line)
        assert case is not None
        yield case.state, str(case.test)


PYTEST = """<?xml version="1.0" encoding="utf-8"?><testsuites name="pytest tests"><testsuite name="pytest" errors="1"
 failures="1" skipped="1" tests="4" time="0.123" timestamp="2026-01-01T00:00:00" hostname="h">
<testcase classname="tests.test_a.TestSum" name="test_adds[1-2]" time="0.002" />
<testcase classname="tests.test_a" name="test_fails" time="0.001"><failure message="AssertionError: assert 1 == 2&#10;
 +  where 1 = f()">def test_fails():
&gt;       assert f() == 2
E       AssertionError: assert 1 == 2

src/app.py:3: in f
tests/test_a.py:12: AssertionError</failure></testcase>
<testcase classname="tests.test_a" name="test_setup" time="0.0"><error message="failed on setup">fixture 'x' not found
/headway/src/tests/test_a.py:20</error></testcase>
<testcase classname="tests.test_a" name="test_later" time="0.0"><skipped type="pytest.skip" message="no">x</skipped>
</testcase></testsuite></testsuites>"""


def test_pytest() -> None:
    found = read(PYTEST)
    assert found.counts == {"passed": 1, "failed": 1, "error": 1, "skipped": 1}
    assert counted(found.counts) == "4 tests: 2 failed, 1 passed, 1 skipped"
    failed, broken = found.failures
    assert failed.test == CaseName("pytest", "tests.test_a", "test_fails")
    assert failed.place == "tests/test_a.py:12"
    assert failed.message == "AssertionError: assert 1 == 2   +  where 1 = f()"
    assert failed.text.splitlines()[-1] == "tests/test_a.py:12: AssertionError"
    assert (failed.duration_ms, failed.state, failed.flaky) == (1, "failed", False)
    assert (broken.state, broken.place) == ("error", "tests/test_a.py:20")
    assert next(names(found)) == ("passed", "tests.test_a.TestSum › test_adds[1-2]")  # noqa: RUF001 - a sign
    assert found.passed(CaseName("pytest", "tests.test_a.TestSum", "test_adds[1-2]"))
    assert not found.passed(failed.test)


def test_jest() -> None:
    failed = only(
        '<testsuites name="jest tests" tests="1" failures="1" time="1.2"><testsuite name="adds" tests="1">'
        '<testcase classname="adds numbers" name="adds numbers" time="0.005"><failure>Error: expect(received)'
        ".toBe(expected)\n\nExpected: 3\n    at Object.&lt;anonymous&gt; (/headway/src/src/sum.test.js:5:17)\n"
        "    at Promise.then (/headway/src/node_modules/jest/x.js:9:1)</failure></testcase></testsuite></testsuites>"
    )
    assert (failed.message, failed.place) == ("Error: expect(received).toBe(expected)", "src/sum.test.js:5")


def test_vitest() -> None:
    failed = only(
        '<testsuites name="vitest tests"><testsuite name="src/sum.test.ts" tests="1" failures="1">'
        '<testcase classname="src/sum.test.ts" name="adds &gt; small" time="0.004"><failure '
        'message="expected 2 to be 3" type="AssertionError">AssertionError: expected 2 to be 3\n'
        " at src/sum.test.ts:6:21</failure></testcase></testsuite></testsuites>"
    )
    assert (failed.test.name, failed.place) == ("adds > small", "src/sum.test.ts:6")
    assert failed.message == "expected 2 to be 3"


def test_maven_surefire_with_a_flaky_test() -> None:
    found = read(
        '<testsuite xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" name="org.x.CalcTest" time="1,2">'
        '<properties><property name="a" value="b"/></properties>'
        '<testcase name="adds" classname="org.x.CalcTest" time="1,000.25"><failure message="expected: &lt;1&gt;" '
        'type="org.opentest4j.AssertionFailedError"><![CDATA[org.opentest4j.AssertionFailedError: expected: <1>\n'
        "\tat org.junit.jupiter.api.AssertEquals.fail(AssertEquals.java:39)\n"
        "\tat org.x.CalcTest.adds(CalcTest.java:14)\n\tat java.base/java.lang.X.y(X.java:1)]]></failure>"
        "<system-out>noise</system-out></testcase>"
        '<testcase name="sometimes" classname="org.x.CalcTest" time="0.1"><flakyFailure message="late" type="E">'
        "<stackTrace>at org.x.CalcTest.sometimes(CalcTest.java:20)</stackTrace></flakyFailure></testcase>"
        '<testcase name="ok" classname="org.x.CalcTest" time="0"><system-out>Error</system-out></testcase></testsuite>'
    )
    assert found.counts == {"failed": 1, "passed": 2}
    adds, sometimes = found.failures
    assert (adds.place, adds.duration_ms, adds.message) == ("CalcTest.java:14", 1_000_250, "expected: <1>")
    assert (sometimes.flaky, sometimes.state, sometimes.place) == (True, "passed", "CalcTest.java:20")


def test_gradle() -> None:
    failed = only(
        '<testsuite name="CalcTest" tests="1" skipped="0" failures="1"><properties/><testcase name="adds()" '
        'classname="CalcTest" time="0.02"><failure message="org.opentest4j.X: expected" type="X">org.opentest4j.X: '
        "expected\n\tat app//CalcTest.adds(CalcTest.kt:7)</failure></testcase><system-out><![CDATA[]]></system-out>"
        "</testsuite>"
    )
    assert (failed.test, failed.place) == (CaseName("CalcTest", "CalcTest", "adds()"), "CalcTest.kt:7")


def test_gotestsum() -> None:
    failed = only(
        '<testsuites tests="1" failures="1" errors="0" time="0.1"><testsuite tests="1" failures="1" '
        'name="example.org/calc" timestamp="2026-01-01T00:00:00Z"><properties><property name="go.version" value="x"/>'
        '</properties><testcase classname="example.org/calc" name="TestAdd/small" time="0.000000"><failure '
        'message="Failed" type="">=== RUN   TestAdd/small\n    calc_test.go:9: got 3\n--- FAIL: TestAdd/small (0.00s)'
        "</failure></testcase></testsuite></testsuites>"
    )
    assert (failed.place, failed.message) == ("calc_test.go:9", "Failed")


def test_node_writes_tests_outside_of_suites() -> None:
    results = read(
        '<?xml version="1.0" encoding="utf-8"?>\n<testsuites>\n\t<testcase name="a visit counts" time="0.016" '
        'classname="test"/>\n\t<testsuite name="pages" tests="1"><testcase name="index" time="0.01" '
        'classname="test"/></testsuite>\n\t<testcase name="a real Redis counts" time="0.01" classname="test" '
        'failure="1 !== 2"><failure type="testCodeFailure" message="1 !== 2">\n[Error: 1 !== 2]</failure></testcase>\n'
        "\t<!-- tests 3 -->\n</testsuites>"
    )
    assert results.total == 3
    (failed,) = results.failures
    assert (failed.test, failed.message) == (CaseName("", "test", "a real Redis counts"), "1 !== 2")


def test_phpunit_with_nested_suites() -> None:
    failed = only(
        '<testsuites><testsuite name="/app/phpunit.xml" tests="1"><testsuite name="CalcTest" file="/app/CalcTest.php">'
        '<testsuite name="CalcTest::testAdd"><testcase name="testAdd with data set #0" '
        'file="/headway/src/tests/CalcTest.php" line="12" class="CalcTest" classname="CalcTest" assertions="1" '
        'time="0.004"><failure type="PHPUnit\\Framework\\ExpectationFailedException">CalcTest::testAdd\n'
        "Failed asserting that 2 matches expected 3.\n\n/headway/src/tests/CalcTest.php:15</failure></testcase>"
        "</testsuite></testsuite></testsuite></testsuites>"
    )
    assert failed.place == "tests/CalcTest.php:12"
    assert failed.test == CaseName("CalcTest::testAdd", "CalcTest", "testAdd with data set #0")


def test_nextest() -> None:
    found = read(
        '<testsuites name="nextest-run" tests="2" failures="1" uuid="u"><testsuite name="calc" tests="2">'
        '<testcase name="tests::adds" classname="calc" time="0.003"><failure type="test failure with exit code 101">'
        "thread 'tests::adds' panicked at src/lib.rs:12:9:\nassertion failed</failure><rerunFailure type='x'>again"
        "</rerunFailure><system-out>running 1 test</system-out></testcase><testcase name='t::flaky' classname='calc' "
        "time='0.1'><flakyFailure type='test failure' timestamp='t'>src/lib.rs:20:5</flakyFailure></testcase>"
        "</testsuite></testsuites>"
    )
    failed, flaky = found.failures
    assert (failed.place, failed.message) == ("src/lib.rs:12", "test failure with exit code 101")
    assert "again" not in failed.text
    assert (flaky.flaky, flaky.place) == (True, "src/lib.rs:20")


def test_dotnet_as_junit_and_as_trx() -> None:
    junit = only(
        '<testsuites><testsuite name="Calc.dll" tests="1"><properties /><testcase classname="Calc.Tests" name="Adds" '
        'time="0.01"><failure type="failure" message="Assert.Equal() Failure">   at Calc.Tests.Adds() in '
        "/headway/src/Calc/Tests.cs:line 12</failure></testcase></testsuite></testsuites>"
    )
    assert junit.place == "Calc/Tests.cs:12"
    trx = read(
        '\ufeff<?xml version="1.0" encoding="utf-8"?><TestRun id="1" xmlns="http://microsoft.com/schemas/VisualStudio">'
        '<Results><UnitTestResult testName="Calc.Tests.Adds" duration="00:00:01.5000000" outcome="Failed"><Output>'
        "<StdOut>Message</StdOut><ErrorInfo><Message>Assert.Equal() Failure</Message><StackTrace>   at Calc.Tests."
        "Adds() in /headway/src/Calc/Tests.cs:line 12</StackTrace></ErrorInfo></Output></UnitTestResult>"
        '<UnitTestResult testName="Calc.Tests.Ok" duration="00:00:00.1" outcome="Passed"/>'
        '<UnitTestResult testName="Calc.Tests.No" outcome="NotExecuted"/></Results></TestRun>'
    )
    assert trx.counts == {"failed": 1, "passed": 1, "skipped": 1}
    (failed,) = trx.failures
    assert (failed.message, failed.place, failed.duration_ms) == ("Assert.Equal() Failure", "Calc/Tests.cs:12", 1500)


def test_tests_that_did_not_run_are_skipped() -> None:
    found = read(
        '<testsuite name="g"><testcase name="a" status="notrun"/><testcase name="b" status="run"/></testsuite>'
    )
    assert found.counts == {"skipped": 1, "passed": 1}


def test_several_files_are_one_report_and_the_slowest_come_first() -> None:
    one = '<testsuite name="s"><testcase name="a" time="0.5"/><testcase name="b" time="nan"/></testsuite>'
    two = '<testsuite name="s"><testcase name="c" time="2"/><testcase name="d" time="1e999"/></testsuite>'
    found = read(one, two)
    assert (found.total, found.duration_ms) == (4, 2500)
    assert [(ms, test.name) for ms, test in found.slowest] == [(2000, "c"), (500, "a")]


def test_names_are_harmless_and_short() -> None:
    long = "x" * 30
    cases = f'<testcase name="a\u202eb&#127;[31m"/><testcase name="{long}"/>'
    document = f'<testsuite name="s&#9;t&#10;u">{cases}</testsuite>'
    found = read(document, limits=ReportLimits(name_characters_max=20))
    assert list(names(found)) == [("passed", "s t u › a b [31m"), ("passed", "s t u › " + "x" * 19 + "…")]  # noqa: RUF001


def test_a_name_at_the_limit_stays_whole() -> None:
    limits = ReportLimits(name_characters_max=20)
    document = '<testsuite name=""><testcase name="{}"/></testsuite>'
    assert list(names(read(document.format("x" * 20), limits=limits))) == [("passed", "x" * 20)]
    assert list(names(read(document.format("x" * 21), limits=limits))) == [("passed", "x" * 19 + "…")]


def test_message_and_text_are_cut_to_their_limits() -> None:
    limits = ReportLimits(message_characters_max=10, text_characters_max=100)
    document = '<testsuite name="s"><testcase name="a"><failure message="{}">{}</failure></testcase></testsuite>'
    (whole,) = read(document.format("m" * 10, "t" * 92), limits=limits).failures
    assert (whole.message, whole.text) == ("m" * 10, "t" * 92)
    (cut,) = read(document.format("m" * 11, "a" * 500 + "z" * 500), limits=limits).failures
    assert (cut.message, len(cut.text)) == ("m" * 9 + "…", 100)
    assert (cut.text[:62], cut.text[-30:]) == ("a" * 62, "z" * 30)
    assert "\n[...]\n" in cut.text


def test_only_so_many_failures_keep_their_text_and_all_are_counted() -> None:
    case = '<testcase name="{}"><failure message="m"/></testcase>'
    cases = "".join(case.format(number) for number in range(3))
    document = f'<testsuite name="s">{cases}</testsuite>'
    assert len(read(document, limits=ReportLimits(failures_count_max=3)).failures) == 3
    found = read(document, limits=ReportLimits(failures_count_max=2))
    assert (len(found.failures), found.counts) == (2, {"failed": 3})


def test_only_so_many_tests_are_read() -> None:
    document = '<testsuite name="s">' + '<testcase name="a"/>' * 3 + "</testsuite>"
    assert read(document, limits=ReportLimits(cases_count_max=3)).total == 3
    reader = TestReader(ReportLimits(cases_count_max=2), WORKSPACE, lambda: None)
    with pytest.raises(ReportError, match="there are more than 2 tests; the first are kept"):
        reader.read([document.encode()])
    kept = reader.results()
    assert kept is not None
    assert kept.total == 2


def test_a_report_that_breaks_off_keeps_what_came_before() -> None:
    reader = TestReader(ReportLimits(), WORKSPACE, lambda: None)
    with pytest.raises(ReportError, match="it is no complete XML: no element found"):
        reader.read([b'<testsuite name="s"><testcase name="a"/><testcase name="b">'])
    kept = reader.results()
    assert kept is not None
    assert kept.counts == {"passed": 1}


def test_another_document_is_no_report() -> None:
    reader = TestReader(ReportLimits(), WORKSPACE, lambda: None)
    with pytest.raises(ReportError, match="its root is <html>, and that of JUnit XML is <testsuites>"):
        reader.read([b"<html><testcase/></html>"])
    assert reader.results() is None


def test_a_test_without_any_element_around_it_is_none() -> None:
    with pytest.raises(ReportError, match="its root is <testcase>"):
        read('<testcase name="a"/>')


@pytest.mark.parametrize("line", ["", "passed\ta\tb", "odd\ta\tb\tc\td\t1", "passed\ta\tb\tc\td\tx"])
def test_a_line_that_a_mask_has_changed_is_no_test(line: str) -> None:
    assert case_of(line) is None
