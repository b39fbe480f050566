"""What BuildKit says, from recorded words of buildx 0.13 and 0.29, which writes each message in one line."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.builds.progress import Instruction, Progress

RECORDED = Path(__file__).with_name("progress")
of_both = pytest.mark.parametrize("version", ["", "-0.29"])


class Heard:
    """A progress with what came out of it."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.news: list[Instruction] = []
        self.progress = Progress(self.lines.append, self.news.append)

    def take(self, *pieces: bytes) -> "Heard":
        for piece in pieces:
            self.progress.feed(piece)
        self.progress.flush()
        return self


def heard(name: str) -> Heard:
    return Heard().take((RECORDED / name).read_bytes())


@of_both
def test_each_instruction_is_told_once_it_runs_and_once_it_has_ended(version: str) -> None:
    build = heard(f"passed{version}.txt")
    last = {news.index: news for news in build.news}
    assert [last[index].text.partition("] ")[2] for index in sorted(last)] == [
        "FROM docker.io/library/busybox:latest", "WORKDIR /app",
        'RUN echo "one"; echo two >&2; printf \'ünfinished\'', "COPY Dockerfile /", "RUN true",
    ]  # fmt: skip
    assert all(news.seconds is not None for news in last.values())
    assert last[1].cached
    assert not last[2].cached
    assert build.progress.failed is None
    assert build.progress.plain == []


@of_both
def test_what_an_instruction_wrote_is_told_with_its_number_before_its_end(version: str) -> None:
    lines = heard(f"passed{version}.txt").lines
    number = next(line.split()[0] for line in lines if line.endswith(" two"))
    mine = [line for line in lines if line.startswith(f"{number} ")]
    assert sorted(mine[1:-1]) == sorted([f"{number} one", f"{number} two", f"{number} ünfinished"])
    assert mine[-1].startswith(f"{number} DONE ")


@of_both
def test_a_failed_instruction_is_kept_with_the_place_of_the_error(version: str) -> None:
    build = heard(f"failed{version}.txt")
    assert build.progress.failed is not None
    assert build.progress.failed.text.startswith("[2/2] RUN echo begun")
    assert "exit code: 3" in build.progress.failed.error
    assert build.progress.plain[0] == "Dockerfile:3"
    assert build.progress.plain[-1].startswith("ERROR: failed to ")


@of_both
def test_a_syntax_error_has_no_instruction(version: str) -> None:
    build = heard(f"syntax{version}.txt")
    assert build.progress.failed is None
    assert build.news == []
    assert "Dockerfile:2" in build.progress.plain


@pytest.mark.stress
@pytest.mark.parametrize("name", [path.name for path in sorted(RECORDED.iterdir())])
@given(data=st.data())
def test_it_is_all_the_same_however_the_words_are_cut(name: str, data: st.DataObject) -> None:
    whole = (RECORDED / name).read_bytes()
    cuts = sorted(data.draw(st.lists(st.integers(0, len(whole)), max_size=10)))
    pieces = [whole[start:end] for start, end in zip([0, *cuts], [*cuts, len(whole)], strict=True)]
    cut = Heard().take(*pieces)
    once = heard(name)
    assert (cut.lines, cut.news, cut.progress.plain) == (once.lines, once.news, once.progress.plain)


@pytest.mark.parametrize(
    "words", [b"{\nnot json\n}\n", b"{\nnever closed", b"half a line", b'{\n"vertexes": null\n}\n{\n']
)
def test_words_that_are_no_messages_are_kept_as_they_are(words: bytes) -> None:
    build = Heard().take(words)
    kept = [line for line in words.decode().splitlines() if line]
    assert build.progress.plain == (kept if b"vertexes" not in words else ["{"])


def test_words_of_an_unknown_step_are_let_pass() -> None:
    assert Heard().take(b'{\n"logs": [{"vertex": "sha256:0", "data": "YQo="}]\n}\n').lines == []


def test_times_with_nine_digits_or_a_zone_are_read() -> None:
    vertex = ('{\n"vertexes": [{"digest": "d", "name": "[1/1] RUN x", "started": "2026-01-01T00:00:00.123456789Z",'
              ' "completed": "2026-01-01T01:00:02.123456+01:00"}]\n}\n')  # fmt: skip
    (news,) = Heard().take(vertex.encode()).news
    assert news.seconds == 2.0


@pytest.mark.parametrize(
    ("error", "failed"),
    [
        ("context canceled", False),
        ("context canceled: nothing more", False),
        ("rpc error: code = Canceled desc = context canceled: context canceled", False),
        ("failed to copy: httpReadSeeker: failed open: context canceled", False),
        ('process "/bin/sh -c exit 1" did not complete successfully: exit code: 1', True),
        ('"/context canceled.txt": not found', True),
    ],
)
def test_an_instruction_that_buildkit_canceled_is_not_the_one_that_failed(error: str, failed: bool) -> None:
    vertex = {"digest": "d", "name": "[1/2] FROM busybox", "started": "2026-01-01T00:00:00Z", "error": error}
    build = Heard().take(json.dumps({"vertexes": [vertex]}).encode() + b"\n")
    assert (build.progress.failed is not None) is failed
    assert build.lines[-1] == (f"#1 ERROR {error}" if failed else "#1 CANCELED")


def test_an_image_with_a_private_name_is_one_instruction_however_many_steps_load_it() -> None:
    times = {"started": "2026-01-01T00:00:00Z", "completed": "2026-01-01T00:00:01Z"}
    names = [*2 * ["[context busybox] FROM docker.io/headway/build:k"], "[1/2] FROM x", "[1/2] FROM x"]
    vertexes = [{"digest": f"sha256:{number}", "name": name, **times} for number, name in enumerate(names)]
    news = Heard().take(*(json.dumps({"vertexes": [each]}).encode() + b"\n" for each in vertexes)).news
    told = dict.fromkeys((each.index, each.text) for each in news)
    assert list(told) == [
        (0, "[image] FROM docker.io/library/busybox:latest"),
        (1, "[1/2] FROM x"),
        (2, "[1/2] FROM x"),
    ]


def test_what_another_build_calls_the_same_image_is_not_told() -> None:
    """Of builds at the same time whose images have the same content, BuildKit tells each both names."""
    times = {"started": "2026-01-01T00:00:00Z", "completed": "2026-01-01T00:00:01Z"}
    names = [
        "[context other.example.org/private:1] load metadata for docker.io/headway/build:k",
        "[context busybox] FROM docker.io/headway/build:k",
        "[context other.example.org/private:1] FROM docker.io/headway/build:l",
        "[2/2] RUN x",
    ]
    vertexes = [{"digest": f"sha256:{number}", "name": name, **times} for number, name in enumerate(names)]
    log = {"vertex": "sha256:2", "data": "cHJpdmF0ZQo=", "stream": 1}
    lines, news, steps = list[str](), list[Instruction](), list[str]()
    progress = Progress(lines.append, news.append, steps.append, ["docker.io/library/busybox:latest"])
    progress.feed(json.dumps({"vertexes": vertexes, "logs": [log]}).encode() + b"\n")
    progress.flush()
    assert [each.text for each in news] == ["[image] FROM docker.io/library/busybox:latest", "[2/2] RUN x"]
    assert [each.index for each in news] == [0, 1]
    assert "private" not in "\n".join([*lines, *steps])
