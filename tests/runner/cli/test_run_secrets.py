"""Secrets of ``headway run``: names of environment variables, and a file."""

from pathlib import Path

import pytest

from runner.cli.run.secrets import FILE_BYTES_MAX, secrets_in, secrets_of
from runner.errors import StepError


def test_a_file_of_secrets(tmp_path: Path) -> None:
    file = tmp_path / "secrets"
    lines = ["\ufeffTOKEN=abc=d", "", "# a comment", " export Quoted = 'a \"b\" \\n'"]
    lines += [r'KEY="one\ntwo \"x\" \\"', "EMPTY=", 'X="', "Y='z\""]
    file.write_text("\n".join(lines))
    assert secrets_in(file) == {
        "token": "abc=d", "quoted": 'a "b" \\n', "key": 'one\ntwo "x" \\', "empty": "", "x": '"', "y": "'z\"",
    }  # fmt: skip


def test_the_environment_counts_over_the_file(tmp_path: Path) -> None:
    file = tmp_path / "secrets"
    file.write_text("A=of-the-file\nB=another-one")
    warnings: list[str] = []
    found = secrets_of(["a", "C"], file, {"A": "of-the-environment", "C": "x"}, warnings.append)
    assert found == {"a": "of-the-environment", "b": "another-one", "c": "x"}
    assert [text.partition(":")[0] for text in warnings] == ["the secret 'c'"]
    with pytest.raises(StepError, match="the secret 'D' has no value: set the environment variable D"):
        secrets_of(["D"], None, {}, warnings.append)


def test_a_file_that_cannot_be_read_says_why_and_never_a_value(tmp_path: Path) -> None:
    file = tmp_path / "secrets"
    with pytest.raises(StepError, match="cannot be read: No such file or directory"):
        secrets_in(file)
    file.write_bytes(b"A=\xff")
    with pytest.raises(StepError, match="is not text in UTF-8"):
        secrets_in(file)
    file.write_text("A=b\nhidden value")
    with pytest.raises(StepError) as raised:
        secrets_in(file)
    assert str(raised.value) == f"{file}:2: this line is not NAME=VALUE"


def test_a_file_at_the_limit_and_one_byte_past_it(tmp_path: Path) -> None:
    file = tmp_path / "secrets"
    file.write_text("A=" + "b" * (FILE_BYTES_MAX - 2))
    assert len(secrets_in(file)["a"]) == FILE_BYTES_MAX - 2
    file.write_text("A=" + "b" * (FILE_BYTES_MAX - 1))
    with pytest.raises(StepError, match="has more than 1,048,576 bytes"):
        secrets_in(file)
