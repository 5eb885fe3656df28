"""Watching a job: what is told, in which order, and that a cursor goes on exactly where it stands."""

import asyncio
import random
import time
from collections import Counter
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest

from jobs_core import (
    AnyJob,
    Complete,
    Connection,
    Database,
    Fail,
    InvalidInput,
    Jobs,
    JobType,
    NewJob,
    Retry,
    Wait,
    execute,
    fetch,
    watch,
)
from jobs_core.settle import put_back, settle
from jobs_core.steps import Steps
from jobs_core.watch import Cursor, JobEvent, Watch, follow
from tests.database.conftest import ClaimAll
from tests.support.job_types import BRIEF_NOTE, NOTE, Note
from tests.support.mutants import mutated
from tests.support.worker import ended, until, view_of, working
from workers import note_writer

NOW = timedelta(0)


def told(events: Sequence[JobEvent] | None) -> list[str]:
    """What a person reads: `log half of it`."""
    return [f"{event.kind} {event.text}".strip() for event in events or ()]


async def seen(database: Database, job_id: int, cursor: str | None = None) -> list[JobEvent]:
    """All that a watcher sees who comes now, or from a cursor on, until there is no more."""
    watch = Watch(job_id, Cursor.parse(cursor, field="cursor") if cursor else None)
    events = list[JobEvent]()
    async with database.connection() as conn:
        while True:
            events += await watch.look(conn) or []
            if not watch.more:
                return events


async def handle_whole_life(job: AnyJob) -> Any:
    job.log("begun", run=job.retry_count)
    await job.step("charge", lambda: 5)
    job.progress(0.5, text="half")
    if not job.retry_count:
        return Retry("once more", after=NOW)
    await job.spawn("label", NewJob(BRIEF_NOTE, Note()))
    await job.wait_for_children()
    await job.wait_for("paid")
    job.log("all done")
    return Complete()


async def quiet(_: AnyJob) -> None:
    """A job that says nothing."""


async def whole_life(database: Database) -> tuple[int, list[JobEvent]]:
    """A job that did all there is, and what is told of it after its end."""

    async def child(_: AnyJob) -> None:
        await until(lambda: _waits_for(database, job_id, "jobs:children"))

    async with working(database, {NOTE: handle_whole_life, BRIEF_NOTE: child}) as (jobs, _):
        job_id = (await jobs.create(NOTE, Note())).id
        await until(lambda: _waits_for(database, job_id, "paid"))
        await jobs.emit("paid")
        await ended(database, job_id)
    return job_id, await seen(database, job_id)


async def _waits_for(database: Database, job_id: int, event: str) -> bool:
    async with database.connection() as conn:
        rows = await fetch(conn, "SELECT wait_event FROM jobs.jobs WHERE id = %(id)s", {"id": job_id})
    return rows == [{"wait_event": event}]


async def test_all_that_happened_to_a_job_is_told(database: Database) -> None:
    job_id, events = await whole_life(database)
    async with database.connection() as conn:
        ((worker, child),) = [
            (row["worker_id"], row["child"])
            for row in await fetch(
                conn,
                "SELECT worker_id, (SELECT id FROM jobs.history WHERE parent_id = %(id)s) AS child FROM jobs.history"
                " WHERE id = %(id)s",
                {"id": job_id},
            )
        ]
    lines = told(events)
    assert lines[0] == "created note on queue default"
    assert lines[-1] == "ended complete"
    assert Counter(lines) == Counter(
        [
            "created note on queue default",
            f"claimed by worker {worker}",
            f"started on worker {worker}",
            'log begun {"run": 0}',
            "step charge done",
            "progress 50 %, half",
            "attempt error: once more",
            f"claimed by worker {worker}",
            f"started on worker {worker}",
            'log begun {"run": 1}',
            "progress 50 %, half",
            'log begun {"run": 1}',  # in the run that waited for its child,
            "progress 50 %, half",
            'log begun {"run": 1}',  # and the one that waited for the event
            "progress 50 %, half",
            "step spawn:label done",
            f"step child:{child} done",
            "step wait:paid done",
            "log all done",
            "ended complete",
        ]
    )
    by_kind = [line for line in lines if line.split()[0] in {"log", "attempt"}]
    assert by_kind[:3] == ['log begun {"run": 0}', "attempt error: once more", 'log begun {"run": 1}']


