"""What ADD has the engine download: nothing may hide it."""

from contextlib import suppress

import pytest

from runner.builds.remote_files import ADDS_COUNT_MAX, RemoteFile, remote_file, remote_files
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
        "RUN x\nADD a h/x.git /y",
        "ADD ssh://git@h/x /y",
        "ADD http://h/x /y\r\nRUN x",
    ],
)
def test_a_download_is_found_however_it_is_written(text: str) -> None:
    assert hosts(text) == {"h"}


def test_gits_short_form_for_github_is_a_download() -> None:
    assert hosts("ADD github.com/a/b /x") == {"github.com"}


@pytest.mark.parametrize(
    "source",
    [
        "h/x.git", "h:1/x.git", "h:1/x.git#main", "h/x.git?branch=a#b:c", "//h/x.git", "/h/x.git", "///h/x.git",
        "u@h/x.git", "u:p@h:1/x.git", "github.com:x@h:18999/u.git", "h/x.gi%74", "h/%2egit", "H/x.git", "h//x.git",
        "h:/x.git", "git@h:x.git", "git@h:x", "a_b-c@h:", "git@h:y@z", "HTTP://h/x", "ssh://git@h:22/x", "git://h/x",
        "http://u:p%40q@h/x", "http://h?x", "http://h#x", "http://h:/x", "s3://h/x", "git+ssh://h/x",
    ],
)  # fmt: skip
def test_a_git_address_needs_no_scheme(source: str) -> None:
    assert remote_file(source) == RemoteFile(source, "h")
    assert hosts(f"ADD {source} /y") == hosts(f'ADD ["{source}", "/y"]') == hosts(f"ADD a {source} y z") == {"h"}


@pytest.mark.parametrize(
    ("source", "host"),
    [
        ("[::1]:1/x.git", "::1"), ("http://[::1]/x", "::1"), ("localhost/x.git", "localhost"),
        ("github.com:x@172.17.0.1:18999/u.git", "172.17.0.1"), ("//172.17.0.1:1/x.git", "172.17.0.1"),
    ],
)  # fmt: skip
def test_the_host_is_what_stands_behind_the_user(source: str, host: str) -> None:
    assert remote_file(source) == RemoteFile(source, host)


@pytest.mark.parametrize(
    "source",
    [
        "http://a@b@h/x", "http://h\\@i/x", "http:///h/x", "https://[fe80::1%25lo]/x", "http://%31/x", "http://h:a/x",
        "git://172.17.0.%31/x", "\uff11/x.git", "http://\uff11/x", "a@b@h/x.git", "http://", "*/x.git",
    ],
)  # fmt: skip
def test_a_host_that_programs_read_differently_is_not_told(source: str) -> None:
    assert remote_file(source) == RemoteFile(source, "")


@pytest.mark.parametrize(
    "source",
    [
        "a:b", "x@y", "lib.git", "lib.git#a", "./h/x.git", "../h/x.git", "./git@h:x", "x.git/y", "a/x.gitignore",
        "a/x?y.git", "a/x#y.git", "a/x.GIT", "a.b@c:d", "a b@c:d", "a/b@c:d", "/a/b", ".", "*.jar",
        "@a/b.tgz", "a/x.git/",
    ],
)  # fmt: skip
def test_what_no_version_takes_for_an_address_is_a_file(source: str) -> None:
    assert remote_file(source) is None


@pytest.mark.parametrize(
    ("front", "expected"),
    [
        ("", [""]), ("h", [""]), ("ht", [""]), ("http:", [""]), ("http:/", [""]), ("http://", [""]), ("http://h", [""]),
        ("http://h:", [""]), ("http://h/", ["h"]), ("http://u@", [""]), ("git@", [""]), ("git@h", [""]),
        ("git@h:", ["h"]), ("h/", ["h"]), ("h:1/", ["h"]), ("/", [""]), ("//h/", ["h"]), ("app-", [""]), (".", [""]),
        ("./", []), ("../a", []), ("./http://", []),
    ],
)  # fmt: skip
def test_what_is_known_from_its_front_alone_may_go_on_in_any_way(front: str, expected: list[str]) -> None:
    file = remote_file(front, known=False, has_checksum=True)
    assert ([file] if file else []) == [RemoteFile(front, host) for host in expected]


@pytest.mark.parametrize(
    "text",
    [
        "ADD a.tar.gz /x",
        "ADD target/$NAME.jar /x",
        "ADD app-${VERSION}.tgz /x",
        "ADD . /",
        "ADD x srv/git/x.git",
        "ADD x /srv/git/x.git",
        "ADD $X /y",
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
        (f"--checksum={COMMIT}", False),
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


@pytest.mark.parametrize(
    "source", ["http://h/x.git", "https://h/x.gi%74", "http://h/x.git#main", "http://h/x?y.git", "http://h/x.git?a=b"]
)
def test_a_git_repository_has_no_checksum(source: str) -> None:
    """Until version 0.21, BuildKit takes the option and does not look at it."""
    (file,) = remote_files(f"ADD --checksum={SUM} {source} /y")
    assert not file.has_checksum


@pytest.mark.parametrize("source", ["ssh://h/x", "git://h/x", "git@h:x", "h/x.git", "HTTP://h/x"])
def test_only_a_download_by_http_has_a_checksum(source: str) -> None:
    (file,) = remote_files(f"ADD --checksum={SUM} {source} /y")
    assert not file.has_checksum


def test_the_number_of_downloads_is_bounded() -> None:
    assert len(remote_files("ADD http://h/x /y\n" * ADDS_COUNT_MAX)) == 1
    with pytest.raises(StepError, match="more than 100 ADD instructions"):
        remote_files("ADD http://h/x /y\n" * (ADDS_COUNT_MAX + 1))


@pytest.mark.slow
@pytest.mark.parametrize(
    "text", ["A\\\n" * 300_000, "ADD \\\n" * 200_000, "A\\\n" * 99 + "\n" * 900_000, "\\\n" * 400_000]
)
def test_no_dockerfile_takes_long_to_read(text: str) -> None:
    with suppress(StepError):
        remote_files(text)
