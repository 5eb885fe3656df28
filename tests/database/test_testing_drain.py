"""The help for tests of people's own handlers: a queue drained, one job after another."""

from collections import Counter
from datetime import timedelta
from typing import Any

import pytest

from jobs_core import AnyJob, Complete, Database, Jobs, Snooze
from tests.database.test_testing_help import echo, handling
from tests.support.job_types import LANE_NOTE, NOTE, Note
from workers.testing import Run, drain


def texts(runs: list[Run]) -> list[str]:
    return [run.job.input["text"] for run in runs if run.job]


async def test_drain_runs_what_is_ready_in_order_and_what_that_creates(database: Database) -> None:
    async def answer(job: AnyJob) -> Complete:
        if job.input.text == "first":
            await jobs.create(NOTE, Note(text="child"))
        return Complete()

    async with handling(database, {NOTE: answer, LANE_NOTE: answer}) as jobs:
        await jobs.create(NOTE, Note(text="last"), priority=4)
        await jobs.create(LANE_NOTE, Note(text="first", lane="lane:1"))
        await jobs.create(LANE_NOTE, Note(text="second", lane="lane:1"))
        await jobs.create(NOTE, Note(text="due now"), scheduled_for=timedelta(seconds=-1))
        await jobs.create(NOTE, Note(text="due later"), scheduled_for=timedelta(hours=1))
        await jobs.create(NOTE, Note(text="elsewhere"), queue="mail")
        runs = await drain(jobs)
        assert Counter(texts(runs)) == Counter(["first", "second", "child", "due now", "last"])
        order = texts(runs)
        assert order.index("first") < order.index("second") < order.index("last")
        assert order.index("first") < order.index("child")
        assert texts(await drain(jobs, "mail")) == ["elsewhere"]
        assert await drain(jobs) == []


async def test_drain_fails_where_jobs_make_one_another_for_ever(database: Database) -> None:
    async def again(_: AnyJob) -> Snooze:
        return Snooze(timedelta(0))

    async with handling(database, {NOTE: again}) as jobs:
        created = await jobs.create(NOTE, {})
        with pytest.raises(
            AssertionError, match=rf"still ready after 7 runs, the last one of job {created.id} \(note\)"
        ):
            await drain(jobs, at_most=7)
        assert len(await attempts(jobs)) == 7


async def attempts(jobs: Jobs) -> list[Any]:
    async with jobs.database.connection() as conn:
        return [*(await (await conn.execute("SELECT * FROM jobs.attempts")).fetchall())]


async def test_drain_is_done_where_the_last_run_it_may_do_leaves_nothing(database: Database) -> None:
    async with handling(database, {NOTE: echo}) as jobs:
        await jobs.create(NOTE, {})
        assert len(await drain(jobs, at_most=1)) == 1


async def test_a_raise_ends_a_drain_unless_it_is_to_be_looked_at(database: Database) -> None:
    async def raise_bad(job: AnyJob) -> Complete:
        if job.input.text == "bad":
            raise ValueError("bad")
        return Complete()

    async with handling(database, {NOTE: raise_bad}) as jobs:
        for text in ("bad", "good", "bad", "good"):
            await jobs.create(NOTE, Note(text=text))
        with pytest.raises(ValueError, match="bad"):
            await drain(jobs)
        runs = await drain(jobs, reraise=False)
        assert [(text, run.raised is None) for text, run in zip(texts(runs), runs, strict=True)] == [
            ("good", True),
            ("bad", False),
            ("good", True),
        ]
