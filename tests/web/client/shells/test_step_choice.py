"""Which step the words of ``headway shell`` mean, and through which proxy it is reached."""

from collections.abc import Mapping
from typing import Any

import pytest

from runner.network.proxies import Proxies
from web.client.servers import Server
from web.client.shells.connection import proxy_for
from web.client.shells.step_choice import one_step, run_meant
from workers.errors import StartError


def job(name: str, first_id: int, *steps: str, **cell: str) -> Mapping[str, Any]:
    made = [
        {"id": first_id + index, "number": index + 1, "name": step, "state": "running"}
        for index, step in enumerate(steps)
    ]
    return {"name": name, "cell": cell, "steps": made}


ONE = {"number": 4, "jobs": [job("", 10, "build", "unit", "2")]}
CELLS = {"number": 4, "jobs": [job("test", 10, "unit", "lint", GO="1.25"), job("test", 20, "unit", GO="1.26")]}


@pytest.mark.parametrize(
    ("run", "word", "step_id"),
    [
        (ONE, "unit", 11),
        (ONE, "1", 10),
        (ONE, "2", 12),  # a name goes before a number
        (ONE, "3", 12),
        (CELLS, "lint", 11),
        (CELLS, "2", 11),
        (CELLS, "test 1.26/unit", 20),
        (CELLS, "test 1.26/1", 20),
    ],
)
def test_a_name_or_a_number_alone_or_behind_its_job(run: Mapping[str, Any], word: str, step_id: int) -> None:
    assert one_step(run, word) == step_id


@pytest.mark.parametrize("word", ["unit", "1"])
def test_of_several_all_are_named(word: str) -> None:
    with pytest.raises(StartError) as refused:
        one_step(CELLS, word)
    choices = "'test 1.25/unit' (running, number 1), 'test 1.26/unit' (running, number 1)"
    assert str(refused.value) == f"Run 4 has several steps {word!r}: {choices}. Name one of them."


@pytest.mark.parametrize(("count", "said"), [(20, "'s19' (running, number 20)."), (21, "and 1 more.")])
def test_so_many_steps_are_listed_and_no_more(count: int, said: str) -> None:
    run = {"number": 4, "jobs": [job("", 1, *(f"s{number}" for number in range(count)))]}
    with pytest.raises(StartError) as refused:
        one_step(run, "none")
    assert str(refused.value).endswith(said)


def test_a_run_without_steps() -> None:
    with pytest.raises(StartError, match=r"has no step 'a'. Its steps: none\."):
        one_step({"number": 4, "jobs": []}, "a")


@pytest.fixture
def _logged_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADWAY_SERVER", "https://ci.test")
    monkeypatch.setenv("HEADWAY_TOKEN", "t")


@pytest.mark.usefixtures("_logged_in")
def test_the_forms_of_a_run() -> None:
    server = Server("https://ci.test", "t")
    assert run_meant(["a/b", "#12"], "", lambda: "here") == (server, "a/b", 12, False)
    assert run_meant(["12"], "", lambda: "here/app") == (server, "here/app", 12, True)
    assert run_meant(["https://ci.test/repos/a/b/runs/3?x=1"], "", lambda: "here") == (server, "a/b", 3, False)
    assert run_meant(["9" * 15], "", lambda: "here")[2] == int("9" * 15)
    for wrong in ("9" * 16, "0", "-1", "", "1a", "²", "a/b"):
        with pytest.raises(StartError, match="RUN is no number"):
            run_meant([wrong], "", lambda: "here")
    with pytest.raises(StartError, match="--server is another server"):
        run_meant(["https://ci.test/repos/a/b/runs/3"], "https://other.test", lambda: "here")
    with pytest.raises(StartError, match="RUN is no address of a run's page"):
        run_meant(["https://ci.test/repos/a/b"], "", lambda: "here")


@pytest.mark.parametrize(
    ("url", "direct", "proxy"),
    [
        ("https://ci.test", (), "http://s:1"),
        ("http://ci.test", (), "http://all:1"),
        ("https://ci.test", ("*",), None),
        ("https://ci.test:8443", ("test",), None),
        ("https://ci.test", ("i.test",), "http://s:1"),
        ("https://10.1.2.3", ("10.0.0.0/8",), None),
        ("https://10.1.2.3", ("11.0.0.0/8", "none/of"), "http://s:1"),
        ("https://[::1]:8080", ("::1",), None),
    ],
)
def test_the_proxy_is_that_of_the_scheme_unless_the_host_is_excepted(
    url: str, direct: tuple[str, ...], proxy: str | None
) -> None:
    assert proxy_for(url, Proxies({"HTTPS_PROXY": "http://s:1", "ALL_PROXY": "http://all:1"}, direct)) == proxy
