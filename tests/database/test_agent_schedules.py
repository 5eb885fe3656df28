"""Schedules as people write them: saved and changed by any door, for owners only, and whose a file's are."""

import asyncio
from datetime import UTC, datetime
from typing import Any

import pytest

import schedules
from assistant import people
from assistant.agent_schedules import change, check_open, forecast, save, tell_paused, try_out
from assistant.errors import MayNotSchedule, NoSuchAgent, NoSuchUser, ScheduleOfFile
from assistant.notifications import list_notifications
from assistant.schedule_drafts import read
from assistant.schedule_words import MOST_COUNTED
from assistant.scheduled_turns import SCHEDULED_TURN
from jobs_core import Connection, Database, HandlerTable, InvalidInput, Jobs, UnknownJobType, execute, fetch
from schedules import NameTaken, NoSuchSchedule, Put
from schedules.evaluate import Evaluated, evaluate
from tests.support.database import until_blocked
from tests.support.job_types import NOTE

NINE = {"cron": "0 9 * * mon-fri", "zone": "Europe/Berlin"}
MORNING = {"name": "morning", "prompt": "What is on today?", **NINE}


@pytest.fixture
def table() -> HandlerTable:
    known = HandlerTable()
    known.declare_all([SCHEDULED_TURN, NOTE])
    return known


async def put(conn: Connection, table: HandlerTable, source: str = "cli", **given: Any) -> Put:
    how = {name: given.pop(name) for name in ("new", "take_over") if name in given}
    async with conn.transaction():
        return await save(conn, table, read(MORNING | given), source=source, **how)


async def test_an_agent_s_schedule_is_a_row_of_the_view_that_is_named_for_them(
    conn: Connection, table: HandlerTable
) -> None:
    saved = await put(conn, table, approvals="ask", jitter_s=60)
    (row,) = await fetch(conn, "SELECT * FROM jobs.agent_schedules")
    assert (row["id"], row["agent_name"], row["prompt"]) == (saved.schedule.id, "assistant", "What is on today?")
    told = {name: row["config"][name] for name in ("name", "zone", "approvals", "jitter_s", "overlap", "source")}
    told |= {"cron": row["cron_expression"]}
    assert told == NINE | {"name": "morning", "approvals": "ask", "jitter_s": 60, "overlap": "skip", "source": "cli"}


async def test_before_it_is_saved_its_ticks_and_cost_are_shown_and_nothing_is_written(
    conn: Connection, table: HandlerTable
) -> None:
    to_come = await try_out(conn, table, read(MORNING))
    assert len(to_come.ticks) == 5
    assert all(tick.astimezone(UTC).hour in {7, 8} and tick > datetime.now(UTC) for tick in to_come.ticks)
    assert (to_come.cost, to_come.in_30_days in {20, 21, 22}) == (None, True)
    assert (await try_out(conn, table, read(MORNING | {"cron": "* * * * *"}))).in_30_days == MOST_COUNTED
    assert await fetch(conn, "SELECT FROM jobs.schedules") == []


async def test_a_schedule_of_any_type_is_saved_and_one_of_a_type_is_none_of_the_view(
    conn: Connection, table: HandlerTable
) -> None:
    note = {"name": "n", "job_type": "note", "input": {"text": "x"}, "every_s": 60, "prompt": None, "cron": None}
    saved = await put(conn, table, **note)
    assert (saved.schedule.job_type, saved.schedule.input["text"], (await forecast(conn, saved.schedule)).cost) == (
        "note",
        "x",
        None,
    )
    assert await fetch(conn, "SELECT FROM jobs.agent_schedules") == []


async def test_what_is_changed_is_changed_and_one_kind_of_timing_takes_the_other_s_place(
    conn: Connection, table: HandlerTable
) -> None:
    await put(conn, table)
    async with conn.transaction():
        saved = await change(conn, table, "morning", {"every_s": 3600, "approvals": "wait"}, source="api")
    rule, given = saved.schedule.rule, saved.schedule.input
    assert (saved.did, rule.every_s, rule.cron, rule.zone) == ("changed", 3600, None, "Europe/Berlin")
    assert (given["prompt"], given["approvals"], saved.schedule.source) == ("What is on today?", "wait", "api")
    async with conn.transaction():
        same = await change(conn, table, "morning", {"prompt": "What is on today?"}, source="api")
    assert (same.did, same.schedule.next_at) == ("nothing", saved.schedule.next_at)
    async with conn.transaction():
        work = await change(conn, table, "morning", {"job_type": "note", "input": {"text": "x"}}, source="api")
    assert (work.schedule.job_type, work.schedule.input["text"]) == ("note", "x")
    async with conn.transaction():
        work = await change(conn, table, "morning", {"prompt": "?"}, source="api")
    assert (work.schedule.job_type, work.schedule.input["prompt"]) == ("scheduled_turn", "?")
    with pytest.raises(NoSuchSchedule):
        await change(conn, table, "evening", {"prompt": "?"}, source="api")


