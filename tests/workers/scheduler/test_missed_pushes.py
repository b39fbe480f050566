"""Pushes whose webhook did not come: found, reported or run, and exactly once with a webhook that comes late."""

import socket
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, select, update

from pipelines.trigger import Event, Trigger
from tests.support.builders import push
from tests.support.repos import Repo as GitRepo
from workers import store
from workers.db.delivery_states import DeliveryKind, DeliveryState
from workers.db.models import Delivery, Head, HeadCheck, Repo, Run
from workers.db.session import now_ms, reading, transaction
from workers.scheduler.missed_pushes import CHECK_EVERY_S, FAILURE_PAUSE_S_MAX, RUNS_AT_ONCE, MissedPushes
from workers.secrets.vault import open_vault
from workers.settings import Settings
from workers.store import NewDelivery, Receipt
from workers.store.runs.heads import MISSED_PUSHES, missed_pushes
from workers.streaming.redis_stream import LiveTail, connect

MAIN = "refs/heads/main"


@dataclass
class World:
    """A repository on disk, and what looks at it."""

    engine: Engine
    git: GitRepo
    look_for: MissedPushes
    repo_id: int
    woken: list[int] = field(default_factory=list)

    def look(self, mode: str = "run") -> None:
        """One round in which every repository is due, and the time for webhooks is over."""
        with transaction(self.engine) as session:
            session.execute(update(HeadCheck).values(next_ms=0))
        look_for = self.look_for
        settings = look_for.settings.model_copy(update={"missed_pushes": mode})
        assert replace(look_for, settings=settings)() == ""

    def pushed(self, ref: str = MAIN, *, text: str = "2") -> str:
        return self.git.commit({"a": text}, ref=ref)

    def runs(self) -> list[Run]:
        with reading(self.engine) as session:
            return list(session.scalars(select(Run).order_by(Run.id)))

    def deliveries(self) -> list[Delivery]:
        with reading(self.engine) as session:
            return list(session.scalars(select(Delivery).order_by(Delivery.id)))

    def missed(self) -> list[str]:
        with reading(self.engine) as session:
            return [head.sha for head in missed_pushes(session, self.repo_id, 10)]

    def webhook(self, sha: str, ref: str = MAIN, key: str = "late", **more: Any) -> Receipt:
        trigger = push(sha=sha, branch=ref.removeprefix("refs/heads/"))
        if ref.startswith("refs/tags/"):
            trigger = Trigger(event=Event.TAG, sha=sha, ref=ref, tag=ref.rpartition("/")[2])
        new = NewDelivery(key, trigger.event.value, trigger=trigger, ref=ref, sha=sha)
        with transaction(self.engine) as session:
            return store.record_delivery(session, self.repo_id, replace(new, **more))

    def check(self, repo_id: int | None = None) -> HeadCheck:
        with reading(self.engine) as session:
            return session.get_one(HeadCheck, repo_id or self.repo_id)


@pytest.fixture
def world(database: Engine, redis_url: str, settings: Settings, tmp_path: Path) -> Iterator[World]:
    git = GitRepo(tmp_path / "app.git")
    git.commit({"a": "1"})
    with transaction(database) as session:
        repo_id = store.add_repo(session, store.NewRepo("acme/app", git.url)).id
    redis = connect(redis_url)
    woken: list[int] = []
    look_for = MissedPushes(database, open_vault(settings), settings, woken.append, LiveTail(redis), grace_s=0)
    yield World(database, git, look_for, repo_id, woken)
    redis.close()


def test_at_first_all_heads_are_known_and_nothing_is_started(world: World) -> None:
    world.pushed("refs/heads/next")
    world.look()
    world.look()
    assert (world.runs(), world.deliveries(), world.woken) == ([], [], [])


def test_an_empty_repository_is_known_too_and_its_first_push_can_be_missed(world: World) -> None:
    world.git.git("update-ref", "-d", MAIN)
    world.look()
    sha = world.pushed()
    world.look()
    assert [run.sha for run in world.runs()] == [sha]


