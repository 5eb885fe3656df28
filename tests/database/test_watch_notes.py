"""What runs say: written once, by the run that holds the job only, bounded, and never in the way of the run or of others."""

import asyncio
import math
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest

from jobs_core import (
    AnyJob,
    Connection,
    ConnectionFailed,
    Database,
    Jobs,
    NewJob,
    db,
    execute,
    fetch,
    notes,
    statement,
)
from jobs_core.db import UniqueViolation
from jobs_core.job import Job
from jobs_core.notes import MAX_DATA_BYTES, MAX_TEXT_CHARS, Notebook, begin, write
from jobs_core.settle import put_back
from tests.database.conftest import ClaimAll
from tests.support.database import until_blocked
from tests.support.job_types import NOTE, Note
from tests.support.mutants import NO_FENCE_OF_NOTES, mutated
from tests.support.worker import ended, until, working
from workers.note_writer import NoteWriter

NOW = timedelta(0)
NO_LOCK = ("    FOR SHARE OF j SKIP LOCKED\n", "")
WAITS = (" SKIP LOCKED\n), written", "\n), written")
NO_MEMORY = ("ON CONFLICT DO NOTHING\n)\nSELECT clock_timestamp() AS now", ")\nSELECT clock_timestamp() AS now")


@pytest.fixture
async def job(jobs: Jobs, claim_all: ClaimAll) -> AnyJob:
    """A run's job, with a notebook of its own."""
    await jobs.create(NOTE, {})
    (claimed,) = await claim_all()
    claimed.notes_of = lambda it: Notebook(it.id, it.token, it.created_at)
    return claimed


@pytest.fixture
async def other(database: Database) -> AsyncIterator[Connection]:
    """A connection of somebody else."""
    async with database.connection() as connection:
        yield connection


async def take(conn: Connection, job: AnyJob, most: int = 1_000) -> Notebook:
    """What the job's run has said, ready to be written."""
    assert job.notes
    clock = await begin(conn, [job.notes]) if job.notes.numbers_before is None else clock_of(job)
    job.notes.take(most, clock)
    return job.notes


def clock_of(job: AnyJob) -> notes.Clock:
    return notes.Clock(job.claimed_at, 0.0)


async def written(conn: Connection, kind: str = "log") -> list[tuple[int, str | None]]:
    rows = await fetch(conn, "SELECT n, text FROM jobs.notes WHERE kind = %(kind)s ORDER BY n", {"kind": kind})
    return [(row["n"], row["text"]) for row in rows]


async def again(conn: Connection, job: AnyJob, claim_all: ClaimAll) -> AnyJob:
    """The job's next run."""
    await put_back(conn, job, NOW, because="snoozed")
    (claimed,) = await claim_all()
    claimed.notes_of = job.notes_of
    return claimed


async def said_by_a_run_that_lost_its_job(conn: Connection, job: AnyJob, claim_all: ClaimAll) -> list[Any]:
    job.log("too late")
    notebook = await take(conn, job)
    await again(conn, job, claim_all)
    await write(conn, [notebook])
    job.log("later still")
    return [*await written(conn), notebook.has_news]


async def test_a_run_that_lost_its_job_adds_nothing(conn: Connection, job: AnyJob, claim_all: ClaimAll) -> None:
    assert await said_by_a_run_that_lost_its_job(conn, job, claim_all) == [False]


async def test_without_the_fence_it_would(conn: Connection, job: AnyJob, claim_all: ClaimAll) -> None:
    with mutated(*NO_FENCE_OF_NOTES):
        assert (1, "too late") in await said_by_a_run_that_lost_its_job(conn, job, claim_all)


async def said_during_a_takeover(conn: Connection, other: Connection, job: AnyJob) -> list[tuple[int, str | None]]:
    """What stands in the notes while somebody puts the job back and has not committed."""
    job.log("in between")
    notebook = await take(conn, job)
    async with other.transaction():
        await put_back(other, job, NOW, because="drained")
        await write(conn, [notebook])
        return await written(conn)


async def test_while_somebody_takes_the_job_nothing_is_written_and_nobody_waits(
    conn: Connection, other: Connection, job: AnyJob
) -> None:
    """Whoever sees that the run is over has seen all that it said."""
    async with asyncio.timeout(30):
        assert await said_during_a_takeover(conn, other, job) == []
    assert job.notes
    assert job.notes.has_news
    await write(conn, [job.notes])
    assert (await written(conn), job.notes.has_news) == ([], False)


async def test_without_its_lock_it_would_be_written_where_nobody_looks_any_more(
    conn: Connection, other: Connection, job: AnyJob
) -> None:
    with mutated(NO_LOCK):
        assert await said_during_a_takeover(conn, other, job) == [(1, "in between")]


