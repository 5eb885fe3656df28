"""Deliveries by a real worker, which is killed when the receiver has a message and nobody has recorded that."""

import asyncio
import json
import os
import signal
from pathlib import Path

from assistant.deliveries import list_deliveries, owe
from jobs_core import Connection, Database
from tests.support.up import Home

QUICK = {"JOBS_LEASE_S": "2", "JOBS_RENEW_S": "0.3", "JOBS_UPKEEP_S": "0.2", "JOBS_POLL_S": "0.5"}
KILLED_BY = "2"
"""The text of the message whose sender is killed, when it was shown for the first time."""


class Receiver:
    """A server that shows each number once."""

    def __init__(self) -> None:
        self.shown = dict[int, str]()
        self.killed = list[int]()
        self.copies = 0

    async def take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Take one message; the sender of the one that kills gets no answer."""
        said = json.loads(await reader.readuntil(b"\n"))
        self.copies += said["random_id"] in self.shown
        if said["random_id"] not in self.shown:
            self.shown[said["random_id"]] = said["text"]
            if said["text"] == KILLED_BY:
                self.killed.append(said["pid"])
                os.kill(said["pid"], signal.SIGKILL)
        writer.write(b'{"id": "m"}\n')
        writer.close()


async def all_sent(conn: Connection) -> bool:
    """Whether nothing is owed, and each has arrived."""
    return {one.state for one in await list_deliveries(conn)} == {"sent"}


async def test_a_worker_that_is_killed_between_sending_and_recording_shows_nothing_twice(
    tmp_path: Path, database_url: str, database: Database
) -> None:
    receiver = Receiver()
    server = await asyncio.start_server(receiver.take, "127.0.0.1", 0)
    port = str(server.sockets[0].getsockname()[1])
    async with server, database.connection() as conn:
        for n in range(1, 5):
            await owe(
                conn,
                owed_for=f"test:{n}",
                kind="answer",
                payload={"text": str(n)},
                user_id=None,
                channel="telegram",
                account="bot",
                chat="a",
            )
        home = Home(tmp_path, database_url=database_url)
        environment = {"JOBS_HANDLERS": "tests.support.post", "TEST_RECEIVER_PORT": port, **QUICK}
        with home.start("worker", "--processes", "1", **environment) as worker:
            async with asyncio.timeout(90):
                while not await all_sent(conn):
                    assert worker.process.poll() is None, worker.log.read_text()
                    await asyncio.sleep(0.05)
    assert list(receiver.shown.values()) == ["1", "2", "3", "4"]
    assert (len(receiver.killed), receiver.copies) == (1, 1)
