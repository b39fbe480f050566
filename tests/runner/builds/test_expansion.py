"""How long the variables of a Dockerfile can become."""

import pytest

from runner.builds.dockerfile import images_of
from runner.builds.expansion import EXPANDED_BYTES_MAX
from runner.builds.variables import VALUE_CHARS_MAX

FROM = "FROM busybox\n"


@pytest.mark.parametrize(
    "text",
    [
        FROM + "ENV A=xxxxxxxx\n" + "ENV A=$A$A\n" * 45,
        FROM + "ENV A=xxxxxxxx\n" + "ENV A ${A}${A}\n" * 45,
        FROM + "ENV A=xxxxxxxx B=x\n" + 'ENV B="$A$A" A="$B$B"\n' * 45,
        FROM + "ARG A=xxxxxxxx\n" + "ARG A=$A$A\n" * 45,
        "ARG A=xxxxxxxx\n" + "ARG A=$A$A\n" * 45 + "FROM $A\n",
        FROM + "ENV A=xxxxxxxx\n" + "ENV A=${A:-x}${A:+$A}\n" * 45,
        FROM + "ENV A=xxxxxxxx\n" + "ENV A=${A//x/$A}\n" * 8,
        FROM + "ENV A=xxxxxxxx\n" + "ONBUILD ENV A=$A$A\n" * 45,
        FROM + "ENV A=" + "x" * 20_000 + "\nLABEL a=" + "$A" * 1000 + "\n",
        FROM + "ENV A=" + "x" * 20_000 + "\nCOPY <<END /x\n" + "$A" * 1000 + "\nEND\n",
        FROM + "ENV A=x\n" + "ENV A=$A\\\n$A\n" * 45,
        FROM + "ENV A=x\n" + 'ENV A=$A"$A\n' * 45,
    ],
)  # fmt: skip
def test_variables_that_multiply_each_other_are_found(text: str) -> None:
    assert images_of(text, {}).expanded_bytes > EXPANDED_BYTES_MAX


@pytest.mark.parametrize(
    "text",
    [
        FROM + "ENV PATH=/opt/bin:$PATH LIBRARIES=/opt/lib:$LIBRARIES\n" * 100,
        FROM + "ENV A=1.2.3\nENV B=${A/./-}\nENV C=${B/./-}\nENV D=${C/./-}\nRUN echo $A\n",
        FROM + "ENV A=" + "x" * 20_000 + "\nRUN <<END\n" + "echo $A\n" * 1000 + "END\n",
        FROM + "ENV A=" + "x" * 20_000 + "\nRUN echo " + "$A" * 1000 + "\n",
        "ARG VERSION=3.13\n"
        + "".join(f"FROM python:$VERSION AS s{n}\nARG VERSION\nENV V=$VERSION\n" for n in range(50)),
    ],
)
def test_variables_as_people_use_them_are_small(text: str) -> None:
    assert images_of(text, {}).expanded_bytes < EXPANDED_BYTES_MAX // 10


def test_all_bytes_of_all_instructions_count() -> None:
    room = EXPANDED_BYTES_MAX - len("busyboxAa=$A")
    assert images_of(f"{FROM}ARG A\nLABEL a=$A\n", {"A": "x" * room}).expanded_bytes == EXPANDED_BYTES_MAX


def test_a_name_that_doubles_itself_takes_no_memory_of_the_worker() -> None:
    found = images_of("ARG A=xxxxxxxx\n" + "ARG A=$A$A\n" * 45 + "FROM $A\n", {})
    assert (found.images, found.unclear) == ((), ("$A",))
    assert images_of(f"FROM {'a' * VALUE_CHARS_MAX}", {}).images
    assert images_of(f"FROM {'a' * (VALUE_CHARS_MAX + 1)}", {}).unclear
    assert images_of("ARG A=" + "x" * 4000 + "\nFROM ${A//x/${A//x/$A}}", {}).unclear