def test_a_push_without_a_webhook_is_run_as_the_forge_would_have_told_it(world: World) -> None:
    before = world.git.git("rev-parse", MAIN)
    world.look()
    sha = world.pushed()
    world.look()
    world.look()
    (run,) = world.runs()
    trigger = store.trigger_of(run)
    assert (trigger.event, trigger.sha, trigger.ref, trigger.branch) == (Event.PUSH, sha, MAIN, "main")
    assert (trigger.previous_sha, trigger.message, trigger.pull_request, run.held) == (before, "", None, False)
    (delivery,) = world.deliveries()
    assert (delivery.kind, delivery.state, delivery.run_id) == ("found", "accepted", run.id)
    assert len(world.woken) == 1
    with reading(world.engine) as session:
        assert store.counters(session)[MISSED_PUSHES] == 1


def test_a_push_is_reported_with_what_to_do_until_a_run_has_its_commit(world: World) -> None:
    world.look("report")
    sha = world.pushed()
    world.look("report")
    world.look("report")
    (delivery,) = world.deliveries()
    assert (delivery.kind, delivery.state, delivery.run_id) == ("found", "nothing_to_do", None)
    assert "`headway trigger acme/app --branch=main` starts a run" in delivery.reason
    assert (world.missed(), world.runs(), world.woken) == ([sha], [], [])
    assert world.webhook(sha).run_number == 1
    assert world.missed() == []


def test_a_tag_is_found_with_its_commit_and_a_webhook_may_name_either(world: World) -> None:
    commit = world.git.git("rev-parse", MAIN)
    world.look()
    for name in ("v1", "v2", "v3"):
        world.git.git("tag", "--annotate", f"--message={name}", name, commit)
    world.webhook(commit, "refs/tags/v3", "early")
    world.look()
    world.look()
    found = {run.ref: (run.number, run.event, run.sha) for run in world.runs()}
    assert found == {
        "refs/tags/v3": (1, Event.TAG, commit),
        "refs/tags/v1": (2, Event.TAG, commit),
        "refs/tags/v2": (3, Event.TAG, commit),
    }
    assert world.webhook(world.git.git("rev-parse", "refs/tags/v1"), "refs/tags/v1", "one").run_number == 2
    assert world.webhook(commit, "refs/tags/v2", "two").run_number == 3


def test_a_webhook_that_comes_late_gets_the_run_and_the_next_one_its_own(world: World) -> None:
    world.look()
    sha = world.pushed()
    world.look()
    late = world.webhook(sha)
    assert (late.state, late.run_number, late.job_id) == (DeliveryState.ACCEPTED, 1, None)
    # It was sent again, and then the same commit was pushed again after another one.
    assert world.webhook(sha).run_number == 1
    again = world.webhook(sha, key="pushed again")
    assert (again.run_number, again.job_id is not None) == (2, True)


@pytest.mark.parametrize(
    "more", [{}, {"trigger": None, "reason": "[skip ci]"}, {"trigger": None, "state": DeliveryState.REFUSED}]
)
def test_what_a_webhook_has_told_is_not_missed_whatever_came_of_it(world: World, more: dict[str, Any]) -> None:
    world.look()
    runs = int(world.webhook(world.pushed(), **more).run_id is not None)
    world.look()
    world.look("report")
    assert len(world.runs()) == runs
    assert [each.kind for each in world.deliveries()] == ["webhook"]
    assert world.missed() == []


def test_a_webhook_may_take_its_time(world: World) -> None:
    world.look_for = replace(world.look_for, grace_s=3600)
    world.look()
    sha = world.pushed()
    world.look()
    world.look()
    assert world.runs() == []
    with transaction(world.engine) as session:
        session.execute(update(Head).values(first_seen_ms=now_ms() - 3_601_000))
    world.look()
    assert [run.sha for run in world.runs()] == [sha]


def test_a_deleted_branch_goes_and_comes_back_as_new(world: World) -> None:
    sha = world.pushed("refs/heads/next")
    world.look()
    world.git.git("update-ref", "-d", "refs/heads/next")
    world.look()
    world.git.git("update-ref", "refs/heads/next", sha)
    world.look()
    assert [(run.branch, run.sha) for run in world.runs()] == [("next", sha)]


def test_a_forced_push_counts_also_back_to_what_ran_before_webhooks(world: World) -> None:
    first = world.git.git("rev-parse", MAIN)
    world.look()
    second = world.pushed()
    world.look()
    world.git.git("update-ref", MAIN, first)
    world.look()
    assert [run.sha for run in world.runs()] == [second, first]
    world.git.git("update-ref", MAIN, second)  # a run of the branch has it already
    world.look()
    assert len(world.runs()) == 2


