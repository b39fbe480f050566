"""The rate limit of failed logins."""

from web.security.login_limiter import LoginLimiter


def test_the_limiter_forgets_with_time_and_with_success() -> None:
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


def test_the_limiter_remembers_only_so_many_sources() -> None:
    limiter = LoginLimiter(failures_max=1, sources_max=2, clock=lambda: 0.0)
    for source in ("a", "b", "c"):
        limiter.failed(source)
    assert [limiter.blocked(source) for source in ("a", "b", "c")] == [False, True, True]
