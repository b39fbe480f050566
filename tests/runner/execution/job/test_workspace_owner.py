"""Files of the checkout have git's modes, and steps of any user can write to them."""

from pathlib import Path

import pytest

from pipelines.state import State
from runner.execution.job.workspace_owner import user_number
from tests.support.engine import JobRunner
from tests.support.plans import build, container, plugin, shell

PASSWD = b"root:x:0:0::/:\nnode:x:1000:1000::/:\nbroken\nodd:x:y:z\n"
FILES = {"a": "1", "folder/deep/b": "2"}
WRITE = ("echo more >> a", "echo more >> folder/deep/b", "touch folder/new new", "rm -r folder")


@pytest.mark.parametrize(
    ("user", "number"),
    [("", 0), ("root", 0), ("root:staff", 0), ("0", 0), ("0:0", 0), ("1000", 1000), ("1000:50", 1000), ("node", 1000),
     ("node:staff", 1000), ("nobody", None), ("odd", None), ("broken", None), (":5", 0), ("²", None)],
)  # fmt: skip
def test_a_user_is_a_number_or_a_name_of_the_image(user: str, number: int | None) -> None:
    assert user_number(user, lambda: PASSWD) == number


def test_an_image_without_users_knows_numbers_only() -> None:
    assert user_number("node", lambda: None) is None
    assert user_number("7", lambda: None) == 7


@pytest.mark.engine
@pytest.mark.parametrize("user", ["", "0", "1234", "nobody", "1234:1234"])
def test_a_step_of_any_user_writes_to_a_checkout_with_gits_modes(ran: JobRunner, user: str) -> None:
    look = "echo $(stat -c %a . a folder folder/deep)"
    job = ran(shell(look, *WRITE, box=container(user=user)), files=modes_of_git)
    assert job.outcome.state is State.PASSED, job.everything()
    assert job.said() == ["755 644 755 755"]


@pytest.mark.engine
def test_steps_of_several_users_write_one_after_another(ran: JobRunner) -> None:
    more = ("echo more >> a", "touch folder/new$(id -u)")
    boxes = [container(user=user) for user in ("1234", "5678", "0", "1234")]
    own = container(user="4321", entrypoint=("sh", "-c", "echo more >> /headway/src/a"))
    job = ran(*(shell(*more, box=box) for box in boxes), plugin(own), shell("stat -c %a a"), files=modes_of_git)
    assert job.states == [State.PASSED] * 6, job.everything()
    assert job.said(6) == ["644"]


@pytest.mark.engine
def test_git_finds_the_checkout_to_be_that_of_the_steps_user(ran: JobRunner) -> None:
    look = "test $(stat -c %u .) = $(id -u)"
    job = ran(*(shell(look, box=container(user=user)) for user in ("", "1234", "", "1234")), files=modes_of_git)
    assert job.states == [State.PASSED] * 4, job.everything()


@pytest.mark.engine
def test_steps_of_two_users_write_at_the_same_time(ran: JobRunner) -> None:
    both = ("touch here$(id -u)", "until [ -e here1234 ] && [ -e here5678 ]; do sleep 0.1; done", "echo more >> a")
    job = ran(
        shell(*both, box=container(user="1234"), needs=()),
        shell(*both, box=container(user="5678"), needs=()),
        shell("cat a", needs=(1, 2)),
        files=modes_of_git,
    )
    assert job.states == [State.PASSED] * 3, job.everything()
    assert job.said(3) == ["1more", "more"]


@pytest.mark.engine
def test_the_user_of_an_image_without_a_shell_or_chown_writes_too(ran: JobRunner) -> None:
    lines = ["FROM busybox AS b", "FROM scratch", "COPY --from=b /bin/touch /touch", "USER 1234"]
    lines.append('ENTRYPOINT ["/touch", "/headway/src/a"]')
    job = ran(build(), plugin(container(1)), files={"Dockerfile": "\n".join(lines), "a": "1"})
    assert job.states == [State.PASSED] * 2, job.everything()


@pytest.mark.engine
def test_an_image_has_gits_modes_also_after_a_step_of_another_user(ran: JobRunner) -> None:
    dockerfile = (
        "FROM busybox\nCOPY . /app\nRUN find /app -perm -2 | grep . && exit 1; stat -c %a /app /app/a /app/folder"
    )
    for steps in ((), (shell("touch new", box=container(user="1234")),)):
        job = ran(*steps, build(), files=lambda target: modes_of_git(target, {"Dockerfile": dockerfile}))
        assert job.outcome.state is State.PASSED, job.everything()


def modes_of_git(target: Path, more: dict[str, str] | None = None) -> None:
    """Lays out the files as git does."""
    target.mkdir()
    for name, text in {**FILES, **(more or {})}.items():
        path = target / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(0o644)
        for folder in path.relative_to(target).parents:
            (target / folder).chmod(0o755)