def test_another_address_and_a_repository_that_was_off_begin_anew(world: World, tmp_path: Path) -> None:
    world.look()
    other = GitRepo(tmp_path / "other.git")
    other.commit({"b": "1"})
    for change in ({"clone_url": other.url}, {"active": False}, {"active": True}):
        with transaction(world.engine) as session:
            session.execute(update(Repo).values(**change))
        other.commit({"b": str(change)}, ref="refs/heads/more")
        world.look()
        world.look()
    assert world.runs() == []
    other.commit({"b": "3"}, ref=MAIN)
    world.look()
    assert len(world.runs()) == 1


def test_while_it_is_off_nothing_is_asked_and_what_comes_meanwhile_is_not_missed(world: World) -> None:
    world.look()
    world.look("off")
    with reading(world.engine) as session:
        assert not session.scalars(select(Head)).all()
        assert not session.scalars(select(HeadCheck)).all()
    world.pushed()
    world.look()
    world.look()
    assert world.runs() == []


def test_a_server_that_fails_is_asked_more_and_more_seldom_and_says_why(world: World, tmp_path: Path) -> None:
    world.look()
    world.git.path.rename(tmp_path / "gone.git")
    pauses = []
    for _ in range(7):
        world.look()
        check = world.check()
        with reading(world.engine) as session:
            pauses.append(round((check.next_ms - session.execute(select(now_ms())).scalar_one()) / 1000))
    assert world.check().failures == 7
    assert "app.git" in world.check().problem
    assert pauses[0] == pytest.approx(CHECK_EVERY_S, abs=5)
    assert pauses[1] == pytest.approx(2 * CHECK_EVERY_S, abs=5)
    assert pauses[-1] == pytest.approx(FAILURE_PAUSE_S_MAX, abs=5)
    (tmp_path / "gone.git").rename(world.git.path)
    sha = world.pushed()
    world.look()
    assert (world.check().failures, world.check().problem) == (0, "")
    assert [run.sha for run in world.runs()] == [sha]


def test_a_server_that_is_away_delays_no_other(world: World) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        away = f"http://127.0.0.1:{taken.getsockname()[1]}"
    with transaction(world.engine) as session:
        ids = [store.add_repo(session, store.NewRepo(f"a/{n}", f"{away}/{n}.git")).id for n in range(3)]
    world.look()
    assert world.check().problem == ""
    asked = []
    with reading(world.engine) as session:
        asked = [repo_id for repo_id in ids if session.get(HeadCheck, repo_id)]
    assert len(asked) == 1  # the others of that server wait for the next round
    assert world.check(asked[0]).problem


def test_many_at_once_are_started_a_few_at_a_time(world: World) -> None:
    world.look()
    sha = world.git.git("rev-parse", MAIN)
    refs = "".join(f"create refs/heads/b{number:03} {sha}\n" for number in range(RUNS_AT_ONCE + 1))
    world.git.git("update-ref", "--stdin", data=refs.encode())
    world.look()
    assert len(world.runs()) == RUNS_AT_ONCE
    assert world.check().next_ms > 0
    world.look()
    world.look()
    assert len(world.runs()) == RUNS_AT_ONCE + 1


def test_a_repository_that_was_removed_while_its_server_was_asked_is_left_alone(world: World) -> None:
    world.look()
    with transaction(world.engine) as session:
        store.remove_repo(session, world.repo_id)
    world.look()
    with reading(world.engine) as session:
        assert not session.scalars(select(Head)).all()
        assert not session.scalars(select(HeadCheck)).all()


def test_newest_wins_counts_for_a_push_that_was_found(world: World) -> None:
    with transaction(world.engine) as session:
        session.execute(update(Repo).values(newest_wins=["push"]))
    world.look()
    world.webhook(world.pushed(), key="first")
    world.pushed(text="3")
    world.look()
    assert [run.state.value for run in world.runs()] == ["canceled", "queued"]


def test_the_found_delivery_has_a_kind_of_its_own(world: World) -> None:
    world.look()
    world.pushed()
    world.look()
    with reading(world.engine) as session:
        assert store.newest_deliveries(session, world.repo_id, 1) == []
    assert [each.kind for each in world.deliveries()] == [DeliveryKind.FOUND]
