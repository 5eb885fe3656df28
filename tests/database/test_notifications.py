"""Notifications on a real Postgres: written, read in an order in which nothing is missed, marked by whose they are."""

import asyncio
from typing import Any

import pytest

from assistant import people
from assistant.notifications import (
    count_unread,
    find_notification,
    list_notifications,
    mark_all_read,
    mark_read,
    notifications_after,
    notify,
    place,
)
from assistant.recipients import Recipient, recipient
from jobs_core import Connection, Database, InvalidInput, execute, fetch
from tests.support.database import Undone, until_blocked
from tests.support.mutants import mutated

BY_ID = (
    "SELECT id, nextval('{schema}.notification_seqs') AS seq FROM new ORDER BY id",
    "SELECT id, id AS seq FROM new ORDER BY id",
)
NO_TURNS = ("SELECT pg_advisory_xact_lock(hashtextextended('{schema}.notifications', 0))", "SELECT 1")


async def tell(conn: Connection, **given: Any) -> int:
    return await notify(conn, **{"user_id": None, "title": "A", "body": "B\0", "category": "summary", **given})


async def after(conn: Connection, of: Recipient, seq: int = 0) -> list[tuple[int, int]]:
    """Ids and places behind that place."""
    await place(conn)
    return [(one.id, one.seq or 0) for one in await notifications_after(conn, of, seq)]


async def test_what_is_told_is_kept_whole_or_not_at_all(conn: Connection) -> None:
    with pytest.raises(Undone):
        async with conn.transaction():
            await tell(conn)
            raise Undone
    assert await list_notifications(conn) == []
    await tell(conn, user_id="ada", severity="warning", metadata={"n": 1}, title="x" * 300)
    await tell(conn)
    mine, theirs = reversed(await list_notifications(conn))
    assert (mine.user_id, mine.severity, mine.metadata, mine.read) == ("ada", "warning", {"n": 1}, False)
    assert (len(mine.title), mine.body, mine.seq) == (200, "B\N{REPLACEMENT CHARACTER}", None)
    assert theirs.user_id is None
    assert await find_notification(conn, mine.id) == mine
    assert await find_notification(conn, 99) is None
    for wrong in ({"category": ""}, {"metadata": {"a": "\0"}}, {"metadata": {"a": "x" * 20_000}}):
        with pytest.raises(InvalidInput):
            await tell(conn, **wrong)


async def test_nobody_reads_or_marks_anothers(conn: Connection, database: Database) -> None:
    async with database.transaction() as own:
        holder = await people.owner(own)
    ids = [await tell(conn, user_id=user) for user in ("ada", "bob", "ada", None, holder.id)]
    ada, owner = await recipient(conn, "ada"), await recipient(conn, None)
    assert (owner.user_id, owner.is_owner) == (holder.id, True)
    assert [one.id for one in await list_notifications(conn, of=ada)] == [ids[2], ids[0]]
    assert [one.id for one in await list_notifications(conn, of=owner)] == [ids[4], ids[3]]
    assert [one.id for one in await list_notifications(conn, limit=2, before_id=ids[3])] == [ids[2], ids[1]]
    assert [id_ for id_, _ in await after(conn, ada)] == [ids[0], ids[2]]
    assert [await mark_read(conn, ids[1], of=one) for one in (ada, owner)] == [False, False]
    assert [await mark_read(conn, ids[3], of=one) for one in (ada, owner, owner)] == [False, True, True]
    assert await mark_all_read(conn, ada, up_to_id=ids[1]) is None
    assert await mark_all_read(conn, ada, up_to_id=99) is None
    assert await mark_all_read(conn, ada, up_to_id=ids[0]) == 1
    assert [await count_unread(conn, one) for one in (ada, owner, await recipient(conn, "bob"))] == [1, 1, 1]
    assert [one.id for one in await list_notifications(conn, unread=True)] == [ids[4], ids[2], ids[1]]


async def test_all_of_a_category_are_marked_and_no_other(conn: Connection) -> None:
    owner = await recipient(conn, None)
    ids = [await tell(conn, category=category) for category in ("a", "b", "a", "a")]
    assert await mark_all_read(conn, owner, up_to_id=ids[2], category="a") == 2
    assert [one.id for one in await list_notifications(conn, unread=True)] == [ids[3], ids[1]]
    assert await mark_all_read(conn, owner, category="a") == 1
    assert await mark_all_read(conn, owner) == 1
    assert await count_unread(conn, owner) == 0


