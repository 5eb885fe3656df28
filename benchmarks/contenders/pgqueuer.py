"""PgQueuer, as its docs advise for throughput: asyncpg, uvloop, jobs dequeued and settled in batches."""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta

import asyncpg
import uvloop  # type: ignore[import-not-found]  # installed in an environment of its own, where this runs
from pgqueuer import PgQueuer  # type: ignore[import-not-found]  # likewise
from pgqueuer.models import Job  # type: ignore[import-not-found]  # likewise
from pgqueuer.queries import Queries  # type: ignore[import-not-found]  # likewise

from benchmarks.contenders.script import Meter, Payload, run

_BATCH = 500
_ENTRYPOINT = "bench"


class PgQueuerProducer:
    """Enqueues jobs over one connection."""

    def __init__(self, queries: Queries) -> None:
        self._queries = queries

    async def create_one(self, payload: Payload) -> None:
        """`enqueue` of one."""
        await self._queries.enqueue(_ENTRYPOINT, json.dumps(payload).encode())

    async def create_bulk(self, payloads: Sequence[Payload], kind: str) -> None:
        """`enqueue` of lists."""
        many = len(payloads)
        due = [timedelta(days=1)] * many if kind == "deferred" else None
        inputs = [json.dumps(payload).encode() for payload in payloads]
        await self._queries.enqueue([_ENTRYPOINT] * many, inputs, [0] * many, due)


class PgQueuerScript:
    """The script."""

    async def install(self, dsn: str) -> None:
        """Its schema."""
        async with _queries(dsn) as queries:
            await queries.install()

    @asynccontextmanager
    async def producer(self, dsn: str) -> AsyncIterator[PgQueuerProducer]:
        """Over one asyncpg connection."""
        async with _queries(dsn) as queries:
            yield PgQueuerProducer(queries)

    async def drain(self, dsn: str, meter: Meter) -> None:
        """A queue manager that dequeues `_BATCH` at once, until the process ends."""
        conn = await asyncpg.connect(dsn)
        queuer = PgQueuer.from_asyncpg_connection(conn)

        @queuer.entrypoint(_ENTRYPOINT)  # type: ignore[untyped-decorator]  # the library is not installed where types are checked
        async def bench(job: Job) -> None:
            meter.handled(json.loads(job.payload)["sent"])

        await queuer.run(batch_size=_BATCH)


@asynccontextmanager
async def _queries(dsn: str) -> AsyncIterator[Queries]:
    conn = await asyncpg.connect(dsn)
    try:
        yield Queries.from_asyncpg_connection(conn)
    finally:
        await conn.close()


if __name__ == "__main__":
    asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())
    run(PgQueuerScript())
