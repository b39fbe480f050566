"""Which jobs take results of earlier runs, and which leave any."""

import pytest

from pipelines.context import Trust
from pipelines.plan import Checkout
from tests.support.builders import push
from workers.access.reuse import may_keep_results, may_take_results
from workers.access.trust import permissions


@pytest.mark.parametrize("on_branch", [True, False])
def test_only_trusted_jobs_leave_results_and_both_take_them(on_branch: bool) -> None:
    allowed = permissions(push(), Trust(), on_branch=on_branch)
    assert may_keep_results(allowed) is on_branch
    assert may_take_results(allowed, Checkout())


@pytest.mark.parametrize("checkout", [Checkout(submodules=True), Checkout(lfs=True), None])
def test_an_untrusted_job_takes_none_where_a_login_might_have_read_more(checkout: Checkout | None) -> None:
    assert not may_take_results(permissions(push(), Trust(), on_branch=False), checkout)
    assert may_take_results(permissions(push(), Trust(), on_branch=True), checkout)
