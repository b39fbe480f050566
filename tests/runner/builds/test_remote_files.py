"""What ADD has the engine download: nothing may hide it."""

from contextlib import suppress

import pytest

from runner.builds.remote_files import ADDS_COUNT_MAX, RemoteFile, remote_files, values_of_variables
from runner.errors import StepError

SUM = "sha256:" + "0" * 64
COMMIT = "a" * 40


def hosts(text: str) -> set[str]:
    return {file.host for file in remote_files(text)}


@pytest.mark.parametrize(
    "text",
    [
        "ADD http://h/x /y",
        "add https://h:8080/x y",
        "FROM a\nADD --chown=1:1 http://user:p@h/x /y",
        'ADD ["http://h/x", "/y"]',
        'ADD --link ["a", "http://h/x", "/y"]',
        "ADD a b http://h/x /y",
        "ONBUILD ADD http://h/x /y",
        "onbuild  onbuild\tADD\thttp://h/x /y",
        "\ufeffADD http://h/x /y",
        "\u00a0ADD http://h/x /y",
        'ADD "http://h/x" /y',
        "ADD h'tt'p://h/x /y",
        "ADD h\\ttp://h/x /y",
        "AD\\\nD ht\\\ntp://h/x /y",
        "ADD \\\n# a comment\n\n http://h/x /y",
        "# escape=`\nADD `\n http://h/x /y",
        "RUN echo a \\\\\nADD http://h/x /y",
        "RUN x <<EOF\nADD http://h/x /y",
        "RUN echo 'x <<EOF'\nADD http://h/x /y",
        "ADD git://h/x.git /y",
        "ADD git@h:x/y.git /y",
        "ADD ssh://git@h/x /y",
        "ADD http://h/$X /y",
        "ADD http://h/x /y\r\nRUN x",
    ],
)
def test_a_download_is_found_however_it_is_written(text: str) -> None:
    assert hosts(text) == {"h"}


def test_gits_short_form_for_github_is_a_download() -> None:
    assert hosts("ADD github.com/a/b /x") == {"github.com"}


@pytest.mark.parametrize(
    "source", ["$X", "${X}/a", "ht$X", "http://$X/a", "http$X", "'$X'", "git$X", "http://$X:1/", "http://h:$X/"]
)
def test_a_variable_may_name_a_download(source: str) -> None:
    (file,) = remote_files(f"ADD {source} /y")
    assert file == RemoteFile(source.replace("'", ""), "", has_checksum=False)


@pytest.mark.parametrize(
    "text",
    [
        "ADD a.tar.gz /x",
        "ADD target/$NAME.jar /x",
        "ADD app-${VERSION}.tgz /x",
        "ADD . /",
        "COPY http://h/x /y",
        "RUN apk add http://h/x",
        "RUN wget http://h/x",
        "ARG A=http://h\nADDRESS http://h/x",
        "ADD <<EOF /x\nhello\nEOF",
        'ADD ["a b", "/x"]',
        "# ADD http://h/x /y",
    ],
)
def test_files_of_the_repository_are_no_downloads(text: str) -> None:
    assert remote_files(text) == ()


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        (f"--checksum={SUM}", True),
        (f"--link --checksum={SUM}", True),
        (f"--checksum={COMMIT}", True),
        (f"--checksum={SUM[:-1]}", False),
        (f"--checksum={SUM}0", False),
        ("--checksum=$X", False),
        ("--checksum=", False),
        ("", False),
        (f"-- --checksum={SUM}", False),
        (f"a --checksum={SUM}", False),
        (f'--chown="1 --checksum={SUM} "', False),
    ],
)
def test_a_checksum_counts_only_where_buildkit_reads_one(flags: str, expected: bool) -> None:
    assert {file.has_checksum for file in remote_files(f"ADD {flags} http://h/x /y")} == {expected}


def test_the_values_of_variables_are_those_of_arg_env_and_the_build() -> None:
    text = "ARG A=1\nFROM x\n env B 2 \\\n  C=3\nONBUILD ARG D=4\nRUN E=5\nENVY F=6"
    found = " ".join(values_of_variables(text, {"G": "7"}))
    assert [number for number in "1234567" if number in found] == ["1", "2", "3", "4", "7"]


def test_the_number_of_downloads_is_bounded() -> None:
    assert len(remote_files("ADD http://h/x /y\n" * ADDS_COUNT_MAX)) == 1
    with pytest.raises(StepError, match="more than 100 ADD instructions"):
        remote_files("ADD http://h/x /y\n" * (ADDS_COUNT_MAX + 1))


@pytest.mark.slow
@pytest.mark.timeout(20)
@pytest.mark.parametrize(
    "text", ["A\\\n" * 300_000, "ADD \\\n" * 200_000, "A\\\n" * 99 + "\n" * 900_000, "\\\n" * 400_000]
)
def test_no_dockerfile_takes_long_to_read(text: str) -> None:
    with suppress(StepError):
        remote_files(text)
