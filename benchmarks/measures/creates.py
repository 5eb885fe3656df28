"""Creates, each against a bare INSERT of the same payload over the same connections, in turns, so that noise hits both.

The bare table is raw's: a primary key and one ready index. Autocommit; every create is durable when the call returns.
"""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack

from benchmarks.contender import Contender
from benchmarks.contenders import raw
from benchmarks.contenders.script import TEXT
from benchmarks.contenders.us import BRIEF, known
from benchmarks.plan import Plan
from benchmarks.server import Server
from jobs_core import Connection, Database, Jobs, execute

PAYLOAD = {"text": TEXT, "sent": 0.0}
_TURNS = 10

Create = Callable[[Connection], Awaitable[None]]


async def one_by_one(server: Server, plan: Plan, *, producers: int) -> tuple[float, float]:
    """Creates/s by so many producers at once, each with its connection: ours (awakened workers included), bare INSERTs."""
    each = max(1, plan.one_by_one // _TURNS // producers)
    spent = [0.0, 0.0]
    async with server.fresh() as dsn, AsyncExitStack() as stack:
        database = await stack.enter_async_context(Database(dsn, name="bench", max_connections=producers + 1))
        jobs = await stack.enter_async_context(Jobs(database, known()))
        connections = [await stack.enter_async_context(database.connection()) for _ in range(producers)]
        await execute(connections[0], raw.TABLES)

        async def ours(conn: Connection) -> None:
            (await jobs.create(BRIEF, PAYLOAD, conn=conn)).wake()

        async def bare(conn: Connection) -> None:
            await conn.execute(raw.INSERT, [json.dumps(PAYLOAD)])

        for create in (ours, bare):
            await _each(create, connections, 5)  # psycopg prepares a statement at its fifth execution
        for _ in range(_TURNS):
            for number, create in enumerate((ours, bare)):
                began = time.monotonic()
                await _each(create, connections, each)
                spent[number] += time.monotonic() - began
    made = each * producers * _TURNS
    return made / spent[0], made / spent[1]


async def in_bulk(server: Server, contender: Contender, plan: Plan) -> float:
    """Creates/s of one producer that hands over `BATCH` jobs a call. Raises BenchFailed."""
    async with server.fresh(migrated=contender.migrated) as dsn:
        await contender.install(dsn)
        async with contender.producing(dsn) as producer:
            return plan.jobs / await producer.create_bulk(plan.jobs)


async def one_by_one_alone(server: Server, contender: Contender, plan: Plan) -> float:
    """Creates/s of one producer process with one connection, by its documented call. Raises BenchFailed."""
    async with server.fresh(migrated=contender.migrated) as dsn:
        await contender.install(dsn)
        async with contender.producing(dsn) as producer:
            await producer.do("create_one_by_one", 10)
            return plan.one_by_one / await producer.do("create_one_by_one", plan.one_by_one)


async def _each(create: Create, connections: Sequence[Connection], times: int) -> None:
    async def repeat(conn: Connection) -> None:
        for _ in range(times):
            await create(conn)

    await asyncio.gather(*(repeat(conn) for conn in connections))
