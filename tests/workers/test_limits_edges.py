"""Limits of what workers store and send: what is exactly as large as a limit is taken, one more is not."""

from collections.abc import Mapping

import pytest
from pydantic import ValidationError
from sqlalchemy import Engine

from pipelines.trigger import Event
from workers import store
from workers.db.session import transaction
from workers.settings import Settings
from workers.triggers.crons import NewCron, next_ms, put_cron
from workers.triggers.manual import InvalidRequestError, ManualRun, trigger_for

# The smallest and the largest value of each setting that has such a limit.
LEAST: Mapping[str, int] = {
    "port": 0,
    "connections_max": 1,
    "worker_slots": 1,
    "lease_s": 3,
    "attempts_max": 1,
    "disk_reserve_bytes": 1024**2,
    "fetch_retry_s": 0,
    "registry_retry_s": 0,
    "job_timeout_s": 1,
    "step_timeout_s": 1,
    "shutdown_s": 1,
    "grace_s": 0,
    "steps_ahead_max": 0,
    "step_memory_bytes_max": 0,
    "step_pids_max": 0,
    "artifact_bytes_max": 1,
    "artifact_files_max": 1,
    "artifact_run_bytes_max": 1,
    "artifact_run_files_max": 1,
    "step_files_max": 0,
    "step_cpus_max": 0,
    "log_bytes_max": 1,
    "webhook_body_bytes_max": 1,
    "sent_tree_bytes_max": 1,
    "sent_tree_days": 1,
    "session_days": 1,
    "audit_days": 0,
    "retention_days": 0,
    "disk_high_percent": 1,
    "disk_low_percent": 0,
    "mirror_bytes_max": 0,
    "cache_bytes_max": 0,
    "shared_cache_bytes_max": 0,
    "keep_failed_h": 0,
    "keep_failed_bytes_max": 0,
    "image_bytes_max": 0,
    "build_cache_bytes_max": 0,
    "run_retention_days": 0,
    "run_retention_count": 0,
    "delivery_retention_days": 0,
    "delivery_retention_count": 0,
}


@pytest.mark.parametrize("name", LEAST)
def test_a_setting_has_a_least_value(name: str) -> None:
    assert getattr(Settings.model_validate({name: LEAST[name]}), name) == LEAST[name]
    with pytest.raises(ValidationError, match=name):
        Settings.model_validate({name: LEAST[name] - 1})


def test_every_number_among_the_settings_has_a_least_value() -> None:
    numbers = {name for name, field in Settings.model_fields.items() if field.annotation in {int, float}}
    assert numbers == set(LEAST)


def test_a_port_is_one_of_tcp() -> None:
    assert Settings(port=65_535).port == 65_535
    with pytest.raises(ValidationError, match="port"):
        Settings(port=65_536)


def test_statuses_need_a_name() -> None:
    assert Settings(status_context="x").status_context == "x"
    with pytest.raises(ValidationError, match="status_context"):
        Settings(status_context="")


def wrong(asked: ManualRun) -> str:
    with pytest.raises(InvalidRequestError) as error:
        trigger_for(asked, "main", "ada")
    return str(error.value)


def test_the_target_and_the_task_of_a_deployment_have_at_most_100_characters() -> None:
    fits, long = "x" * 100, "x" * 101
    trigger = trigger_for(ManualRun(event=Event.DEPLOYMENT, target=fits, task=fits), "main", "ada")
    assert (trigger.deploy_target, trigger.deploy_task) == (fits, fits)
    assert "at most 100 characters" in wrong(ManualRun(event=Event.DEPLOYMENT, target=long))
    assert "at most 100 characters" in wrong(ManualRun(event=Event.DEPLOYMENT, target="x", task=long))


def test_inputs_have_at_most_65536_bytes_with_their_names() -> None:
    inputs = {"AB": "é" * 16_383, "CD": "x" * (65_536 - 4 - 2 * 16_383)}
    assert trigger_for(ManualRun(inputs=inputs), "main", "ada").inputs == inputs
    assert "The inputs have 65,537 bytes; the limit is 65,536" in wrong(
        ManualRun(inputs={**inputs, "CD": inputs["CD"] + "x"})
    )


def test_a_commit_is_named_by_7_to_64_hex_digits() -> None:
    digits = "0123456789abcdef" * 5
    for length in (7, 64):
        assert trigger_for(ManualRun(commit=digits[:length]), "main", "ada").sha == digits[:length]
    for length in (6, 65):
        assert "give its first 7 hex digits or more" in wrong(ManualRun(commit=digits[:length]))


def test_a_branch_has_1_to_1024_characters() -> None:
    for name in ("b", "b" * 1024):
        assert trigger_for(ManualRun(branch=name), "main", "ada").branch == name
    assert "must have 1 to 1024 characters" in wrong(ManualRun(branch="b" * 1025))


def test_a_branch_has_at_most_2000_bytes() -> None:
    wide = "\N{GRINNING FACE}" * 500
    assert trigger_for(ManualRun(branch=wide), "main", "ada").branch == wide
    assert "must have at most 2000 bytes in UTF-8" in wrong(ManualRun(branch=f"{wide}b"))


def test_a_cron_expression_has_at_most_200_characters() -> None:
    fits = "0 * * * *".rjust(200, "0")
    assert next_ms(fits, "UTC", 0) == 3_600_000
    with pytest.raises(InvalidRequestError, match="is no cron expression: it has more than 200 characters"):
        next_ms("0" + fits, "UTC", 0)


def test_of_a_wrong_cron_expression_at_most_200_characters_are_shown() -> None:
    with pytest.raises(InvalidRequestError, match=f"^'{'x' * 200}' is no cron expression"):
        next_ms("x" * 200, "UTC", 0)
    with pytest.raises(InvalidRequestError, match=rf"^'{'x' * 200}\.\.\.' is no cron expression"):
        next_ms("x" * 201, "UTC", 0)


@pytest.mark.slow
def test_the_name_of_a_cron_has_at_most_100_characters(sqlite_database: Engine) -> None:
    with transaction(sqlite_database) as session:
        repo = store.add_repo(session, store.NewRepo("acme/roof", "file:///srv/roof.git"))
        put_cron(session, repo.id, NewCron("n" * 100, "@daily"), 0)
        with pytest.raises(InvalidRequestError, match="use up to 100 letters"):
            put_cron(session, repo.id, NewCron("n" * 101, "@daily"), 0)


@pytest.mark.parametrize("length", [200, 201])
def test_the_title_of_a_run_is_the_first_200_characters_of_its_message(sqlite_database: Engine, length: int) -> None:
    message = "x" * length
    with transaction(sqlite_database) as session:
        repo = store.add_repo(session, store.NewRepo("acme/roof", "file:///srv/roof.git"))
        trigger = trigger_for(ManualRun(), "main", "ada").model_copy(update={"message": f"\n{message}\nmore"})
        queued = store.queue_run(session, repo.id, trigger)
        run = store.run_by_id(session, queued.run_id)
        assert run is not None
        assert run.title == message[:200]
