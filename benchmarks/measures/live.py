"""Live events: what 20 runs of one worker that stream at once cost Postgres, and how long a piece of text takes to a watcher.

    20 × 50 deltas/s ─▶ one Live ─▶ Postgres ─▶ the feeds of one door ─▶ 20 listeners: now − when it was told

Each delta is the time at which it was told, on CLOCK_MONOTONIC. Transactions are Postgres' own count for the database: once
with nobody watching, which is the writer's alone, and once with all 20 chats watched.
"""

import asyncio
import json
import random
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from uuid import uuid4

from benchmarks.server import Server, plain, value
from gateways.web.feed import Listener
from gateways.web.feeds import Feeds
from jobs_core import Database
from sessions import Audience, TurnEvent, create_session, take_session
from sessions.live import Live, LiveRun
from sessions.live_rows import Held

STREAMS, DELTAS_PER_S = 20, 50
IDLE_CHATS = 2_000
_COUNTED_S = 1.5
"""Backends report their transactions once a second."""
_ROWS = "SELECT n_tup_ins FROM pg_stat_user_tables WHERE relname = 'live_events'"


@dataclass(frozen=True, slots=True)
class Streamed:
    """transactions_per_s, rows_per_s: of the writer alone. lags_ms: of each delta, sorted."""

    transactions_per_s: float
    rows_per_s: float
    lags_ms: Sequence[float]


async def streamed(server: Server, seconds: float) -> Streamed:
    """Stream for so long with nobody watching, and as long with all being watched."""
    async with server.fresh() as dsn, AsyncExitStack() as stack:
        database = await stack.enter_async_context(Database(dsn, name="bench worker"))
        door = await stack.enter_async_context(Database(dsn, name="bench door"))
        live = Live(database)
        stack.push_async_callback(live.stop)
        runs = [await _opened(database, live, n) for n in range(STREAMS)]
        before = await _counted(server, dsn)
        await _tell(runs, seconds)
        transactions, rows = (now - then for now, then in zip(await _counted(server, dsn), before, strict=True))
        feeds = Feeds(door)
        stack.callback(feeds.close)
        lags = list[float]()
        watching = [asyncio.create_task(_watch(await feeds.listen(f"c{n}", None), lags)) for n in range(STREAMS)]
        await _tell(runs, seconds)
        await asyncio.sleep(_COUNTED_S)
        for task in watching:
            task.cancel()
        await asyncio.gather(*watching, return_exceptions=True)
    return Streamed(transactions / seconds, rows / seconds, sorted(lags))


async def first_words(server: Server, times: int) -> Sequence[float]:
    """How long the first word after a silence took to its watcher, in ms, sorted."""
    async with server.fresh() as dsn, AsyncExitStack() as stack:
        database = await stack.enter_async_context(Database(dsn, name="bench worker"))
        door = await stack.enter_async_context(Database(dsn, name="bench door"))
        live, feeds, lags = Live(database), Feeds(door), list[float]()
        stack.push_async_callback(live.stop)
        stack.callback(feeds.close)
        run = await _opened(database, live, 0)
        watching = asyncio.create_task(_watch(await feeds.listen("c0", None), lags))
        for _ in range(times + 1):  # the very first one begins the run, and comes as a reset
            await asyncio.sleep(random.uniform(0.5, 1.0))  # noqa: S311 - out of step with the looks
            _tell_one(run)
        await asyncio.sleep(_COUNTED_S)
        watching.cancel()
        await asyncio.wait({watching})
    return sorted(lags)


async def looked(server: Server, looks: int) -> Sequence[float]:
    """How long each look took, in ms, sorted, where 2,000 chats are watched in which nothing happens."""
    async with server.fresh() as dsn, Database(dsn, name="bench door") as door:
        feeds = Feeds(door)
        listening = [feeds.listen(f"c{n}", None) for n in range(IDLE_CHATS)]
        await asyncio.gather(*listening)
        spent = list[float]()
        for _ in range(looks):
            began = time.monotonic()
            await feeds.run_once()
            spent.append(1000 * (time.monotonic() - began))
        feeds.close()
    return sorted(spent)


async def _opened(database: Database, live: Live, n: int) -> LiveRun:
    session_id = uuid4()
    async with database.transaction() as conn:
        await create_session(conn, session_id)
        epoch = await take_session(conn, session_id)
    return live.open(Held(session_id, epoch), Audience(f"c{n}", n + 1), uuid4())


async def _tell(runs: Sequence[LiveRun], seconds: float) -> None:
    """Each run tells a delta 50 times a second, none of them at the same moment as another."""
    began = time.monotonic()
    apart_s = 1 / (DELTAS_PER_S * len(runs))
    for n in range(round(seconds / apart_s)):
        await asyncio.sleep(max(0.0, began + n * apart_s - time.monotonic()))
        _tell_one(runs[n % len(runs)])


def _tell_one(run: LiveRun) -> None:
    run.tell(TurnEvent("text", {"text": f"{time.monotonic()} ", "message": "m", "parent": None}))


async def _watch(listener: Listener, lags: list[float]) -> None:
    while (chunk := await listener.next(60.0)) is not None:
        now = time.monotonic()
        for event in chunk.decode().split("\n\n"):
            kind, _, data = event.partition("event: ")[2].partition("\ndata: ")
            if kind == "text":
                lags += [1000 * (now - float(told)) for told in json.loads(data)["text"].split()]


async def _counted(server: Server, dsn: str) -> tuple[int, int]:
    """The database's transactions, and the rows of live events, by now."""
    await asyncio.sleep(_COUNTED_S)
    transactions = await server.transactions(dsn)
    async with plain(dsn) as conn:
        return transactions, int(await value(conn, _ROWS))
