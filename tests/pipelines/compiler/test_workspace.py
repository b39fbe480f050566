"""Workspaces that no container could have are refused with their place, however they are written."""

import pytest

from pipelines.compiler.workspace import PATH_BYTES_MAX
from tests.support.pipelines import job_of, problems_of, push

ONE = "steps: [{name: s, image: i, commands: x}]\n"
BASE_HINT = "name a folder of its own, such as /headway or /go"
PATH_HINT = "name a folder below base, such as src"
TEXT_HINT = "use letters, digits and . _ - / alone"


def workspace(base: str = "/go", path: str = "src") -> str:
    return f"{ONE}workspace:\n  base: {base!r}\n  path: {path!r}\n"


@pytest.mark.parametrize(
    ("base", "found"),
    [
        *((name, name) for name in ("/", "/proc", "/sys", "/dev", "/etc", "/bin", "/sbin", "/boot", "/usr")),
        *((name, name) for name in ("/lib", "/lib64", "/libx32", "/usr/bin", "/usr/lib", "/usr/lib64", "/usr/libexec")),
        *((name, name) for name in ("/usr/local", "/usr/local/bin", "/usr/local/lib", "/usr/local/sbin")),
        *((name, name) for name in ("/proc/self", "/dev/shm/x", "/sys/fs", "/etc/ssl/certs", "/usr/lib/python3")),
        ("", "/"),
        (".", "/"),
        ("..", "/"),
        ("//", "/"),
        ("//proc", "/proc"),
        ("///proc//self/", "/proc/self"),
        ("proc", "/proc"),
        ("/go/../etc", "/etc"),
        ("go/../../../dev/./shm", "/dev/shm"),
    ],
)
def test_the_base_hides_nothing_that_images_need(base: str, found: str) -> None:
    why = f"the base of the workspace cannot be {base!r}: it would hide {found} of every image; {BASE_HINT}"
    assert problems_of(workspace(base)) == [f"3:9: error: {why}"]


@pytest.mark.parametrize(
    ("path", "checkout"),
    [
        ("../../etc", "/etc"),
        ("..", "/"),
        (".", "/go"),
        ("", "/go"),
        ("x/..", "/go"),
        ("/", "/"),
        ("/etc", "/etc"),
        ("//etc", "/etc"),
        ("/gopher", "/gopher"),
        ("../gopher", "/gopher"),
    ],
)
def test_the_checkout_is_below_the_base(path: str, checkout: str) -> None:
    why = f"the path of the workspace cannot be {path!r}: {checkout} is not below the base /go; {PATH_HINT}"
    assert problems_of(workspace(path=path)) == [f"4:9: error: {why}"]


@pytest.mark.parametrize("key", ["base", "path"])
@pytest.mark.parametrize(
    "text", ["a\\0b", "a\\nb", "a\\rb", "a:b", "a:ro", "a,b", "a\\tb", 'a\\"b', "a\\\\b", "a\\u2028b"]
)
def test_characters_that_cannot_be_mounted_are_refused(key: str, text: str) -> None:
    (problem, *_) = problems_of(f'{ONE}workspace: {{{key}: "{text}"}}')
    assert f"error: the {key} of the workspace cannot be " in problem
    assert problem.endswith(f"it has a character that a folder cannot be mounted with; {TEXT_HINT}")


@pytest.mark.parametrize(
    ("base", "path", "found"),
    [
        ("/usr/src/app", "x", ("/usr/src/app", "/usr/src/app/x")),
        ("/usr/local/src", "x", ("/usr/local/src", "/usr/local/src/x")),
        ("/process", "x", ("/process", "/process/x")),
        ("/library", "x", ("/library", "/library/x")),
        ("/devel", "a b", ("/devel", "/devel/a b")),
        ("/var/run", "x", ("/var/run", "/var/run/x")),
        ("//go", "/go/src/x", ("/go", "/go/src/x")),
        ("/go", "...", ("/go", "/go/...")),
    ],
)
def test_other_folders_can_be_workspaces(base: str, path: str, found: tuple[str, str]) -> None:
    job = job_of(workspace(base, path))
    assert (job.workspace_base, job.workspace) == found


@pytest.mark.parametrize("letter", ["x", "\u00e4"])
def test_the_length_of_the_path_has_a_limit_in_bytes(letter: str) -> None:
    bytes_left = PATH_BYTES_MAX - len("/go/")
    most = letter * (bytes_left // len(letter.encode()))
    assert job_of(workspace(path=most)).workspace == f"/go/{most}"
    assert "makes a path of more than 255 bytes" in problems_of(workspace(path=most + letter))[0]


@pytest.mark.parametrize("file", [".headway.yml", ".woodpecker.yml", ".woodpecker/build.yaml"])
def test_every_spelling_of_the_file_is_checked(file: str) -> None:
    for text in (
        f"{ONE}workspace: {{base: '${{CI_COMMIT_BRANCH}}'}}",
        f"{ONE}workspace: {{base: '${{UNSET:-/proc}}'}}",
        f"{ONE}matrix: {{IN: [/proc]}}\nworkspace: {{base: '${{IN}}', path: self}}",
    ):
        found = problems_of(text, push("proc"), path=file)
        assert any("it would hide /proc of every image" in problem for problem in found), found