async def test_a_cursor_goes_on_exactly_after_its_event(database: Database) -> None:
    job_id, events = await whole_life(database)
    assert len({event.id for event in events}) == len(events)
    for n, event in enumerate(events):
        assert await seen(database, job_id, event.id) == events[n + 1 :]


AGAIN = ("kind = 'log' AND n > %(log)s", "kind = 'log' AND n >= %(log)s")


async def test_a_look_that_begins_one_line_early_tells_it_twice(database: Database) -> None:
    job_id, events = await whole_life(database)
    last = next(event for event in reversed(events) if event.kind == "log")
    with mutated(AGAIN):
        assert [event.kind for event in await seen(database, job_id, last.id)].count("log") == 1


async def test_watchers_of_a_busy_job_that_come_and_go_miss_nothing_and_see_nothing_twice(database: Database) -> None:
    """Each goes away at a random moment, and comes back with its last cursor."""
    chance = random.Random(7)

    async def handle(job: AnyJob) -> Any:
        for n in range(40):
            job.log(f"{job.retry_count}-{n}")
            if n % 5 == 0:
                await asyncio.gather(*(job.step(f"{job.retry_count}-{n}-{i}", lambda: 1) for i in range(3)))
            await asyncio.sleep(0.02)
        return Complete() if job.retry_count == 2 else Retry("again", after=NOW)

    async def watching(job_id: int) -> list[JobEvent]:
        got, cursor = list[JobEvent](), None
        while not got or got[-1].kind != "ended":
            one = Watch(job_id, cursor)
            async with database.connection() as conn:
                events = await one.look(conn) or []
            events = events[: chance.randint(0, len(events))]  # the rest was lost on the way
            got += events
            cursor = Cursor.parse(got[-1].id, field="cursor") if got else None
            await asyncio.sleep(chance.uniform(0.0, 0.1))
        return got

    async with working(database, {NOTE: handle}) as (jobs, _):
        job_id = (await jobs.create(NOTE, Note())).id
        watchers = await asyncio.gather(*(watching(job_id) for _ in range(3)))
    whole = await seen(database, job_id)
    assert Counter(event.kind for event in whole)["log"] == 120
    assert Counter(event.kind for event in whole)["step"] == 3 * 8 * 3
    for got in watchers:
        assert Counter(told(got)) == Counter(told(whole))
        for kind in ("log", "step", "attempt"):
            assert [event for event in told(got) if event.startswith(kind)] == [
                event for event in told(whole) if event.startswith(kind)
            ]


