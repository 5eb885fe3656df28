"""The smallest durable SQL that could be called a queue, by plain psycopg: what everybody is measured against.

A table with a primary key and one ready index. Claim 500 (SKIP LOCKED), do nothing, delete 500. No type, no fence, no retry,
no rescue: what a worker took when it died is lost for ever.
"""

import json
import select
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import psycopg
from psycopg import AsyncConnection

from benchmarks.contenders.script import Meter, Payload, run

TABLES = """
CREATE TABLE raw_jobs (
    id       bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    state    text NOT NULL,
    payload  jsonb NOT NULL
);
CREATE INDEX raw_ready ON raw_jobs (id) WHERE state = 'ready'
"""
INSERT = "INSERT INTO raw_jobs (state, payload) VALUES ('ready', %s) RETURNING id"
INSERT_MANY = "INSERT INTO raw_jobs (state, payload) SELECT %s, unnest(%s::jsonb[])"
CLAIM = """
WITH due AS MATERIALIZED (
    SELECT id FROM raw_jobs WHERE state = 'ready' ORDER BY id LIMIT 500 FOR UPDATE SKIP LOCKED
)
UPDATE raw_jobs SET state = 'claimed' FROM due WHERE raw_jobs.id = due.id RETURNING raw_jobs.id, raw_jobs.payload
"""
SETTLE = "DELETE FROM raw_jobs WHERE id = ANY(%s)"
_POLL_S = 1.0


class RawProducer:
    """Creates rows over one connection, and says so to whoever listens."""

    def __init__(self, conn: AsyncConnection) -> None:
        self._conn = conn

    async def create_one(self, payload: Payload) -> None:
        """One row; a NOTIFY only where somebody waits for the job."""
        await self._conn.execute(INSERT, [json.dumps(payload)])
        if payload["sent"]:
            await self._conn.execute("NOTIFY raw_jobs")

    async def create_bulk(self, payloads: Sequence[Payload], kind: str) -> None:
        """One statement."""
        await self._conn.execute(INSERT_MANY, [kind, [json.dumps(payload) for payload in payloads]])
        await self._conn.execute("NOTIFY raw_jobs")


class Raw:
    """The script."""

    async def install(self, dsn: str) -> None:
        """One table."""
        async with await AsyncConnection.connect(dsn, autocommit=True) as conn:
            await conn.execute(TABLES)

    @asynccontextmanager
    async def producer(self, dsn: str) -> AsyncIterator[RawProducer]:
        """Over a connection of plain psycopg."""
        async with await AsyncConnection.connect(dsn, autocommit=True) as conn:
            yield RawProducer(conn)

    async def drain(self, dsn: str, meter: Meter) -> None:
        """Claim and delete, without an event loop in the way; sleep until a NOTIFY where nothing is ready."""
        with psycopg.connect(dsn, autocommit=True) as conn:
            wakes: list[object] = []
            conn.add_notify_handler(wakes.append)
            conn.execute("LISTEN raw_jobs")
            while True:
                wakes.clear()
                rows = conn.execute(CLAIM).fetchall()
                for _, payload in rows:
                    meter.handled(payload["sent"])
                if rows:
                    conn.execute(SETTLE, [[row[0] for row in rows]])
                elif not wakes:
                    select.select([conn.fileno()], [], [], _POLL_S)
                meter.tell()


if __name__ == "__main__":
    run(Raw())
