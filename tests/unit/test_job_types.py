"""Job types, their table, and the backoff."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs_core import HandlerTable, JobType, RetryPolicy, UnknownJobType
from tests.support.job_types import NOTE, Note


async def handle(_: object) -> None:
    """A handler."""


@given(st.integers(1, 10_000))
def test_the_backoff_doubles_from_30_s_to_15_min(retry: int) -> None:
    full = min(30.0 * 2.0 ** min(retry - 1, 20), 900.0)
    assert 0.9 * full <= RetryPolicy().delay_s(retry) <= full


def test_a_handler_can_be_bound_by_name_or_by_type() -> None:
    table = HandlerTable()
    table.declare(NOTE)
    table.register_handler("note", handle)
    table.register_handler(JobType("other", Note, queue="mail"), handle)
    assert table.runnable == ["note", "other"]
    assert table.queues() == ["default", "mail"]


def test_a_type_cannot_hold_a_lane_that_it_does_not_have() -> None:
    with pytest.raises(ValueError, match="holds its lane when it fails, and has none"):
        HandlerTable().declare(JobType("other", Note, holds_lane=True))


def test_mistakes_in_the_table_are_told_at_once() -> None:
    table = HandlerTable()
    with pytest.raises(UnknownJobType):
        table.register_handler("note", handle)
    table.register_handler(NOTE, handle)
    with pytest.raises(ValueError, match="has a handler already"):
        table.register_handler(NOTE, handle)
    with pytest.raises(ValueError, match="two job types are called 'note'"):
        table.declare(JobType("note", Note))


def test_an_exception_may_have_a_policy_of_its_own() -> None:
    often, never = RetryPolicy(max_retries=50), RetryPolicy(max_retries=0)
    policy = RetryPolicy(never_for=(KeyError,), by_exception={ConnectionError: often, OSError: never})
    assert policy.after(ConnectionResetError()) is often
    assert policy.after(FileNotFoundError()) is never
    assert policy.after(ValueError()) is policy
    assert policy.after(KeyError()) is None


def test_a_type_can_be_the_key_of_a_dict_whatever_its_retries_are() -> None:
    policy = RetryPolicy(by_exception={OSError: RetryPolicy(max_retries=1)})
    job_type = JobType("note", Note, retries=policy)
    assert {job_type: 1}[job_type] == 1