async def test_a_job_that_says_nothing_costs_nothing(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """No notebook, no statement, no row, no step in its way."""
    for verb in ("Notebook", "begin", "write"):
        monkeypatch.setattr(note_writer, verb, lambda *_: pytest.fail("somebody said something"))
    async with working(database, {NOTE: quiet, BRIEF_NOTE: quiet}) as (jobs, _):
        ids = [(await jobs.create(job_type, Note())).id for job_type in (NOTE, BRIEF_NOTE)]
        for job_id in ids:
            assert (await ended(database, job_id)).state == "complete"
    async with database.connection() as conn:
        assert not await fetch(conn, "SELECT FROM jobs.notes UNION ALL SELECT FROM jobs.steps")
    assert [event.kind for event in await seen(database, ids[0])] == ["created", "claimed", "started", "ended"]
    assert [event.kind for event in await seen(database, ids[1])] == ["created", "claimed", "ended"]


async def say_last_words(database: Database, job_type: JobType[Any]) -> list[str]:
    """What is told, once it is told that it ended, of a job that spoke right before."""

    async def loudly(job: AnyJob) -> None:
        job.log("last words")

    def in_a_thread(job: AnyJob) -> None:
        job.log("last words")

    handle = in_a_thread if job_type.name == "threaded" else loudly
    async with working(database, {job_type: handle}) as (jobs, _):
        job_id = (await jobs.create(job_type, {})).id
        await ended(database, job_id)
        return told(await seen(database, job_id))


@pytest.mark.parametrize("job_type", [NOTE, BRIEF_NOTE, JobType("threaded", Note)], ids=lambda kind: kind.name)
async def test_who_sees_the_end_has_seen_the_last_words(database: Database, job_type: JobType[Any]) -> None:
    assert "log last words" in await say_last_words(database, job_type)


async def test_without_a_flush_before_the_settle_they_would_be_lost(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(note_writer.NoteWriter, "flushed", lambda *_: asyncio.sleep(0))
    assert "log last words" not in await say_last_words(database, NOTE)


async def talk(database: Database, monkeypatch: pytest.MonkeyPatch) -> tuple[int, float]:
    """How many writes two runs take that say something each 5 ms, and how long they said it."""
    writes, write = list[int](), note_writer.write

    async def counting(conn: Connection, notebooks: Any) -> Any:
        writes.append(len(notebooks))
        return await write(conn, notebooks)

    async def handle(job: AnyJob) -> None:
        for n in range(200):
            job.log(str(n))
            job.progress(n / 200)
            await asyncio.sleep(0.005)

    monkeypatch.setattr(note_writer, "write", counting)
    async with working(database, {NOTE: handle}) as (jobs, _):
        began = time.monotonic()
        both = await jobs.create_many([NewJob(NOTE, Note()), NewJob(NOTE, Note())])
        for job_id in both.ids:
            await ended(database, job_id)
        took_s = time.monotonic() - began
    for job_id in both.ids:
        kinds = Counter(event.kind for event in await seen(database, job_id))
        assert kinds["log"] == 200
        assert 1 <= kinds["progress"] <= len(writes)
    return len(writes), took_s


async def test_what_runs_say_is_written_together_every_half_second(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    writes, took_s = await talk(database, monkeypatch)
    assert writes <= took_s / note_writer.EVERY_S + 3  # and one as each of them ends


async def test_without_that_pause_it_would_be_written_at_every_tick(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(note_writer, "EVERY_S", 0.0)
    writes, took_s = await talk(database, monkeypatch)
    assert writes > took_s / 0.5 + 3


async def test_a_watcher_follows_a_job_to_its_end_and_holds_no_connection_meanwhile(database_url: str) -> None:
    go_on = asyncio.Event()

    async def handle(job: AnyJob) -> Any:
        job.log("waiting for you")
        await go_on.wait()
        return Fail("no more")

    async def following(own: Database, job_id: int) -> list[str]:
        watch = Watch(job_id)
        async with own.connection() as conn:
            got = told(await watch.look(conn))
        async for events in follow(own, watch, on_away=pytest.fail):
            got += told(events)
            if "log waiting for you" in got:
                go_on.set()
        assert watch.state == "failed"
        return got

    async with (
        Database(database_url, name="worker") as database,
        Database(database_url, name="watchers", max_connections=2) as own,
        working(database, {NOTE: handle}) as (jobs, _),
    ):
        job_id = (await jobs.create(NOTE, Note())).id
        async with asyncio.timeout(30):
            for got in await asyncio.gather(*(following(own, job_id) for _ in range(10))):
                assert got[0] == "created note on queue default"
                assert got[-1] == "ended failed: no more"


async def test_a_wait_is_told_while_it_lasts_and_a_cancel_ends_it(
    database: Database, jobs: Jobs, conn: Connection, claim_all: ClaimAll
) -> None:
    job_id = (await jobs.create(NOTE, {})).id
    (job,) = await claim_all()
    await settle(conn, job, Wait("paid:9", timedelta(days=1)), NOTE)
    watch = Watch(job_id)
    [*_, last] = told(await watch.look(conn))
    assert last.startswith("waiting for the event paid:9 until 20")
    assert await watch.look(conn) == []
    await jobs.cancel(job_id, reason="enough")
    assert told(await watch.look(conn)) == ["ended cancelled: enough"]
    assert watch.ended
    assert await watch.look(conn) == []


async def test_a_job_that_was_never_there_and_one_that_left_no_word(
    database: Database, jobs: Jobs, conn: Connection
) -> None:
    assert await Watch(4711).look(conn) is None
    kept_nowhere = JobType("note", Note, retention="none")
    job_id = (await jobs.create(NOTE, {})).id
    watch = Watch(job_id)
    assert told(await watch.look(conn)) == ["created note on queue default"]
    async with working(database, {kept_nowhere: quiet}):
        await until(lambda: _is_gone(conn, job_id))
    assert told(await watch.look(conn)) == ["ended how is not known: it was not kept"]
    assert (watch.ended, watch.state) == (True, None)


async def _is_gone(conn: Connection, job_id: int) -> bool:
    return not await fetch(conn, "SELECT FROM jobs.jobs WHERE id = %(id)s", {"id": job_id})


OLD = (
    "UPDATE jobs.jobs SET created_at = now() - interval '5 days'",
    """INSERT INTO jobs.notes (job_id, kind, n, token, text, said_at)
       SELECT id, 'log', n, 1, n, now() - interval '4 days' FROM jobs.jobs, generate_series(11, 40) AS n""",
)


async def test_what_does_not_fit_into_one_look_comes_with_the_next_and_dropped_lines_are_counted(
    jobs: Jobs, conn: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Lines of days ago, too, and the end not before them."""
    monkeypatch.setattr(watch, "MOST", 7)
    job_id = (await jobs.create(NOTE, {})).id
    for sql in OLD:
        await execute(conn, sql)
    await jobs.cancel(job_id)
    watching, looks, got = Watch(job_id), 0, list[str]()
    while not watching.ended:
        looks += 1
        got += told(await watching.look(conn))
    lines = [f"log {n}" for n in range(11, 41)]
    assert got == [
        "created note on queue default",
        "dropped 10 lines before this one",
        *lines,
        "ended cancelled: cancelled",
    ]
    assert looks == 5
    assert told(await Watch(job_id, Cursor(log=20)).look(conn))[0] == "log 21"


async def test_a_step_under_way_beside_another_is_told_whichever_is_first(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert await steps_told(database, monkeypatch) == ["step one done", "step two done"]


async def test_if_a_run_wrote_two_steps_at_once_one_would_be_missed(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(asyncio, "Lock", lambda: asyncio.Semaphore(2))
    assert await steps_told(database, monkeypatch) == ["step two done"]


async def steps_told(database: Database, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What a watcher is told of two steps done at once, the first of which has its number and takes long to be committed."""
    numbered, commit, both = asyncio.Event(), asyncio.Event(), asyncio.Event()
    put = Steps._put

    async def slow_put(self: Steps, conn: Connection, name: str, state: str, output: Any) -> Any:
        written = await put(self, conn, name, state, output)
        if name == "step:one":
            numbered.set()
            await commit.wait()
        return written

    monkeypatch.setattr(Steps, "_put", slow_put)

    async def handle(job: AnyJob) -> None:
        async def second() -> None:
            await numbered.wait()
            await job.step("two", lambda: 2)

        await asyncio.gather(job.step("one", lambda: 1), second())
        both.set()

    async def told_of_two(watching: Watch) -> list[str]:
        async with database.connection() as conn:
            return [line for line in told(await watching.look(conn)) if line.startswith("step")]

    async with working(database, {NOTE: handle}) as (jobs, _):
        watching = Watch((await jobs.create(NOTE, Note())).id)
        await numbered.wait()
        got = list[str]()
        try:
            async with asyncio.timeout(1.0):  # where nothing keeps it, the second step comes within that
                while not got:
                    got += await told_of_two(watching)
                    await asyncio.sleep(0.02)
        except TimeoutError:
            pass
        commit.set()
        await both.wait()
        await ended(database, watching.job_id)
        return got + await told_of_two(watching)


@pytest.mark.parametrize("text", ["", "7", "1.2.3.4", "1.2.3.4.5.6", "-1.0.0.0.0", "1.2.3.4.x", "9" * 19 + ".0.0.0.0"])
def test_what_is_no_cursor_is_refused_by_its_field(text: str) -> None:
    with pytest.raises(InvalidInput, match=r"^Last-Event-ID: is no id of an event") as refused:
        Cursor.parse(text, field="Last-Event-ID")
    assert refused.value.field == "Last-Event-ID"


async def test_runs_that_were_put_back_before_they_started_are_told(
    jobs: Jobs, conn: Connection, claim_all: ClaimAll, database: Database
) -> None:
    job_id = (await jobs.create(NOTE, {})).id
    for _ in range(3):
        (job,) = await claim_all()
        await put_back(conn, job, NOW, because="drained")
    kinds = [event.kind for event in await seen(database, job_id)]
    assert kinds == ["created", *["claimed", "attempt"] * 3]
    assert (await view_of(database, job_id)).state == "pending"
