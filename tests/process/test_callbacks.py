"""Callbacks by a real worker, which is killed when the receiver has an event and nobody has recorded that."""

import asyncio
import os
import signal
from pathlib import Path

from standardwebhooks import Webhook

from assistant.deliveries import list_deliveries
from assistant.notifications import notify
from gateways.webhooks import callbacks
from jobs_core import Database, fetch
from tests.support.http_receiver import SETTINGS, receiving
from tests.support.up import Home

QUICK = {"JOBS_LEASE_S": "2", "JOBS_RENEW_S": "0.3", "JOBS_UPKEEP_S": "0.2", "JOBS_POLL_S": "0.5"}
ALLOWED = {"JOBS_CALLBACK_NETWORKS": SETTINGS.callback_networks, "JOBS_CALLBACK_HTTP": SETTINGS.callback_http}


async def test_a_worker_that_is_killed_between_sending_and_recording_sends_the_same_id_again(
    tmp_path: Path, database_url: str, database: Database
) -> None:
    killed = list[int]()

    async def kill(writer: asyncio.StreamWriter) -> None:
        """Kill whoever sent this, instead of an answer."""
        async with database.connection() as conn:
            [worker] = await fetch(conn, "SELECT pid FROM jobs.workers WHERE 'out:webhook' = ANY(queues)")
        killed.append(worker["pid"])
        os.kill(worker["pid"], signal.SIGKILL)
        writer.close()

    async with receiving() as receiver, database.connection() as conn:
        given = {"url": receiver.url, "events": {"notification.created": {}}}
        secret = await callbacks.add(conn, "shop", given, settings=SETTINGS)
        receiver.answers.append(kill)
        for title in ("first", "second"):
            await notify(conn, user_id="ada", title=title, body="", category="test")
        home = Home(tmp_path, database_url=database_url)
        with home.start("worker", "--processes", "1", **QUICK, **ALLOWED) as worker:
            async with asyncio.timeout(90):
                while {one.state for one in await list_deliveries(conn)} != {"sent"}:
                    assert worker.process.poll() is None, worker.log.read_text()
                    await asyncio.sleep(0.05)
    ids = [taken.headers["webhook-id"] for taken in receiver.taken]
    titles = [Webhook(secret).verify(taken.body, taken.headers)["data"]["title"] for taken in receiver.taken]
    assert len(killed) == 1
    assert titles == ["first", "first", "second"]
    assert ids[0] == ids[1] != ids[2]
    assert receiver.taken[0].body == receiver.taken[1].body
