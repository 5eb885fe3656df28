"""Tests of the program's own handlers, as docs/testing.md shows them."""

from collections import Counter
from datetime import timedelta

import pytest

from jobs_core import Jobs, LeaseLost, fence, fetch_one
from own_program.orders import RECEIPT, TALLY, Receipt, place_order
from workers.testing import all_created, created, drain, hold, pass_time, run, run_job

ADA = "ada@example.org"


async def test_an_order_is_followed_by_a_receipt(jobs: Jobs) -> None:
    order_id = await place_order(jobs, ADA, 300)
    receipt = await created(jobs, RECEIPT, where={"order_id": order_id}, state="pending")
    assert receipt.lane == f"receipts:{ADA}"


async def test_a_receipt_goes_to_who_ordered(jobs: Jobs) -> None:
    done = await run(jobs, RECEIPT, Receipt(order_id=1, email=ADA))
    assert done.result == {"to": ADA}


async def test_orders_are_receipted_one_by_one_and_counted_once(jobs: Jobs) -> None:
    for cents in (300, 450):
        await place_order(jobs, ADA, cents)
    runs = await drain(jobs)
    assert Counter(run.job_type for run in runs) == {"receipt": 2, "tally": 1}
    async with jobs.database.connection() as conn:
        assert await fetch_one(conn, "SELECT cents FROM takings") == {"cents": 750}
        assert await fetch_one(conn, "SELECT FROM orders WHERE NOT receipted") is None
    assert [view.state for view in await all_created(jobs, TALLY)] == ["complete"]


async def test_a_receipt_without_an_address_is_tried_again_half_a_minute_later(jobs: Jobs) -> None:
    with pytest.raises(ValueError, match="is no address"):
        await run(jobs, RECEIPT, Receipt(order_id=1, email="nobody"))
    receipt = await created(jobs, RECEIPT, retry_count=1)
    assert await drain(jobs) == []
    await pass_time(jobs, timedelta(seconds=30))
    again = await run_job(jobs, receipt.id, reraise=False)
    assert (again.state, str(again.raised)) == ("pending", "'nobody' is no address")


async def test_a_receipt_whose_worker_froze_is_sent_by_another_and_the_first_can_write_no_more(jobs: Jobs) -> None:
    frozen = await hold(jobs, RECEIPT, Receipt(order_id=1, email=ADA))
    await pass_time(jobs, timedelta(seconds=15))
    assert (await run_job(jobs, frozen.id)).state == "complete"
    with pytest.raises(LeaseLost):
        async with jobs.database.transaction() as conn:
            await fence(conn, frozen)
