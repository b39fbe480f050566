"""What a clone address says, also one that is none."""

from pipelines.clone_address import forge_from, name_from


def test_an_address_that_cannot_be_read_says_nothing() -> None:
    assert (name_from("http://[::1"), forge_from("http://[::1")) == ("", "generic")
