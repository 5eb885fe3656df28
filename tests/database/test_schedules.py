"""The book of schedules: what is put in, what a second put changes, and what is refused."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

import schedules
from jobs_core import Connection, InvalidInput, Jobs, UnknownJobType, fetch_one
from schedules import NameTaken, NoSuchSchedule, Put, Rule

DAILY = Rule(cron="30 9 * * *", zone="Europe/Berlin")


async def put(conn: Connection, jobs: Jobs, rule: Rule = DAILY, **how: Any) -> Put:
    given = {"name": "report", "job_type": "note", "input": {}, "source": "cli"} | how
    return await schedules.put(conn, jobs.table, rule=rule, **given)


async def now(conn: Connection) -> datetime:
    row = await fetch_one(conn, "SELECT now() AS now")
    assert row
    moment: datetime = row["now"]
    return moment


async def test_what_is_put_is_there_with_its_next_tick_by_postgres_clock(conn: Connection, jobs: Jobs) -> None:
    made = await put(conn, jobs, user_id="u1", source="api")
    assert made.did == "made"
    schedule = await schedules.get(conn, "report")
    assert schedule == made.schedule == await schedules.get(conn, schedule.id)
    assert (schedule.rule, schedule.user_id, schedule.source) == (DAILY, "u1", "api")
    assert [schedule.next_at] == DAILY.upcoming(schedule.created_at, 1)


async def test_the_same_put_again_does_nothing(conn: Connection, jobs: Jobs) -> None:
    made = await put(conn, jobs)
    again = await put(conn, jobs)
    assert (again.did, again.schedule) == ("nothing", made.schedule)


async def test_a_put_that_leaves_the_timing_leaves_the_next_tick(conn: Connection, jobs: Jobs) -> None:
    """A tick that is due, and not seen to yet, is not lost by a new input."""
    made = await put(conn, jobs)
    await conn.execute(
        "UPDATE jobs.schedules SET next_at = now() - interval '1 min', seen_until = now() - interval '1 day'"
    )
    changed = await put(conn, jobs, input={"text": "other"}, rule=DAILY.model_copy(update={"overlap": "queue"}))
    assert changed.did == "changed"
    assert made.schedule.next_at
    assert changed.schedule.next_at
    assert changed.schedule.next_at < await now(conn)


async def test_a_put_with_another_timing_begins_anew(conn: Connection, jobs: Jobs) -> None:
    await put(conn, jobs)
    await conn.execute(
        "UPDATE jobs.schedules SET next_at = now() - interval '1 min', seen_until = now() - interval '1 day'"
    )
    changed = (await put(conn, jobs, Rule(cron="31 9 * * *"))).schedule
    assert changed.seen_until == changed.changed_at
    assert [changed.next_at] == changed.rule.upcoming(changed.changed_at, 1)


async def test_a_span_counts_from_the_put_that_made_it_and_goes_on_from_there(conn: Connection, jobs: Jobs) -> None:
    made = (await put(conn, jobs, Rule(every_s=90))).schedule
    assert made.rule.anchor == made.created_at
    assert made.next_at == made.created_at + timedelta(seconds=90)
    assert (await put(conn, jobs, Rule(every_s=90))).did == "nothing"


async def test_a_moment_that_has_passed_is_refused_unless_it_was_there_before(conn: Connection, jobs: Jobs) -> None:
    moment = await now(conn) + timedelta(seconds=0.2)
    await put(conn, jobs, Rule(at=moment))
    await conn.execute("SELECT pg_sleep(0.3)")
    assert (await put(conn, jobs, Rule(at=moment))).did == "nothing"
    with pytest.raises(InvalidInput, match="has passed") as refused:
        await put(conn, jobs, Rule(at=moment), name="other")
    assert refused.value.field == "rule.at"


@pytest.mark.parametrize("name", ["", "Report", "a b", "-a", "a" * 64, "ä", "a\0"])
async def test_a_name_that_is_no_slug_is_refused_and_never_found(conn: Connection, jobs: Jobs, name: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        await put(conn, jobs, name=name)
    assert refused.value.field == "name"
    with pytest.raises(NoSuchSchedule):
        await schedules.get(conn, name)


async def test_an_input_that_does_not_fit_its_type_and_an_unknown_type_are_refused(
    conn: Connection, jobs: Jobs
) -> None:
    with pytest.raises(InvalidInput, match=r"input\."):
        await put(conn, jobs, input={"text": []})
    with pytest.raises(UnknownJobType):
        await put(conn, jobs, job_type="nobody")


async def test_a_new_schedule_may_not_take_anothers_name(conn: Connection, jobs: Jobs) -> None:
    await put(conn, jobs, new=True)
    with pytest.raises(NameTaken):
        await put(conn, jobs, new=True)


async def test_schedules_are_listed_by_name_a_page_at_a_time(conn: Connection, jobs: Jobs) -> None:
    for name, source in (("c", "file:a"), ("a", "file:b"), ("b", "api")):
        await put(conn, jobs, name=name, source=source, user_id=name)
    assert [one.name for one in await schedules.listed(conn, limit=2)] == ["a", "b"]
    assert [one.name for one in await schedules.listed(conn, after="b")] == ["c"]
    assert [one.name for one in await schedules.listed(conn, source="file:")] == ["a", "c"]
    assert [one.name for one in await schedules.listed(conn, user_id="b", paused=False)] == ["b"]
    assert await schedules.listed(conn, paused=True) == []


async def test_what_was_removed_is_gone(conn: Connection, jobs: Jobs) -> None:
    await put(conn, jobs)
    await schedules.remove(conn, "report")
    with pytest.raises(NoSuchSchedule):
        await schedules.get(conn, "report")
    with pytest.raises(NoSuchSchedule):
        await schedules.remove(conn, "report")


def test_a_day_is_one_of_the_clock_on_the_wall() -> None:
    friday = datetime(2024, 3, 29, 12, tzinfo=UTC)
    assert [at.hour for at in DAILY.upcoming(friday, 3)] == [8, 7, 7]
