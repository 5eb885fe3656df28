"""The web API's process of the webhooks drill: the door as in life, on a socket that outlives it, or with a guard left out."""

import argparse
import asyncio
import logging
import os
import signal
import socket
from collections.abc import Callable, Sequence
from typing import Any
from unittest.mock import patch

from pydantic import BaseModel

from cli.rooms import ROOMS
from gateways.web import Context, app, hosts_at, serve
from gateways.webhooks import intake, taking
from gateways.webhooks.intake import Intake
from gateways.webhooks.taking import Arrived, Taken
from jobs_core import Connection, Database, HandlerTable, Jobs, JobType, NewJob
from jobs_core.log import set_up_logs
from jobs_core.settings import CoreSettings
from workers.process_tree import die_with_parent


class Numbered(BaseModel):
    """n: which event it is. forged: it is another one under that one's id."""

    n: int
    forged: bool = False


EVENT = JobType("drill_event", Numbered)


def known() -> HandlerTable:
    """The table of the drill."""
    table = HandlerTable()
    table.declare(EVENT)
    return table


async def _serve(dsn: str, listener: socket.socket) -> None:
    async with Database(dsn, name="drill door") as database, Jobs(database, known()) as jobs:
        context = Context(
            jobs=jobs,
            token="of no use in this drill",
            hosts=hosts_at(listener.getsockname()[1]),
            version="0",
            model="none",
            rooms=ROOMS,
        )
        await serve(app(context), listener)


def _answer_first() -> None:
    """What came is acknowledged, and then taken in."""
    submit = Intake.submit

    async def later(self: Intake, arrived: Arrived, cap: int | None) -> None:
        await asyncio.sleep(0.05)
        await submit(self, arrived, cap)

    async def submit_later(self: Intake, arrived: Arrived, cap: int | None) -> Taken:
        task = asyncio.create_task(later(self, arrived, cap))
        _left.add(task)
        task.add_done_callback(_left.discard)
        return Taken(0, "created", None)

    patch.object(Intake, "submit", submit_later).start()


def _no_dedupe() -> None:
    """Each request is an event of its own."""
    take = taking.take

    async def take_all(jobs: Jobs, conn: Connection, arrived: Sequence[Arrived], **how: Any) -> list[Taken]:
        for one in arrived:
            one.key = f"{one.key} {os.urandom(8).hex()}"
        return await take(jobs, conn, arrived, **how)

    patch.object(intake, "take", take_all).start()


def _apart() -> None:
    """The jobs are committed first, and then that their events are known."""
    insert = taking._insert

    async def create_apart(self: Jobs, jobs: Sequence[NewJob], *, conn: Connection) -> Any:
        return await create_many(self, jobs)

    async def insert_later(*given: Any) -> Any:
        await asyncio.sleep(0.05)
        return await insert(*given)

    create_many = Jobs.create_many
    patch.object(Jobs, "create_many", create_apart).start()
    patch.object(taking, "_insert", insert_later).start()


_left = set[asyncio.Task[Any]]()

MUTANTS: dict[str, tuple[Callable[[], None], str]] = {
    "answer_first": (_answer_first, "lost"),
    "no_dedupe": (_no_dedupe, "twins"),
    "apart": (_apart, "apart"),
}
"""What may be left out of the door's code, and what of the report must break then."""


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--dsn", required=True)
    parser.add_argument("--fd", type=int, required=True)
    parser.add_argument("--mutant", choices=MUTANTS)
    options = parser.parse_args()
    die_with_parent(signal.SIGKILL)
    logging.getLogger("psycopg").setLevel(logging.CRITICAL)  # the faults are the drill's own
    set_up_logs(CoreSettings.read(log_level="error"))
    if options.mutant:
        MUTANTS[options.mutant][0]()
    with socket.socket(fileno=options.fd) as served:
        asyncio.run(_serve(options.dsn, served))