async def test_if_locked_rows_were_waited_for_one_slow_settle_would_stall_all_others(
    database: Database, conn: Connection, other: Connection, job: AnyJob
) -> None:
    with mutated(WAITS):
        async with database.connection() as third:
            stalled = asyncio.create_task(said_during_a_takeover(conn, other, job))
            await until_blocked(third)
            stalled.cancel()
            await asyncio.wait({stalled})


async def test_what_is_locked_for_a_moment_is_written_the_next_time(
    conn: Connection, other: Connection, job: AnyJob
) -> None:
    """As the end of a child locks its parent."""
    job.log("first")
    notebook = await take(conn, job)
    async with other.transaction():
        await fetch(other, "SELECT FROM jobs.jobs FOR UPDATE")
        await write(conn, [notebook])
    job.log("second")
    await write(conn, [await take(conn, job)])
    assert await written(conn) == [(1, "first")]
    await write(conn, [await take(conn, job)])
    assert await written(conn) == [(1, "first"), (2, "second")]


async def test_a_write_whose_answer_was_lost_is_repeated_and_counts_once(conn: Connection, job: AnyJob) -> None:
    job.log("once")
    job.progress(0.5)
    notebook = await take(conn, job)
    taken = notebook.taken
    for _ in range(2):
        notebook.taken = taken
        await write(conn, [notebook])
    assert await written(conn) == [(1, "once")]
    assert await written(conn, "progress") == [(1, None)]
    notebook.taken = taken
    with mutated(NO_MEMORY), pytest.raises(UniqueViolation):
        await write(conn, [notebook])


async def test_lines_are_numbered_through_all_runs_of_a_job(conn: Connection, job: AnyJob, claim_all: ClaimAll) -> None:
    for run in range(3):
        for line in "ab":
            job.log(f"{run}{line}")
        await write(conn, [await take(conn, job)])
        job = await again(conn, job, claim_all)
    assert await written(conn) == [(1, "0a"), (2, "0b"), (3, "1a"), (4, "1b"), (5, "2a"), (6, "2b")]


