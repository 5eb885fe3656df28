"""The web API as its own process, for what is measured at its door: `door FD`, with the database in BENCH_DSN."""

import asyncio
import os
import socket
import sys

from benchmarks.contenders.us import known
from cli.rooms import ROOMS
from cli.run import stopped_by_signals
from gateways.web import Context, app, hosts_at, serve
from jobs_core import Database, Jobs
from jobs_core.log import set_up_logs
from jobs_core.settings import CoreSettings


async def _serve(dsn: str, listener: socket.socket) -> None:
    async with Database(dsn, name="bench door") as database, Jobs(database, known()) as jobs:
        hosts = hosts_at(listener.getsockname()[1])
        context = Context(jobs=jobs, token=os.urandom(16).hex(), hosts=hosts, version="", model="", rooms=ROOMS)
        await stopped_by_signals(serve(app(context), listener))


if __name__ == "__main__":
    set_up_logs(CoreSettings.read(log_level="warning"))
    with socket.socket(fileno=int(sys.argv[1])) as served:
        asyncio.run(_serve(os.environ["BENCH_DSN"], served))
