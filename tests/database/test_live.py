"""Live events in Postgres: written together, fenced by the epoch, made good after an outage, forgotten after an hour."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import uuid4

import pytest
from psycopg import OperationalError
from structlog.testing import capture_logs

from jobs_core import Connection, Database, execute, fetch
from jobs_core.statements import statement
from sessions import Audience, TurnEvent, create_session, live, take_session
from sessions.live import Live, LiveRun, forget_all
from sessions.live_rows import Held, LiveRow, Place, live_news, newest_runs, write_live
from sessions.shown import Shown
from tests.support.database import until_blocked
from tests.support.mutants import mutated
from tests.support.worker import until

NO_EPOCH = ("AND s.epoch = given.epoch\n    FOR SHARE", "\n    FOR SHARE")
NO_LOCK = ("\n    FOR SHARE OF s SKIP LOCKED", "")


async def held(conn: Connection) -> Held:
    """A session that was just taken."""
    session_id = uuid4()
    await create_session(conn, session_id)
    return Held(session_id, await take_session(conn, session_id))


def row(topic: str, seq: int, *, token: int = 1, said: str = "x") -> LiveRow:
    return LiveRow(topic, token, seq, uuid4(), json.dumps([("text", {"text": said})]))


def text(said: str) -> TurnEvent:
    return TurnEvent("text", {"text": said, "message": "m", "parent": None})


async def rows_of(conn: Connection, topic: str) -> list[LiveRow]:
    return await live_news(conn, {topic: Place()}, most=1_000)


async def shown(conn: Connection, topic: str) -> Shown:
    """What a watcher sees who has read everything."""
    seen = Shown()
    for one in await rows_of(conn, topic):
        for kind, about in json.loads(one.events):
            seen.apply(kind, about)
    return seen


class ByHand(Live):
    """Writes when the test says so."""

    def wake(self) -> None:
        pass


async def shows(conn: Connection, said: str) -> bool:
    return (await shown(conn, "c")).text() == said


@asynccontextmanager
async def writer(database: Database, kind: type[Live] = ByHand) -> AsyncIterator[Live]:
    one = kind(database)
    one.start()
    try:
        yield one
    finally:
        await one.stop()


async def opened(conn: Connection, of: Live, topic: str = "c", token: int = 1) -> LiveRun:
    return of.open(await held(conn), Audience(topic, token), uuid4())


class Statements:
    """Counts what is written, and makes writes fail as told."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.rows = list[int]()
        self.fails: Exception | None = None
        self.failed = 0
        monkeypatch.setattr(live, "write_live", self.write)

    async def write(self, conn: Connection, rows: Any) -> Any:
        if self.fails:
            self.failed += 1
            raise self.fails
        self.rows.append(len(rows))
        return await write_live(conn, rows)


