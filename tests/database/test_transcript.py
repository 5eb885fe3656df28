"""The transcript in Postgres: the SDK's own conformance suite, what JSON may hold, and the fence on the session's epoch."""

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Any, cast
from unittest.mock import Mock
from uuid import NAMESPACE_URL, UUID, uuid4, uuid5

import pytest
from claude_agent_sdk import SessionKey, SessionStoreEntry
from claude_agent_sdk.testing import run_session_store_conformance

from jobs_core import Connection, Database, LeaseLost, execute, fetch, fetch_one
from sessions import MirrorFailed, create_session, take_session
from sessions.records import fence_session
from sessions.store import TranscriptStore, append_transcript, load_transcript
from tests.support.mutants import mutated

if TYPE_CHECKING:
    from claude_agent_sdk.types import SessionStore

NO_EPOCH = ("AND epoch = %(epoch)s FOR SHARE", "AND %(epoch)s::bigint IS NOT NULL FOR SHARE")
NO_LOCK = ("AND epoch = %(epoch)s FOR SHARE", "AND epoch = %(epoch)s")


def entries(*given: dict[str, Any]) -> list[SessionStoreEntry]:
    return cast("list[SessionStoreEntry]", [{"type": "x", **entry} for entry in given])


def key(session_id: UUID) -> SessionKey:
    return {"project_key": "-any", "session_id": str(session_id)}


async def taken(conn: Connection) -> tuple[UUID, int]:
    session_id = uuid4()
    await create_session(conn, session_id)
    return session_id, await take_session(conn, session_id)


@pytest.fixture
async def session(conn: Connection) -> tuple[UUID, int]:
    """A session and the epoch it was just taken under."""
    return await taken(conn)


class StoreOfStores:
    """What the suite wants: a store for any project and session. Ours is bound to one session, so this keeps one for each."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._salt = uuid4()

    async def append(self, key: SessionKey, entries: list[SessionStoreEntry]) -> None:
        store, inner = await self._bound(key)
        await store.append(inner, entries)

    async def load(self, key: SessionKey) -> list[SessionStoreEntry] | None:
        store, inner = await self._bound(key)
        return await store.load(inner)

    async def _bound(self, key: SessionKey) -> tuple[TranscriptStore, SessionKey]:
        session_id = uuid5(NAMESPACE_URL, f"{self._salt}/{key['project_key']}/{key['session_id']}")
        async with self._database.transaction() as conn:
            await execute(
                conn, "INSERT INTO jobs.sessions (id) VALUES (%(id)s) ON CONFLICT DO NOTHING", {"id": session_id}
            )
            epoch = await take_session(conn, session_id)
        inner: SessionKey = {**key, "session_id": str(session_id)}
        return TranscriptStore(self._database, session_id, epoch, on_lost=lambda: None), inner


async def test_the_store_passes_the_conformance_suite_of_the_sdk(database: Database) -> None:
    await run_session_store_conformance(lambda: cast("SessionStore", StoreOfStores(database)))


async def test_entries_with_a_uuid_are_stored_once_and_those_without_each_time(
    database: Database, session: tuple[UUID, int]
) -> None:
    session_id, epoch = session
    store = TranscriptStore(database, session_id, epoch, on_lost=lambda: None)
    batch = entries({"uuid": "a", "n": 1}, {"n": 2}, {"uuid": "a", "n": 3}, {"uuid": "b", "n": 4})
    await store.append(key(session_id), batch)
    await store.append(key(session_id), batch)
    loaded = await store.load(key(session_id))
    assert loaded is not None
    assert [cast("dict[str, Any]", entry)["n"] for entry in loaded] == [1, 2, 4, 2]


async def test_entries_hold_what_jsonb_refuses(database: Database, session: tuple[UUID, int]) -> None:
    session_id, epoch = session
    store = TranscriptStore(database, session_id, epoch, on_lost=lambda: None)
    hostile = entries({"text": "NUL \x00, half a pair \ud800, 😀", "big": 10**400, "deep": [[[[{"x": None}]]]]})
    await store.append(key(session_id), hostile)
    assert await store.load(key(session_id)) == hostile


async def test_a_store_takes_nothing_for_another_session(database: Database, session: tuple[UUID, int]) -> None:
    store = TranscriptStore(database, *session, on_lost=lambda: None)
    with pytest.raises(MirrorFailed, match="this run holds"):
        await store.append(key(uuid4()), entries({"uuid": "a"}))


async def stale_append(database: Database, conn: Connection) -> list[dict[str, Any]]:
    """Append under an epoch after another run took the session; returns what is stored then."""
    session_id, stale = await taken(conn)
    current = await take_session(conn, session_id)
    async with database.transaction() as writer:
        await append_transcript(writer, session_id, current, entries({"uuid": "current"}))
    told: list[str] = []
    store = TranscriptStore(database, session_id, stale, on_lost=lambda: told.append("lost"))
    with suppress(LeaseLost):
        await store.append(key(session_id), entries({"uuid": "stale"}, {"n": 1}))
    assert told == (["lost"] if store.lost else [])
    return await load_transcript(conn, session_id)


async def test_a_run_that_was_taken_over_cannot_add_a_line(database: Database, conn: Connection) -> None:
    assert [entry.get("uuid") for entry in await stale_append(database, conn)] == ["current"]


async def test_without_the_epoch_a_run_that_was_taken_over_would_add_lines(
    database: Database, conn: Connection
) -> None:
    with mutated(NO_EPOCH):
        assert len(await stale_append(database, conn)) == 3


async def take_during_append(database: Database, conn: Connection) -> str:
    """Take a session while a holder's transaction has passed the fence but not ended; says what came first."""
    session_id, epoch = await taken(conn)
    order: list[str] = []

    async def take() -> None:
        async with database.connection() as other:
            await take_session(other, session_id)
        order.append("take")

    async with database.transaction() as writer:
        await fence_session(writer, session_id, epoch)
        taking = asyncio.create_task(take())
        while not taking.done() and not await waits_for_a_lock(conn):
            await asyncio.sleep(0.01)
        order.append("append")
    await taking
    return " ".join(order)


