"""The rate limit of failed logins."""

from web.security.login_limiter import LoginLimiter


def test_failures_are_forgotten_after_the_window_and_after_a_success() -> None:
    now = [0.0]
    limiter = LoginLimiter(failures_max=2, window_s=60, sources_max=2, clock=lambda: now[0])
    for _ in range(2):
        limiter.failed("a")
    assert limiter.blocked("a")
    assert not limiter.blocked("b")
    now[0] = 61
    assert not limiter.blocked("a")
    for _ in range(2):
        limiter.failed("a")
    limiter.succeeded("a")
    assert not limiter.blocked("a")


def test_the_number_of_counted_sources_is_limited() -> None:
    limiter = LoginLimiter(failures_max=1, sources_max=2, clock=lambda: 0.0)
    for source in ("a", "b", "c"):
        limiter.failed(source)
    assert [limiter.blocked(source) for source in ("a", "b", "c")] == [False, True, True]


def test_one_name_is_blocked_and_others_of_the_same_address_are_not_until_the_address_has_failed_too_often() -> None:
    limiter = LoginLimiter(failures_max=2, source_failures_max=5, clock=lambda: 0.0)
    for _ in range(2):
        limiter.failed("a", "ada")
    assert (limiter.blocked("a", "ada"), limiter.blocked("a", "bea"), limiter.blocked("b", "ada")) == (
        True,
        False,
        False,
    )
    for name in ("c", "d"):
        limiter.failed("a", name)
    assert not limiter.blocked("a", "bea")
    limiter.failed("a", "e")
    assert limiter.blocked("a", "bea")
    limiter.succeeded("a", "bea")
    assert limiter.blocked("a", "bea"), "one right password does not forgive what others guessed"