async def test_the_events_of_many_runs_are_one_statement_and_their_pieces_of_text_one(
    database: Database, conn: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    statements = Statements(monkeypatch)
    async with writer(database, Live) as one:
        runs = [await opened(conn, one, f"c{n}", n) for n in range(20)]
        for piece in range(100):
            for run in runs:
                run.tell(text(f"{piece} "))
        for run in runs:
            run.end("answered")
    assert statements.rows == [20]
    for n in range(20):
        (written,) = await rows_of(conn, f"c{n}")
        kinds = [kind for kind, _ in json.loads(written.events)]
        assert kinds == ["reset", "end"]
        assert (await shown(conn, f"c{n}")).text() == "".join(f"{piece} " for piece in range(100))


async def test_writes_keep_their_distance_however_often_something_is_told(
    database: Database, conn: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    statements = Statements(monkeypatch)
    began = asyncio.get_running_loop().time()
    async with writer(database, Live) as one:
        run = await opened(conn, one)
        while len(statements.rows) < 4:
            run.tell(text("."))
            await asyncio.sleep(0.002)
        spent_s = asyncio.get_running_loop().time() - began
    assert spent_s > 3 * live.EVERY_S


@pytest.mark.parametrize("fenced", [True, False])
async def test_a_run_that_was_replaced_writes_nothing(conn: Connection, fenced: bool) -> None:  # noqa: FBT001 - the mutant
    old, other = await held(conn), await held(conn)
    await take_session(conn, old.session_id)
    with mutated(*() if fenced else (NO_EPOCH,)):
        found = await write_live(conn, [(old, row("old", 1)), (other, row("other", 2))])
    assert set(found.written) == ({2} if fenced else {1, 2})
    assert set(found.holding) == {2}
    assert len(await rows_of(conn, "old")) == (0 if fenced else 1)
    assert len(await rows_of(conn, "other")) == 1


@pytest.mark.parametrize("locked", [True, False])
async def test_who_takes_the_session_over_waits_for_what_is_being_written(
    conn: Connection,
    other: Connection,
    database: Database,
    locked: bool,  # noqa: FBT001 - the mutant
) -> None:
    """Or a row of the replaced run is committed after the next one's first, and a watcher never reads it, or reads it there."""
    mine = await held(conn)
    with mutated(*() if locked else (NO_LOCK,)):
        async with other.transaction():
            await write_live(other, [(mine, row("c", 1))])
            taking = asyncio.create_task(take_session(conn, mine.session_id))
            if locked:
                async with database.connection() as third:
                    await until_blocked(third)
                assert not taking.done()
            else:
                assert await taking == 2
        assert await taking == 2


async def test_a_session_that_somebody_has_locked_keeps_nobody_else_waiting(
    conn: Connection, other: Connection, database: Database
) -> None:
    async with writer(database) as one:
        stuck, free = await opened(conn, one, "stuck", 1), await opened(conn, one, "free", 2)
        async with other.transaction():
            await execute(
                other, "SELECT FROM jobs.sessions WHERE id = %(id)s FOR UPDATE", {"id": stuck.held.session_id}
            )
            stuck.tell(text("one "))
            free.tell(text("one"))
            await one.run_once()
            assert (await shown(conn, "free")).text() == "one"
            assert await rows_of(conn, "stuck") == []
            stuck.tell(text("two"))
        await one.run_once()
        assert (await shown(conn, "stuck")).text() == "one two"


async def test_a_run_that_was_replaced_falls_silent_for_good(database: Database, conn: Connection) -> None:
    async with writer(database) as one:
        run = await opened(conn, one)
        run.tell(text("mine"))
        await one.run_once()
        await take_session(conn, run.held.session_id)
        run.tell(text(", not mine"))
        await one.run_once()
        assert run.closed
        assert one._runs == {}
        run.tell(text(", never"))
        run.end("broke")
        assert not run.has_news
    assert (await shown(conn, "c")).text() == "mine"


async def test_what_is_void_is_gone_with_the_next_row(database: Database, conn: Connection) -> None:
    async with writer(database) as one:
        run = await opened(conn, one)
        run.tell(TurnEvent("text", {"text": "First.", "message": "l", "parent": None}))
        run.tell(text("Half"))
        await one.run_once()
        run.tell(TurnEvent("void", {"message": "m", "parent": None}))
        run.tell(TurnEvent("text", {"text": " Whole.", "message": "n", "parent": None}))
        await one.run_once()
        last = json.loads((await rows_of(conn, "c"))[-1].events)
        assert [kind for kind, _ in last] == ["reset"]
        assert (await shown(conn, "c")).text() == "First. Whole."


async def test_a_new_run_voids_what_the_one_before_it_has_shown(database: Database, conn: Connection) -> None:
    async with writer(database) as one:
        for token, said in ((1, "Half an"), (2, "An answer.")):
            run = await opened(conn, one, token=token)
            run.tell(text(said))
            await one.run_once()
    assert (await shown(conn, "c")).text() == "An answer."
    assert [(found.token, found.seq) for found in await rows_of(conn, "c")] == [(1, 1), (2, 2)]


async def test_a_run_that_showed_nothing_voids_nothing_and_is_not_remembered(
    database: Database, conn: Connection
) -> None:
    """Its turn was answered by a run that died before it could settle: the answer follows at once."""
    async with writer(database) as one:
        (await opened(conn, one, token=1)).tell(text("The answer."))
        await one.run_once()
        (await opened(conn, one, token=2)).end("answered")
        assert len(one._runs) == 1
    assert (await shown(conn, "c")).text() == "The answer."


async def test_two_turns_of_one_job_do_not_take_each_others_rows(database: Database, conn: Connection) -> None:
    async with writer(database) as one:
        for said in ("one", "two"):
            run = await opened(conn, one, token=1)
            run.tell(text(said))
            run.end("answered")
            await one.run_once()
    assert len(await rows_of(conn, "c")) == 2
    assert (await shown(conn, "c")).text() == "two"


async def test_after_an_outage_nothing_is_missing(
    database: Database, conn: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "_AWAY_S", 0.01)
    statements = Statements(monkeypatch)

    async def tried() -> bool:
        so_far = statements.failed
        await asyncio.sleep(0.01)
        return statements.failed > so_far

    async with writer(database, Live) as one:
        run = await opened(conn, one)
        run.tell(text("before, "))
        await until(lambda: shows(conn, "before, "))
        statements.fails = OperationalError("away")
        with capture_logs() as logs:
            for _ in range(3):
                run.tell(text("meanwhile, "))
                await until(tried)
        assert [line["event"] for line in logs] == ["live_events.not_written"]
        statements.fails = None
        await until(lambda: shows(conn, "before, meanwhile, meanwhile, meanwhile, "))


async def test_what_is_remembered_while_nothing_can_be_written_is_bounded(
    database: Database, conn: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    statements = Statements(monkeypatch)
    statements.fails = OperationalError("away")
    async with writer(database) as one:
        run = await opened(conn, one)
        for n in range(4_000):
            run.tell(text("x" * 1_000))
            run.tell(TurnEvent("tool_result", {"id": str(n), "text": "y" * 1_000, "is_error": False, "parent": None}))
            if n % 1_000 == 0:
                await one.run_once()
        assert len(json.dumps(run._new)) < 2 * live.MAX_NEW_CHARS
        statements.fails = None
        run.end("answered")
        await one.run_once()
    (written,) = await rows_of(conn, "c")
    assert len(written.events) < 200_000
    assert (await shown(conn, "c")).dropped_chars > 3_500_000
    assert json.loads(written.events)[-1] == ["end", {"how": "answered"}]


async def test_what_postgres_refuses_fails_nothing_and_is_said_as_soon_as_it_is_taken(
    database: Database, conn: Connection
) -> None:
    async with writer(database) as one:
        await execute(conn, "ALTER TABLE jobs.live_events RENAME TO gone")
        run, over = await opened(conn, one), await opened(conn, one, "over", 2)
        with capture_logs() as logs:
            for _ in range(3):
                run.tell(text("secret "))
                over.tell(text("nobody waits for this"))
                over.end("answered")
                await one.run_once()
        assert [(line["event"], line["error"]) for line in logs] == [
            ("live_events.not_written", "UndefinedTable 42P01")
        ]
        assert list(one._runs) == [run]
        await execute(conn, "ALTER TABLE jobs.gone RENAME TO live_events")
        await one.run_once()
    assert (await shown(conn, "c")).text() == "secret secret secret "


async def test_one_statement_holds_no_more_than_it_should_and_those_left_out_come_next(
    database: Database, conn: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    statements = Statements(monkeypatch)
    async with writer(database) as one:
        for n in range(30):
            (await opened(conn, one, f"c{n}", n)).tell(text("x" * 60_000))
        while any(run.has_news for run in one._runs):
            await one.run_once()
    assert len(statements.rows) == 2
    assert sum(statements.rows) == 30


async def test_text_that_sql_would_choke_on_is_kept_as_it_is(database: Database, conn: Connection) -> None:
    said = "NUL \x00, a lone surrogate \ud83d, an emoji in two halves \ud83d\ude00"
    async with writer(database) as one:
        run = await opened(conn, one)
        for char in said:
            run.tell(text(char))
        await one.run_once()
    assert (await shown(conn, "c")).text() == said.replace("\ud83d\ude00", "\N{GRINNING FACE}")


async def test_news_are_read_in_order_from_each_topics_own_place(conn: Connection) -> None:
    mine = await held(conn)
    for token, seq in ((1, 1), (1, 2), (2, 3), (2, 4)):
        await write_live(conn, [(mine, row("a", seq, token=token)), (mine, row("b", seq + 10, token=token))])
    found = await live_news(conn, {"a": Place(1, 2), "b": Place(2, 13), "none": Place()}, most=10)
    assert [(one.topic, one.token, one.seq) for one in found] == [("a", 2, 3), ("a", 2, 4), ("b", 2, 14)]
    found = await live_news(conn, {"a": Place(), "b": Place()}, most=1)
    assert [(one.topic, one.seq) for one in found] == [("a", 1), ("b", 11)]
    assert await newest_runs(conn, ["a", "none"]) == {"a": Place(2, 0), "none": Place(0, 0)}


async def test_an_hour_after_its_last_word_a_run_is_forgotten_and_one_that_still_speaks_is_kept_whole(
    conn: Connection,
) -> None:
    mine = await held(conn)
    for seq in range(1, 4):
        await write_live(conn, [(mine, row("over", seq)), (mine, row("speaks", seq + 10))])
    await execute(conn, "UPDATE jobs.live_events SET said_at = said_at - interval '61 minutes'")
    await write_live(conn, [(mine, row("speaks", 20)), (mine, row("over", 21, token=2))])
    await forget_all(conn)
    assert [one.seq for one in await rows_of(conn, "speaks")] == [11, 12, 13, 20]
    assert [one.seq for one in await rows_of(conn, "over")] == [21]


async def test_what_is_old_goes_a_thousand_at_a_time_by_whichever_worker_comes_first(
    conn: Connection, other: Connection
) -> None:
    await execute(
        conn,
        "INSERT INTO jobs.live_events (topic, token, seq, turn_id, events, said_at) "
        "SELECT 'c' || n % 50, n % 50, n, gen_random_uuid(), '[]', now() - interval '2 hours' "
        "FROM generate_series(1, 2500) AS n",
    )
    await asyncio.gather(forget_all(conn), forget_all(other))
    while await fetch(conn, "SELECT FROM jobs.live_events"):  # what one had locked the other passed by
        await forget_all(conn)


async def test_the_rows_cost_no_wal(conn: Connection) -> None:
    (found,) = await fetch(conn, "SELECT relpersistence AS kept FROM pg_class WHERE oid = 'jobs.live_events'::regclass")
    assert found["kept"] in {"u", b"u"}


async def test_a_look_for_many_chats_steps_to_each_by_the_index(conn: Connection) -> None:
    """However many rows the others have, and whatever the planner was last told."""
    await execute(
        conn,
        "INSERT INTO jobs.live_events (topic, token, seq, turn_id, events) "
        "SELECT 'c' || n % 1000, n % 1000, n, gen_random_uuid(), '[]' FROM generate_series(1, 20000) AS n",
    )
    for analyze in (False, True):
        if analyze:
            await execute(conn, "ANALYZE jobs.live_events")
        values = {"topics": [f"c{n}" for n in range(100)], "tokens": [10**9] * 100, "seqs": [0] * 100, "most": 500}
        plan = await fetch(conn, f"EXPLAIN {statement('sessions', 'live/news')}", values)  # type: ignore[arg-type]  # of the test
        told = "\n".join(line["QUERY PLAN"] for line in plan)
        assert "live_events_pkey" in told, told
        assert "Seq Scan" not in told
