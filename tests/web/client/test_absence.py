"""How long a command that follows a log waits for a server that is away."""

from web.client.logs import AWAY_S_MAX, Absence


def test_a_server_is_waited_for_up_to_the_limit() -> None:
    absence = Absence()
    assert not absence.is_too_long(0, 1)
    assert not absence.is_too_long(1, 0.9 + AWAY_S_MAX)
    assert absence.is_too_long(59, 1 + AWAY_S_MAX)


def test_a_call_that_went_on_for_hours_was_connected_and_its_end_begins_an_absence() -> None:
    absence, hours_s = Absence(), 7200
    assert not absence.is_too_long(0, hours_s)
    assert not absence.is_too_long(hours_s, hours_s + AWAY_S_MAX - 1)
    assert absence.is_too_long(hours_s + AWAY_S_MAX - 1, hours_s + AWAY_S_MAX)


def test_absences_with_a_long_connection_between_them_do_not_add_up() -> None:
    absence = Absence()
    assert not absence.is_too_long(0, 1)
    assert not absence.is_too_long(1, 1 + 2 * AWAY_S_MAX)
    assert not absence.is_too_long(1 + 2 * AWAY_S_MAX, 3 * AWAY_S_MAX)
