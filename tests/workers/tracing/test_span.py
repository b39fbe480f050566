"""Ids of spans: the same in each process, others in each run, attempt and copy of the database."""

from workers.tracing.span import ATTRIBUTE_CHARS_MAX, Trace, short

TRACE = Trace("0a1b2c3d", 7, 1_700_000_000_000)


def test_every_process_computes_the_same_ids() -> None:
    again = Trace("0a1b2c3d", 7, 1_700_000_000_000)
    assert (TRACE.id, TRACE.root, TRACE.job(9, 1)) == (again.id, again.root, again.job(9, 1))
    assert TRACE.part(9, 1, "step a", 2) == again.part(9, 1, "step a", 2)


def test_each_run_of_each_installation_has_a_trace_of_its_own() -> None:
    others = [Trace("0a1b2c3e", 7, 1_700_000_000_000), Trace("0a1b2c3d", 8, 1_700_000_000_000)]
    # A copy of the database, restored later, uses the run's number again.
    others.append(Trace("0a1b2c3d", 7, 1_700_000_000_001))
    assert len({TRACE.id, *(other.id for other in others)}) == 4
    assert len({TRACE.root, *(other.root for other in others)}) == 4


def test_each_span_of_a_run_has_an_id_of_its_own() -> None:
    ids = [TRACE.root, TRACE.job(1, 1), TRACE.job(1, 2), TRACE.job(11, 1), TRACE.job(1, 11)]
    ids += [TRACE.part(1, 1, "queue"), TRACE.part(1, 1, "step a", 1), TRACE.part(1, 1, "step a", 2)]
    assert len(set(ids)) == len(ids)
    assert all(0 < each < 2**64 for each in ids)


def test_long_names_are_cut_and_empty_ones_left_out() -> None:
    longest = "x" * ATTRIBUTE_CHARS_MAX
    given = {"a": longest, "b": longest + "y", "c": "", "d": None, "e": 0}
    assert short(given) == {"a": longest, "b": longest, "e": 0}
