"""Caches of `headway run` in the user's cache."""

from pathlib import Path

from runner.cli.run.caches import LOCAL_BYTES_MAX, local_caches


def test_caches_are_where_the_user_wants_them_and_apart_for_each_folder(tmp_path: Path) -> None:
    first = local_caches({"HOME": "/home/ada"}, tmp_path)
    assert first.store.root == Path("/home/ada/.cache/headway/caches")
    other = local_caches({"HOME": "/home/ada", "XDG_CACHE_HOME": "/big"}, tmp_path / "b")
    assert other.store.root == Path("/big/headway/caches")
    assert first.scope != other.scope
    (tmp_path / "link").symlink_to(tmp_path)
    assert local_caches({"HOME": "/"}, tmp_path / "link").scope == first.scope
    assert (first.untrusted, first.bytes_max) == ("", LOCAL_BYTES_MAX)
