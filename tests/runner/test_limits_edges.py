"""Limits of the runner: what is exactly as large as a limit is taken, one more is not."""

from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from pipelines.plan import JobPlan
from pipelines.state import Reason
from runner.cli.run.terminal import LINE_BYTES_MAX, Terminal
from runner.errors import StepError
from runner.events import StepOutput, Stream
from runner.execution.container.gate import STATUS_BYTES_MAX, StatusWatch
from runner.images.tags_file import TAGS_FILE_BYTES_MAX, read_tags
from runner.network.ca_certificates import BUNDLE_BYTES_MAX, read_ca_certificates
from runner.source.mirrors.mirror import FILE_BYTES_MAX, Mirror
from tests.support.certificate_authority import CertificateAuthority
from tests.support.plans import numbered, shell
from tests.support.repos import Repo


def test_a_file_of_tags_has_at_most_64_kibibytes(tmp_path: Path) -> None:
    assert TAGS_FILE_BYTES_MAX == 64 * 1024
    (tmp_path / "tags").write_bytes(b"1.2".ljust(TAGS_FILE_BYTES_MAX))
    assert read_tags(tmp_path, tmp_path, "tags") == ("1.2",)
    (tmp_path / "tags").write_bytes(b"1.2".ljust(TAGS_FILE_BYTES_MAX + 1))
    with pytest.raises(StepError, match="is larger than 65536 bytes"):
        read_tags(tmp_path, tmp_path, "tags")


def test_a_file_read_from_a_commit_has_at_most_a_mebibyte(tmp_path: Path) -> None:
    assert FILE_BYTES_MAX == 1024 * 1024
    repo = Repo(tmp_path / "origin.git")
    mirror = Mirror(tmp_path / "mirror.git", repo.url)
    sha = repo.commit({"fits": "x" * FILE_BYTES_MAX, "longer": "x" * (FILE_BYTES_MAX + 1)})
    mirror.fetch(sha)
    assert len(mirror.read(sha, "fits")) == FILE_BYTES_MAX
    with pytest.raises(StepError, match="longer has 1,048,577 bytes; the limit is 1,048,576") as refused:
        mirror.read(sha, "longer")
    assert refused.value.reason is Reason.INVALID_PIPELINE


def certificate_of(size: int) -> str:
    """What counts as one certificate when it is read, in so many characters: no key is checked in the system's file."""
    begin, end = "-----BEGIN CERTIFICATE-----\n", "\n-----END CERTIFICATE-----\n"
    return f"{begin}{'A' * (size - len(begin) - len(end))}{end}"


def test_the_authorities_that_a_build_is_given_have_at_most_512000_bytes(tmp_path: Path) -> None:
    own = CertificateAuthority(tmp_path).file
    system = tmp_path / "system.pem"
    room = BUNDLE_BYTES_MAX - len(read_ca_certificates(own, {"SSL_CERT_FILE": str(own)}).bundle)
    system.write_text(certificate_of(room))
    assert len(read_ca_certificates(own, {"SSL_CERT_FILE": str(system)}).bundle) == BUNDLE_BYTES_MAX == 512_000
    system.write_text(certificate_of(room + 1))
    with pytest.raises(ValueError, match="have 512,001 bytes, more than the limit of 512,000"):
        read_ca_certificates(own, {"SSL_CERT_FILE": str(system)})


def test_a_line_without_an_end_is_kept_up_to_64_kibibytes() -> None:
    assert LINE_BYTES_MAX == 64 * 1024
    shown = StringIO()
    screen = Terminal(
        Console(file=shown), JobPlan(name="job", file="f", number=1, steps=numbered([shell(name="unit")]))
    )
    screen(StepOutput(1, 0, b"x" * LINE_BYTES_MAX, Stream.STDOUT))
    assert shown.getvalue() == ""
    screen(StepOutput(1, LINE_BYTES_MAX, b"x", Stream.STDOUT))
    assert shown.getvalue() == f"unit | {'x' * (LINE_BYTES_MAX + 1)}\n"


def test_what_looks_like_a_status_of_too_many_digits_is_output() -> None:
    mark = b"\x1etoken "
    watch = StatusWatch("token")
    assert watch.feed(mark + b"255 64") == b""
    assert watch.feed(b"\n") == b""
    assert (watch.status, watch.signal) == (255, 64)
    longest = b"255 64 " + b"9" * 20 + b" " + b"9" * 20
    assert len(longest) == STATUS_BYTES_MAX - 1
    watch = StatusWatch("token")
    assert watch.feed(mark + longest) == b""
    assert watch.feed(b"\n") == b""
    assert watch.used.memory_peak_bytes == 10**20 - 1
    watch = StatusWatch("token")
    assert watch.feed(mark + longest + b"9") == mark + longest + b"9"
    assert watch.status is None