async def waits_for_a_lock(conn: Connection) -> bool:
    looked = "SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    return await fetch_one(conn, looked) is not None


async def test_a_take_waits_for_an_append_that_has_begun(database: Database, conn: Connection) -> None:
    assert await take_during_append(database, conn) == "append take"


async def test_without_the_lock_a_take_would_overtake_an_append(database: Database, conn: Connection) -> None:
    with mutated(NO_LOCK):
        assert await take_during_append(database, conn) == "take append"


async def test_an_append_that_cannot_reach_postgres_raises(database_url: str, conn: Connection) -> None:
    session_id, epoch = await taken(conn)
    async with Database(database_url, name="cut") as pool:
        store = TranscriptStore(pool, session_id, epoch, on_lost=lambda: None)
        await store.append(key(session_id), entries({"uuid": "a"}))
    with pytest.raises(Exception, match="closed"):
        await store.append(key(session_id), entries({"uuid": "b"}))
    stored = await fetch(conn, "SELECT entry_uuid FROM jobs.transcript_entries")
    assert [row["entry_uuid"] for row in stored] == ["a"]


async def test_nothing_is_stored_behind_entries_that_were_given_up(
    database: Database, session: tuple[UUID, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The SDK tries the same list again; whatever else comes means that it has dropped that one."""
    session_id, epoch = session
    store = TranscriptStore(database, session_id, epoch, on_lost=lambda: None)
    given_up, later = entries({"uuid": "a"}), entries({"uuid": "b"})
    with monkeypatch.context() as patch, pytest.raises(OSError, match="away"):
        patch.setattr(database, "transaction", Mock(side_effect=OSError("Postgres is away")))
        await store.append(key(session_id), given_up)
    with pytest.raises(MirrorFailed, match="Earlier entries"):
        await store.append(key(session_id), later)
    assert await store.load(key(session_id)) is None
    await store.append(key(session_id), given_up)
    await store.append(key(session_id), later)
    assert await store.load(key(session_id)) == given_up + later
