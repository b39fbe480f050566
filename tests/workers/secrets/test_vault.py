"""Secrets at rest: sealed with a key, bound to a place, and refused if either is changed."""

import stat
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from tests.support.services import TEST_KEY
from workers.secrets.vault import (
    Vault,
    VaultError,
    hook_place,
    new_key,
    open_vault,
    parse_keys,
    registry_place,
    sealed_bytes,
    secret_place,
)
from workers.settings import Settings

PLACE = secret_place(12, "TOKEN")
OLD, NEW = f"old:{'T' * 42}A=", f"new:{'R' * 42}A="


def vault(*keys: str) -> Vault:
    return parse_keys(list(keys), "the test")


@given(st.text(), st.text(min_size=1))
def test_a_sealed_value_is_unsealed_at_its_place(value: str, place: str) -> None:
    mine = vault(TEST_KEY)
    assert mine.unseal(place, mine.seal(place, value)) == value
    assert sealed_bytes(mine.seal(place, value)) == len(value.encode())


@pytest.mark.parametrize("sealed", ["", "v1|test|bm9uY2U=", "v1|test|bm9uY2U=|%", "v1|test|bm9uY2U=|c2hvcnQ="])
def test_a_damaged_value_has_no_bytes(sealed: str) -> None:
    assert sealed_bytes(sealed) == 0


def test_the_same_secret_is_sealed_differently_each_time() -> None:
    mine = vault(TEST_KEY)
    sealed = {mine.seal(PLACE, "hunter2-hunter2") for _ in range(50)}
    assert len(sealed) == 50
    assert not any("hunter2" in each for each in sealed)
    assert all(each.startswith("v1|test|") for each in sealed)


def test_a_secret_moved_to_another_place_is_refused_with_its_place() -> None:
    mine = vault(TEST_KEY)
    sealed = mine.seal(PLACE, "hunter2")
    with pytest.raises(VaultError, match="repo/13/secret/token was changed or moved") as caught:
        mine.unseal(secret_place(13, "token"), sealed)
    assert "hunter2" not in str(caught.value)


def test_a_secret_with_any_byte_changed_is_refused() -> None:
    mine = vault(TEST_KEY)
    sealed = mine.seal(PLACE, "hunter2")
    for at in range(len(sealed)):
        changed = sealed[:at] + ("A" if sealed[at] != "A" else "B") + sealed[at + 1 :]
        try:
            opened = mine.unseal(PLACE, changed)
        except VaultError:
            continue
        # Base64 has bits at its end that mean nothing.
        assert opened == "hunter2"
        assert changed[at + 1 :].strip("=|") == "" or changed[at + 1] in "=|"


@pytest.mark.parametrize(
    "sealed", ["", "hunter2", "v2|test|AAAA|AAAA", "v1|test|AAAA|AAAA", "v1|test|%%|%%", "v1|a|b|c|d"]
)
def test_text_that_was_never_sealed_is_refused_as_damaged(sealed: str) -> None:
    with pytest.raises(VaultError, match="damaged"):
        vault(TEST_KEY).unseal(PLACE, sealed)


def test_a_key_that_is_missing_is_named() -> None:
    sealed = vault(OLD).seal(PLACE, "hunter2")
    with pytest.raises(VaultError, match="key old, which is not among the keys"):
        vault(NEW).unseal(PLACE, sealed)


def test_another_key_with_the_same_id_is_refused() -> None:
    sealed = vault(OLD).seal(PLACE, "hunter2")
    with pytest.raises(VaultError, match="another key"):
        vault(NEW.replace("new", "old")).unseal(PLACE, sealed)


def test_with_a_new_key_in_front_old_secrets_are_unsealed_and_new_ones_sealed_with_it() -> None:
    both = vault(NEW, OLD)
    assert both.unseal(PLACE, vault(OLD).seal(PLACE, "hunter2")) == "hunter2"
    after = both.seal(PLACE, "hunter2")
    assert after.startswith("v1|new|")
    assert vault(NEW).unseal(PLACE, after) == "hunter2"


def test_keys_are_not_shown() -> None:
    assert repr(vault(OLD)) == "Vault(newest='old')"


@pytest.mark.parametrize(
    ("keys", "what"),
    [
        ([], "holds no key"),
        (["# only a comment", ""], "holds no key"),
        (["nocolon"], "key number 1"),
        ([":AAAA"], "key number 1"),
        (["k1:AAAA"], "key number 1"),
        ([TEST_KEY, "k|2:" + TEST_KEY.partition(":")[2]], "key number 2"),
        ([TEST_KEY, TEST_KEY], "key number 2"),
        ([TEST_KEY, "k2:not base64!"], "key number 2"),
    ],
)
def test_invalid_keys_are_refused_without_showing_them(keys: list[str], what: str) -> None:
    with pytest.raises(VaultError, match=what) as caught:
        vault(*keys)
    assert TEST_KEY.partition(":")[2] not in str(caught.value)


def test_the_first_start_makes_a_key_file_that_only_its_owner_reads(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path / "data")
    sealed = open_vault(settings).seal(PLACE, "hunter2")
    assert stat.S_IMODE((tmp_path / "data/secret.key").stat().st_mode) == 0o600
    assert open_vault(settings).unseal(PLACE, sealed) == "hunter2"
    assert [path.name for path in (tmp_path / "data").iterdir()] == ["secret.key"]


def test_processes_that_start_at_the_same_time_use_the_same_key(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path)
    vaults: list[Vault] = []
    start = threading.Barrier(6)

    def open_one() -> None:
        start.wait()
        vaults.append(open_vault(settings))

    threads = [threading.Thread(target=open_one) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({tuple(each.keys.items()) for each in vaults}) == 1
    assert len(vaults) == 6


def test_keys_from_the_environment_come_before_the_file(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path, secret_keys=SecretStr(f"{NEW}, {OLD}"))
    mine = open_vault(settings)
    assert (mine.newest, set(mine.keys)) == ("new", {"new", "old"})
    assert list(tmp_path.iterdir()) == []


def test_another_key_file_can_be_named(tmp_path: Path) -> None:
    path = tmp_path / "keys"
    path.write_text(f"# ours\n{NEW}\n\n{OLD}\n")
    assert open_vault(Settings(data_dir=tmp_path, secret_key_file=path)).newest == "new"


def test_a_new_key_is_a_usable_line_and_never_the_same() -> None:
    assert len(vault(new_key(), new_key()).keys) == 2


def test_each_kind_of_secret_has_a_place_of_its_own() -> None:
    places = [
        hook_place(1),
        hook_place(2),
        secret_place(1, "a"),
        secret_place(2, "a"),
        secret_place(1, "b"),
        registry_place(None, "host"),
        registry_place(1, "host"),
        registry_place(1, "other"),
    ]
    assert len(set(places)) == len(places)
    assert secret_place(1, "TOKEN") == secret_place(1, "token")