@pytest.mark.parametrize("mutant", [None, BY_ID])
async def test_a_reader_misses_nothing_that_was_committed_out_of_order(
    conn: Connection, other: Connection, mutant: tuple[str, str] | None
) -> None:
    """By its id alone it would stand before what was read already."""
    owner = await recipient(other, None)
    with mutated(*([mutant] if mutant else [])):
        async with conn.transaction():
            late = await tell(conn)
            early = await tell(other)
            ((first, at),) = await after(other, owner)
            assert first == early > late
        assert ([id_ for id_, _ in await after(other, owner, at)] == [late]) is (mutant is None)


async def test_reading_all_up_to_one_leaves_what_was_committed_behind_it(conn: Connection, other: Connection) -> None:
    owner = await recipient(other, None)
    async with conn.transaction():
        late = await tell(conn)
        early = await tell(other)
        await place(other)
    assert await mark_all_read(other, owner, up_to_id=early) == 1
    assert [one.id for one in await list_notifications(conn, unread=True)] == [late]
    assert await mark_all_read(other, owner, up_to_id=late) == 1


@pytest.mark.parametrize("mutant", [None, NO_TURNS])
async def test_who_has_seen_a_place_has_seen_all_before_it(
    conn: Connection, database: Database, other: Connection, mutant: tuple[str, str] | None
) -> None:
    """Two give places at once: the second waits for the first one's commit, or its places would be seen before lower ones."""
    owner = await recipient(conn, None)
    with mutated(*([mutant] if mutant else [])):
        async with conn.transaction():
            first = await tell(other)
            await place(conn)
            second = await tell(other)

            async def read() -> list[tuple[int, int]]:
                async with database.connection() as own:
                    return await after(own, owner)

            reading = asyncio.create_task(read())
            if mutant is None:
                await until_blocked(other, "-- Makes those who give places")
            else:
                await reading
        seen = await reading
        seen += await after(conn, owner, seen[-1][1])
        assert ([id_ for id_, _ in seen] == [first, second]) is (mutant is None)


async def test_readers_and_writers_at_once_lose_nothing_and_double_nothing(database: Database) -> None:
    """Four write; three follow by place, each in its own time."""
    written: list[int] = []

    async def write(n: int) -> None:
        for turn in range(6):
            async with database.transaction() as own:
                mine = [await tell(own, title=f"{n}.{turn}.{k}") for k in range(2)]
                await asyncio.sleep(0.001 * ((n * 7 + turn) % 5))
            written.extend(mine)

    async def follow(done: asyncio.Event) -> list[int]:
        got, at, last = list[int](), 0, False
        while True:
            last = done.is_set()
            async with database.connection() as own:
                news = await after(own, await recipient(own, None), at)
            got += [id_ for id_, _ in news]
            at = news[-1][1] if news else at
            if last and not news:
                return got

    done = asyncio.Event()
    readers = [asyncio.create_task(follow(done)) for _ in range(3)]
    await asyncio.gather(*(write(n) for n in range(4)))
    done.set()
    for reader in readers:
        assert sorted(await reader) == sorted(written)


async def test_places_are_found_by_their_index_and_not_by_walking_over_all(conn: Connection) -> None:
    await execute(
        conn,
        """INSERT INTO jobs.notifications (title, body, category, severity, metadata, read, seq)
        SELECT 't', 'b', 'c', 'info', '{}', true, nextval('jobs.notification_seqs') FROM generate_series(1, 20000)""",
    )
    await execute(conn, "ANALYZE jobs.notifications")
    await tell(conn)
    owner = await recipient(conn, None)
    assert len(await after(conn, owner, 20_000)) == 1
    await execute(conn, "SELECT pg_stat_force_next_flush()")
    before = await fetch(conn, "SELECT seq_scan FROM pg_stat_user_tables WHERE relname = 'notifications'")
    assert len(await after(conn, owner, 20_000)) == 1
    await count_unread(conn, owner)
    await execute(conn, "SELECT pg_stat_force_next_flush()")
    assert await fetch(conn, "SELECT seq_scan FROM pg_stat_user_tables WHERE relname = 'notifications'") == before