async def test_a_job_keeps_its_newest_lines_and_words_of_progress(
    conn: Connection, job: AnyJob, claim_all: ClaimAll, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of all its runs; up to a tenth more of each."""
    monkeypatch.setitem(notes.KEPT, "log", 20)
    monkeypatch.setitem(notes.KEPT, "progress", 10)
    for n in range(1, 101):
        job.log(str(n))
        job.progress(n / 100)
        await write(conn, [await take(conn, job)])
        rows, words = await written(conn), await written(conn, "progress")
        assert len(rows) <= 22
        assert len(words) <= 11
        assert rows[-1] == (n, str(n))
        if n % 30 == 0:
            job = await again(conn, job, claim_all)
    assert len(rows) >= 20


async def test_what_a_run_says_faster_than_it_is_written_takes_no_more_room_than_is_kept(
    conn: Connection, job: AnyJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(notes.KEPT, "log", 10)
    for n in range(1, 26):
        job.log(str(n))
        job.progress({"done": n}, text=str(n))
    notebook = await take(conn, job)
    assert len(notebook.taken) == 11
    await write(conn, [notebook])
    assert await written(conn) == [(n, str(n)) for n in range(16, 26)]
    assert await written(conn, "progress") == [(1, "25")]


DEEP: dict[str, Any] = {}
for _ in range(100):
    DEEP = {"d": DEEP}


@pytest.mark.parametrize(
    ("text", "data", "kept"),
    [
        ("fine", {"a": [1, None]}, ("fine", {"a": [1, None]})),
        ("a\0b\ud800", {}, ("a\N{REPLACEMENT CHARACTER}b?", None)),
        ("x" * 5_000, {}, ("x" * (MAX_TEXT_CHARS - 1) + "…", None)),
        (7, {}, ("7", None)),
        ("text", {"text": "also", "self": 1}, ("text", {"text": "also", "self": 1})),
        ("nan", {"loss": math.nan}, ("nan", {"not_kept": "data.loss: nan is not a number that JSON can hold"})),
        ("set", {"s": {1}}, ("set", "data: cannot be written as JSON")),
        ("nul", {"s": "\0"}, ("nul", "data.s: contains a NUL character")),
        ("half", {"s": "\ud800"}, ("half", "data.s: contains half of a surrogate pair")),
        ("deep", DEEP, ("deep", "data: nested deeper")),
        ("big", {"s": "x" * MAX_DATA_BYTES}, ("big", f"at most {MAX_DATA_BYTES} are allowed")),
    ],
    ids=lambda value: repr(value)[:16],
)
async def test_what_cannot_be_kept_as_it_is_never_fails_the_run(
    conn: Connection, job: AnyJob, text: Any, data: Any, kept: tuple[str, Any]
) -> None:
    job.log(text, **data)
    job.progress(data or math.inf, text=text)
    await write(conn, [await take(conn, job)])
    rows = await fetch(conn, "SELECT kind, text, data FROM jobs.notes ORDER BY kind")
    kept_text, kept_data = kept
    assert [row["text"] for row in rows] == [kept_text, kept_text]
    if isinstance(kept_data, str):
        assert kept_data in rows[0]["data"]["not_kept"]
    else:
        assert rows[0]["data"] == kept_data
    assert rows[1]["data"], "infinite progress says why it is not kept"


async def test_a_run_that_says_much_keeps_no_other_from_being_heard(
    database: Database, conn: Connection, jobs: Jobs, claim_all: ClaimAll
) -> None:
    await jobs.create_many([NewJob(NOTE, {})] * 2)
    loud, terse = await claim_all()
    writer = NoteWriter(database)
    loud.notes_of = terse.notes_of = writer.notebook
    for n in range(notes.KEPT["log"]):
        loud.log(str(n))
    terse.log("a word")
    for _ in range(2):
        await writer.run_once()
    assert (1, "a word") in await written(conn)
    assert loud.notes
    assert loud.notes.has_news, "it would have been heard without its turn"
    await writer.flushed(loud)
    assert len(await written(conn)) == notes.KEPT["log"] + 1


async def test_what_a_run_says_after_its_end_is_not_kept(database: Database, conn: Connection) -> None:
    """By a task or a thread that it left behind."""
    left = list[AnyJob]()

    async def talker(job: AnyJob) -> None:
        left.append(job)
        if job.input.text:
            job.log("in time")

    async with working(database, {NOTE: talker}) as (jobs, worker):
        for text in ("", "says something"):
            await ended(database, (await jobs.create(NOTE, Note(text=text))).id)
            left[-1].log("too late")
        await ended(database, (await jobs.create(NOTE, Note(text="and one more"))).id)
        assert worker._shift
        await until(lambda: asyncio.sleep(0, not worker._shift._executor._notes._open))
    assert await written(conn) == [(1, "in time"), (1, "in time")]


async def say_while_answers_are_lost(database: Database, monkeypatch: pytest.MonkeyPatch) -> int:
    """A job of 100 lines; some of their writes never came to Postgres, others did and were not answered. Returns its id."""
    lose, fetch_one = ["after", "before", "", "after", "before"], db.fetch_one

    async def losing(conn: Connection, sql: Any, parameters: Any = None) -> Any:
        lost = lose.pop() if sql == statement("jobs_core", "note/write") and lose else ""
        if lost == "before":
            raise ConnectionFailed[0]("the connection was cut")
        row = await fetch_one(conn, sql, parameters)
        if lost:
            raise ConnectionFailed[0]("the connection was cut")
        return row

    async def handle(job: AnyJob) -> None:
        for n in range(100):
            job.log(str(n))
            await asyncio.sleep(0.02)

    monkeypatch.setattr(db, "fetch_one", losing)
    async with working(database, {NOTE: handle}) as (jobs, _):
        job_id = (await jobs.create(NOTE, Note())).id
        assert (await ended(database, job_id)).state == "complete"
    assert not lose
    return job_id


async def test_lines_are_there_once_whenever_the_connection_was_cut(
    database: Database, conn: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    await say_while_answers_are_lost(database, monkeypatch)
    assert await written(conn) == [(n + 1, str(n)) for n in range(100)]


async def test_a_run_is_settled_though_postgres_refuses_what_it_says(database: Database, conn: Connection) -> None:
    async def handle(job: AnyJob) -> None:
        job.log("into a table that is not there")

    await execute(conn, "ALTER TABLE jobs.notes RENAME TO elsewhere")
    async with working(database, {NOTE: handle}) as (jobs, _):
        assert (await ended(database, (await jobs.create(NOTE, Note())).id)).state == "complete"


def test_where_no_worker_runs_a_job_it_may_say_what_it_likes() -> None:
    """A handler under test, say."""
    job: AnyJob = Job(*[0] * 18)  # type: ignore[arg-type]  # nothing of it is looked at
    job.log("into the void")
    job.progress(0.1)
    assert job.moved_s > 0


async def test_the_newest_notes_are_shown_with_their_times_by_postgres_clock(conn: Connection, job: AnyJob) -> None:
    for n in range(30):
        job.log(str(n), n=n)
    job.progress(0.3, text="a third")
    await write(conn, [await take(conn, job)])
    shown = await notes.newest(conn, job.id, job.created_at)
    assert [row["text"] for row in shown.log] == [str(n) for n in range(10, 30)]
    assert shown.progress
    assert (shown.progress["text"], shown.progress["data"]) == ("a third", {"fraction": 0.3})
    (clock,) = await fetch(conn, "SELECT clock_timestamp() AS now")
    times = [row["said_at"] for row in shown.log]
    assert times == sorted(times)
    assert job.claimed_at - timedelta(seconds=1) < times[0] <= clock["now"]
    assert await notes.newest(conn, job.id + 1, job.created_at) == (None, [])
