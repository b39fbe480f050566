"""Folders and files that other users cannot reach, and those that cannot be made so."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from runner.private import (
    NotPrivateError,
    _close,
    check_way_to,
    new_private_file,
    private_file,
    private_folder,
    private_umask,
)
from tests.support.other_user import OTHER, as_other, can_read, needs_root, open_folder


@pytest.fixture
def place() -> Iterator[Path]:
    with open_folder() as folder:
        yield folder


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_new_folder_is_for_its_user_alone_whatever_the_umask(place: Path) -> None:
    before = os.umask(0)
    try:
        assert not private_folder(place / "new" / "data")
        new_private_file(place / "more" / "file")
    finally:
        os.umask(before)
    assert mode_of(place / "new" / "data") == 0o700
    assert mode_of(place / "more" / "file") == 0o600
    assert mode_of(place / "new") == mode_of(place / "more") == 0o755


@pytest.mark.parametrize("mode", [0o755, 0o770, 0o711, 0o701, 0o710, 0o750, 0o777, 0o1777, 0o2770])
def test_a_folder_of_ours_that_is_open_is_closed(place: Path, mode: int) -> None:
    (place / "data").mkdir()
    (place / "data").chmod(mode)
    assert private_folder(place / "data")
    assert mode_of(place / "data") & 0o077 == 0
    assert not private_folder(place / "data"), "the second time nothing was open"


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o660, 0o604, 0o606, 0o666, 0o601])
def test_a_file_of_ours_that_is_open_is_closed(place: Path, mode: int) -> None:
    (place / "key").touch()
    (place / "key").chmod(mode)
    assert private_file(place / "key")
    assert mode_of(place / "key") == 0o600
    assert not private_file(place / "key")


@pytest.mark.slow
def test_what_is_created_meanwhile_is_private(place: Path) -> None:
    with private_umask():
        (place / "file").touch()
        (place / "folder").mkdir()
    (place / "after").touch()
    assert (mode_of(place / "file"), mode_of(place / "folder")) == (0o600, 0o700)
    assert mode_of(place / "after") != 0o600


@needs_root
@pytest.mark.parametrize("mode", [0o700, 0o755, 0o777])
def test_a_folder_of_another_user_is_refused(place: Path, mode: int) -> None:
    (place / "data").mkdir()
    os.chown(place / "data", OTHER, OTHER)
    (place / "data").chmod(mode)
    with pytest.raises(NotPrivateError, match=rf"belongs to user {OTHER}.*chown"):
        private_folder(place / "data")


@needs_root
def test_a_link_to_a_folder_of_another_user_is_refused(place: Path) -> None:
    (place / "theirs").mkdir()
    os.chown(place / "theirs", OTHER, OTHER)
    (place / "data").symlink_to("theirs")
    with pytest.raises(NotPrivateError, match=f"belongs to user {OTHER}"):
        private_folder(place / "data")


@needs_root
@pytest.mark.parametrize("target", ["mine", "{place}/mine", "sub/../mine"])
def test_a_link_of_another_user_is_refused_wherever_it_leads(place: Path, target: str) -> None:
    (place / "mine").mkdir(mode=0o700)
    (place / "sub").mkdir()
    (place / "data").symlink_to(target.format(place=place))
    private_folder(place / "data")
    os.chown(place / "data", OTHER, OTHER, follow_symlinks=False)
    with pytest.raises(NotPrivateError, match=f"is a link of user {OTHER}"):
        private_folder(place / "data")
    with pytest.raises(NotPrivateError, match=f"is a link of user {OTHER}"):
        private_folder(place / "data" / "below")


@pytest.mark.parametrize("mode", [0o777, 0o757])
def test_a_folder_in_one_that_all_can_write_to_is_refused(place: Path, mode: int) -> None:
    (place / "shared" / "sub").mkdir(parents=True)
    (place / "shared").chmod(mode)
    for path in (place / "shared" / "data", place / "shared" / "sub" / "data", place / "shared" / "new" / "data"):
        for make in (private_folder, new_private_file):
            with pytest.raises(NotPrivateError, match=r"shared can be changed by other users.*chmod go-w"):
                make(path)
    assert list((place / "shared").rglob("*")) == [place / "shared" / "sub"], "nothing is made in such a place"


def test_a_folder_behind_a_link_is_judged_where_it_lies(place: Path) -> None:
    (place / "shared").mkdir()
    (place / "shared").chmod(0o777)
    (place / "shared" / "data").mkdir(mode=0o700)
    (place / "data").symlink_to("shared/data")
    with pytest.raises(NotPrivateError, match="shared can be changed"):
        private_folder(place / "data")


def test_a_folder_in_one_with_the_sticky_bit_is_fine(place: Path) -> None:
    (place / "tmp").mkdir()
    (place / "tmp").chmod(0o1777)
    private_folder(place / "tmp" / "data")


@needs_root
def test_a_folder_below_one_of_another_user_is_refused(place: Path) -> None:
    (place / "home").mkdir()
    os.chown(place / "home", OTHER, OTHER)
    with pytest.raises(NotPrivateError, match=f"home can be changed by user {OTHER}"):
        private_folder(place / "home" / "data")


@needs_root
def test_a_folder_that_another_group_can_write_to_is_refused_and_roots_own_is_not(place: Path) -> None:
    (place / "srv").mkdir()
    os.chown(place / "srv", 0, 50)
    (place / "srv").chmod(0o775)
    with pytest.raises(NotPrivateError, match="srv can be changed by other users"):
        check_way_to(place / "srv" / "data")
    os.chown(place / "srv", 0, 0)
    private_folder(place / "srv" / "data")


def test_links_that_lead_in_a_circle_are_refused(place: Path) -> None:
    (place / "a").symlink_to("b")
    (place / "b").symlink_to("a")
    with pytest.raises((NotPrivateError, OSError)):
        check_way_to(place / "a" / "data")


@needs_root
def test_a_file_of_another_user_is_refused(place: Path) -> None:
    (place / "key").touch(mode=0o600)
    os.chown(place / "key", OTHER, OTHER)
    with pytest.raises(NotPrivateError, match=f"belongs to user {OTHER}"):
        private_file(place / "key")


@needs_root
@pytest.mark.parametrize(("mode", "fine"), [(0o440, True), (0o640, True), (0o660, False), (0o644, False)])
def test_a_key_may_be_roots_for_a_group_and_for_nobody_else(place: Path, mode: int, fine: bool) -> None:
    (place / "key").touch()
    os.chown(place / "key", 0, OTHER)
    (place / "key").chmod(mode)
    code = "import sys; from pathlib import Path; from runner.private import private_file; "
    code += "private_file(Path(sys.argv[1]), of_root=True)"
    found = as_other("env", f"PYTHONPATH={Path.cwd()}", "python3", "-c", code, place / "key")
    assert (found.returncode == 0) is fine, found.stderr.decode()
    if not fine:
        assert b"NotPrivateError" in found.stderr


def test_a_file_that_cannot_be_closed_is_refused() -> None:
    with pytest.raises(NotPrivateError, match=r"cannot be changed.*run chmod 600"):
        private_file(Path("/proc/self/status"))


def test_a_file_system_that_keeps_no_permissions_is_refused(place: Path) -> None:
    """A mode that is open stands for a file system that accepts chmod and changes nothing, such as vfat."""
    (place / "data").mkdir()
    (place / "data").chmod(0o755)
    with pytest.raises(NotPrivateError, match="keeps no permissions"):
        _close(place / "data", os.O_RDONLY, 0o755)


@needs_root
def test_another_user_cannot_read_below_a_closed_folder(place: Path) -> None:
    (place / "data").mkdir()
    (place / "data").chmod(0o755)
    (place / "data" / "log").write_text("x")
    assert can_read(place / "data" / "log")
    private_folder(place / "data")
    assert not can_read(place / "data" / "log")
