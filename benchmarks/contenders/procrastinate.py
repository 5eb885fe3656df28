"""procrastinate, as its guide runs it: an async task, a worker with concurrency, finished jobs deleted."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import procrastinate  # type: ignore[import-not-found]  # installed in an environment of its own, where this runs

from benchmarks.contenders.script import Meter, Payload, run

_CONCURRENCY = 20
_DAY = {"days": 1}


class ProcrastinateProducer:
    """Defers jobs over one connection."""

    def __init__(self, task: procrastinate.tasks.Task) -> None:
        self._task = task

    async def create_one(self, payload: Payload) -> None:
        """`defer_async`."""
        await self._task.defer_async(**payload)

    async def create_bulk(self, payloads: Sequence[Payload], kind: str) -> None:
        """`batch_defer_async`."""
        task = self._task.configure(schedule_in=_DAY) if kind == "deferred" else self._task
        await task.batch_defer_async(*payloads)


class Procrastinate:
    """The script."""

    async def install(self, dsn: str) -> None:
        """Its schema."""
        app = _app(dsn, connections=1)
        async with app.open_async():
            await app.schema_manager.apply_schema_async()

    @asynccontextmanager
    async def producer(self, dsn: str) -> AsyncIterator[ProcrastinateProducer]:
        """Over a pool of one connection."""
        app = _app(dsn, connections=1)
        async with app.open_async():
            yield ProcrastinateProducer(_task(app, None))

    async def drain(self, dsn: str, meter: Meter) -> None:
        """A worker with LISTEN, until SIGTERM."""
        app = _app(dsn, connections=_CONCURRENCY)
        _task(app, meter)
        async with app.open_async():
            await app.run_worker_async(concurrency=_CONCURRENCY, delete_jobs="always")


def _app(dsn: str, *, connections: int) -> procrastinate.App:
    return procrastinate.App(connector=procrastinate.PsycopgConnector(conninfo=dsn, min_size=1, max_size=connections))


def _task(app: procrastinate.App, meter: Meter | None) -> procrastinate.tasks.Task:
    async def bench(text: str, sent: float) -> None:  # noqa: ARG001 - the payload's names
        assert meter is not None
        meter.handled(sent)

    return app.task(name="bench")(bench)


if __name__ == "__main__":
    run(Procrastinate())
