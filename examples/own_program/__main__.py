"""The program: takes orders over a socket, and runs their jobs beside that, in one event loop.

python -m own_program          an order a line, `EMAIL CENTS`, is answered with its number; SIGTERM or Ctrl-C ends it
python -m own_program alone    what the first starts for jobs whose run was lost with its process
"""

import asyncio
import os
import signal
import sys
from functools import partial

from jobs_core import Database, Jobs
from jobs_core.settings import HistorySettings
from own_program.orders import build_table, place_order, set_up
from workers.alone import AloneRunner
from workers.alone_process import AloneProcess
from workers.housekeeping import Housekeeping
from workers.settings import WorkerSettings
from workers.worker import Worker

ALONE = [sys.executable, "-m", "own_program", "alone"]


async def serve(dsn: str) -> None:
    """Take orders until a signal comes, then let what runs end."""
    stopping = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    await set_up(dsn)
    table, settings = build_table(), WorkerSettings.read(slots=5)
    async with Database(dsn, name="own_program") as database, Jobs(database, table) as jobs:
        worker = Worker(
            jobs,
            queues=table.queues(),
            settings=settings,
            resources=[
                Housekeeping(database, HistorySettings.read()),
                AloneProcess(jobs, ALONE, queues=table.queues(), drain_s=settings.drain_s),
            ],
        )
        server = await asyncio.start_server(partial(take_orders, jobs), "127.0.0.1", 0)
        working = asyncio.create_task(worker.run())
        working.add_done_callback(lambda _: stopping.set())
        print(f"taking orders on port {server.sockets[0].getsockname()[1]}", flush=True)
        try:
            await stopping.wait()
        finally:
            server.close()
            worker.drain()  # cancelled instead, it would leave its runs to be taken for lost
            await working
    print("stopped", flush=True)


async def take_orders(jobs: Jobs, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer one customer."""
    async for line in reader:
        email, cents = line.decode().split()
        order_id = await place_order(jobs, email, int(cents))
        writer.write(f"order {order_id}\n".encode())
        await writer.drain()
    writer.close()


async def run_alone(dsn: str) -> None:
    """Be one process for jobs that run alone."""
    table = build_table()
    async with Database(dsn, name="own_program alone") as database, Jobs(database, table) as jobs:
        await AloneRunner(jobs, queues=table.queues(), settings=WorkerSettings.read()).run_process()


if __name__ == "__main__":
    asyncio.run((run_alone if sys.argv[1:] == ["alone"] else serve)(os.environ["DATABASE_URL"]))
