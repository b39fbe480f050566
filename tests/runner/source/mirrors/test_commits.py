"""What git knows of a commit."""

import pytest

from pipelines.state import Reason
from pipelines.trigger import TEXT_CHARS_MAX
from runner.errors import StepError
from runner.source.mirrors.mirror import Mirror
from tests.support.repos import Repo


@pytest.mark.parametrize(("message", "read"), [
    (b"plain\n\nbody\n", "plain\n\nbody"),
    (b"quo\"te 'and' $(reboot) `id` <script>\n", "quo\"te 'and' $(reboot) `id` <script>"),
    (b"%x00 %H \\0 \x01\x1b[31m\n", "%x00 %H \\0 \x01\x1b[31m"),
    (b"latin \xfcml\xe4ut\n", "latin \ufffdml\ufffdut"),
    (b"--option\n\n\n-n\n", "--option\n\n\n-n"),
    (b"\n", ""),
])  # fmt: skip
def test_a_commits_message_stays_text(repo: Repo, mirror: Mirror, message: bytes, read: str) -> None:
    head = f"tree {repo.tree({'a': '1'})}\nauthor Ada <ada@example.com> 1700000000 +0100\n"
    head += "committer Ada <ada@example.com> 1700000000 +0100\n\n"
    sha = repo.git("hash-object", "-w", "-t", "commit", "--stdin", data=head.encode() + message)
    repo.git("update-ref", "refs/heads/main", sha)
    mirror.fetch(sha)
    known = mirror.commit(sha)
    assert known.message == read
    assert (known.sha, known.author, known.author_email, known.timestamp_s) == (
        sha,
        "Ada",
        "ada@example.com",
        1700000000,
    )


def test_a_message_in_another_encoding_is_read(repo: Repo, mirror: Mirror) -> None:
    tree = repo.tree({"a": "1"})
    sha = repo.git("-c", "i18n.commitEncoding=ISO-8859-1", "commit-tree", tree, data=b"\xfcml\n")
    repo.git("update-ref", "refs/heads/main", sha)
    mirror.fetch(sha)
    assert mirror.commit(sha).message == "üml"


@pytest.mark.parametrize("size", [TEXT_CHARS_MAX, TEXT_CHARS_MAX + 1, 1_000_000])
def test_of_a_long_message_the_beginning_is_kept(repo: Repo, mirror: Mirror, size: int) -> None:
    sha = repo.commit({"a": "1"}, message="\U0001f600".encode() * size)
    mirror.fetch(sha)
    assert mirror.commit(sha).message == "\U0001f600" * min(size, TEXT_CHARS_MAX)


def test_of_an_endless_author_the_beginning_is_kept(repo: Repo, mirror: Mirror) -> None:
    head = f"tree {repo.tree({'a': '1'})}\nauthor {'A' * 1_000_000} <a@example.com> 1700000000 +0100\n"
    text = f"{head}committer Ada <ada@example.com> 1700000000 +0100\n\nmessage\n"
    sha = repo.git("hash-object", "-w", "-t", "commit", "--stdin", data=text.encode())
    repo.git("update-ref", "refs/heads/main", sha)
    mirror.fetch(sha)
    known = mirror.commit(sha)
    assert (known.author, known.author_email, known.message) == ("A" * TEXT_CHARS_MAX, "", "")
    assert known.timestamp_s == 1700000000


@pytest.mark.slow
def test_changed_files_are_those_since_the_commit_before(repo: Repo, mirror: Mirror) -> None:
    first = repo.commit({"a": "1", "b": "1"})
    second = repo.commit({"a": "2", "b": "1"}, first)
    third = repo.commit({"a": "2", "c/d": "1"}, second)
    mirror.fetch(first)
    mirror.fetch(second)
    mirror.fetch(third)
    assert set(mirror.changed_files(first, "") or ()) == {"a", "b"}
    assert set(mirror.changed_files(first, "0" * 40) or ()) == {"a", "b"}
    assert set(mirror.changed_files(second, first) or ()) == {"a"}
    assert set(mirror.changed_files(third, first) or ()) == {"a", "b", "c/d"}
    assert set(mirror.changed_files(third, "") or ()) == {"b", "c/d"}
    assert set(mirror.changed_files(third, "1" * 40) or ()) == {"b", "c/d"}
    assert set(mirror.changed_files(third, "--output=/tmp/x") or ()) == {"b", "c/d"}
    assert mirror.changed_files(third, third) == ()


def test_changed_files_of_a_merge_are_those_of_both_sides(repo: Repo, mirror: Mirror) -> None:
    base = repo.commit({"a": "1", "b": "1"})
    left, right = repo.commit({"a": "2", "b": "1"}, base), repo.commit({"a": "1", "b": "2"}, base, ref="refs/heads/x")
    merge = repo.commit({"a": "2", "b": "2"}, left, right)
    mirror.fetch(merge)
    assert set(mirror.changed_files(merge, "") or ()) == {"a", "b"}
    assert set(mirror.changed_files(merge, left) or ()) == {"b"}


def test_a_pipeline_file_of_absurd_size_is_refused(repo: Repo, mirror: Mirror) -> None:
    sha = repo.commit({".headway.yml": "#" * 1_100_000})
    mirror.fetch(sha)
    with pytest.raises(StepError) as refused:
        mirror.read(sha, ".headway.yml")
    assert refused.value.reason is Reason.INVALID_PIPELINE
    assert "1,100,000 bytes" in str(refused.value)


@pytest.mark.parametrize("path", ["folder", "nonesuch", "sub"])
def test_what_is_no_file_is_an_error_of_ours(repo: Repo, mirror: Mirror, path: str) -> None:
    sha = repo.commit({"folder/a": "1", "sub+": "1" * 40})
    mirror.fetch(sha)
    with pytest.raises(StepError):
        mirror.read(sha, path)