async def test_what_could_never_run_is_not_saved(conn: Connection, table: HandlerTable) -> None:
    eve = await people.contact(conn, "telegram", "5", name="Eve")
    hidden = {"prompt": None, "job_type": "scheduled_turn", "input": {"prompt": "x", "agent": "nobody"}}
    cases: list[tuple[dict[str, Any], type[Exception]]] = [
        ({"agent": "nobody"}, NoSuchAgent),
        ({"user_id": "u_gone"}, NoSuchUser),
        ({"user_id": eve.id}, MayNotSchedule),
        ({"prompt": None, "job_type": "odd"}, UnknownJobType),
        (hidden, NoSuchAgent),
    ]
    for given, error in cases:
        with pytest.raises(error):
            await put(conn, table, **given)
    assert await fetch(conn, "SELECT FROM jobs.schedules") == []


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"prompt": None}, "give either prompt, for an agent, or job_type"),
        ({"job_type": "note"}, "give either prompt"),
        ({"prompt": None, "job_type": "note", "approvals": "ask"}, "go without job_type"),
        ({"input": {}}, "input: goes with job_type"),
        ({"approvals": "maybe"}, "schedule.approvals"),
        ({"cron": "61 * * * *"}, "schedule.cron"),
        ({"prompt": "a\0b"}, "schedule.prompt"),
        ({"tick": None}, "schedule.tick"),
    ],
)
def test_what_does_not_fit_is_told(given: dict[str, Any], said: str) -> None:
    with pytest.raises(InvalidInput, match=said):
        read(MORNING | given)


async def test_what_a_file_made_is_changed_by_files_only_until_somebody_takes_it_over(
    conn: Connection, table: HandlerTable
) -> None:
    await put(conn, table, source="file:a.toml")
    for source in ("cli", "api", "agent:assistant"):
        with pytest.raises(ScheduleOfFile, match=r"was made by file:a\.toml"):
            await put(conn, table, source=source, prompt="?")
    with pytest.raises(ScheduleOfFile):
        await check_open(conn, "morning")
    with pytest.raises(NameTaken):
        await put(conn, table, new=True)
    moved = await put(conn, table, source="file:b.toml")
    assert (moved.did, moved.schedule.source) == ("changed", "file:b.toml")
    taken = await put(conn, table, prompt="?", take_over=True)
    assert taken.schedule.source == "cli"
    with pytest.raises(ScheduleOfFile, match="made by cli"):
        await put(conn, table, source="file:a.toml")


async def test_whose_schedule_paused_itself_is_told_or_the_owner_where_they_have_no_say_any_more(
    conn: Connection, table: HandlerTable
) -> None:
    owner = await people.owner(conn)
    eve = await people.contact(conn, "telegram", "5", name="Eve")
    for user_id, told in ((owner.id, owner.id), (eve.id, None), (None, None), ("u_gone", None)):
        await put(conn, table)
        await execute(
            conn,
            "UPDATE jobs.schedules SET user_id = %(user)s, next_at = NULL, paused_at = now(), "
            "paused_why = '10 failures in a row'",
            {"user": user_id},
        )
        async with conn.transaction():
            await tell_paused(conn, await schedules.get(conn, "morning"))
        newest = (await list_notifications(conn, limit=1))[0]
        assert (newest.user_id, newest.title, newest.severity) == (told, "Schedule morning paused itself", "error")
        assert "10 failures in a row. ./jobs schedule results morning" in newest.body


async def test_two_evaluators_make_one_job_of_a_tick_and_tell_once_of_a_schedule_that_pauses_itself(
    conn: Connection, database: Database, table: HandlerTable
) -> None:
    await put(conn, table)
    await put(conn, table, name="failing")
    await execute(conn, "UPDATE jobs.schedules SET next_at = now(), seen_until = now() - interval '8 days'")
    await execute(conn, "UPDATE jobs.schedules SET failures = 10 WHERE name = 'failing'")

    async def one() -> Evaluated:
        async with Jobs(database, table) as jobs, database.transaction() as own:
            return await evaluate(own, jobs, on_paused=tell_paused)

    done = await asyncio.gather(one(), one())
    assert (sum(each.jobs for each in done), sum(len(each.paused) for each in done)) == (1, 1)
    (job,) = await fetch(conn, "SELECT job_type, user_id, input FROM jobs.jobs")
    assert (job["job_type"], job["input"]["tick"]["name"]) == ("scheduled_turn", "morning")
    assert [one.title for one in await list_notifications(conn)] == ["Schedule failing paused itself"]


async def test_who_writes_a_name_at_once_with_a_file_finds_what_the_file_wrote(
    conn: Connection, other: Connection, database: Database, table: HandlerTable
) -> None:
    """Without the lock the second finds no schedule, waits for the first one's row, and changes it."""
    async with conn.transaction():
        await save(conn, table, read(MORNING), source="file:a.toml")
        late = asyncio.create_task(put(other, table, prompt="?"))
        async with database.connection() as third:
            await until_blocked(third)
    with pytest.raises(ScheduleOfFile):
        await late
