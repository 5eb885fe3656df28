"""Who idles is told of what a verb made ready besides its answer: when the caller's transaction commits, and not before."""

from collections.abc import AsyncIterator

import pytest

from assistant import approvals
from assistant.content import File
from assistant.deliveries import DELIVER
from assistant.files import send_file
from assistant.incoming import NewChat, begin_chat
from assistant.notifications import notify
from assistant.people import owner
from assistant.waiting import TELL
from jobs_core import Connection, Database, HandlerTable, Jobs, execute
from jobs_core.wake import Ready, wake_after_commit
from tests.support.approvals import ANN, bench_on
from tests.support.cards import owner_with_a_phone, send
from tests.support.database import Undone
from tests.support.telegram_people import owner_at

SENDS = {Ready("out:bot", DELIVER.name)}


@pytest.fixture
async def heard(database: Database) -> AsyncIterator[set[Ready]]:
    """What this process' workers hear."""
    told = set[Ready]()
    async with Jobs(database, HandlerTable()) as jobs:
        jobs.notifier.on_wake = lambda one: told.add(one) if one else None
        yield told


async def tell(conn: Connection) -> None:
    await notify(conn, user_id=None, title="t", body="b", category="c")


async def test_a_notification_s_way_is_told_when_it_is_committed(
    database: Database, conn: Connection, heard: set[Ready]
) -> None:
    await owner_at(database, conn, 5)
    heard.clear()
    with pytest.raises(Undone):
        async with database.transaction() as own:
            await tell(own)
            raise Undone
    async with database.transaction() as own:
        await own.execute("SELECT")
    assert heard == set()
    async with database.transaction() as own:
        async with own.transaction():
            await tell(own)
        assert heard == set()
    assert heard == SENDS


async def test_what_waits_is_told_of_when_its_way_has_come(database: Database, heard: set[Ready]) -> None:
    async with database.transaction() as own:
        user = await owner(own)
        await tell(own)
    assert heard == set()
    async with database.transaction() as own:
        await begin_chat(own, NewChat("telegram", user.id, account="bot"), session_id="telegram_5")
    assert heard == {Ready("default", TELL.name)}


async def test_a_file_that_an_agent_sends_is_told_with_the_commit(
    database: Database, conn: Connection, heard: set[Ready]
) -> None:
    await owner_at(database, conn, 5)
    heard.clear()
    async with database.transaction() as own:
        await send_file(own, "telegram_5", File("text/plain", b"hi", "hi.txt"), "")
    assert heard == SENDS


async def test_what_came_of_an_approved_call_is_told_with_the_commit(
    database: Database, conn: Connection, heard: set[Ready]
) -> None:
    """While its turn goes on, for minutes perhaps."""
    async with bench_on(database, conn) as bench:
        await owner_with_a_phone(database)
        action = await bench.asked()
        await send(conn)
        await approvals.approve(conn, action.id, ANN, digest=action.digest)
        await send(conn)
        await execute(conn, "DELETE FROM jobs.jobs WHERE job_type = 'deliver'")
        await execute(conn, "DELETE FROM jobs.lanes WHERE lane LIKE 'out:%'")
        heard.clear()
        await bench.run()
    assert heard >= SENDS


async def test_outside_of_a_transaction_it_is_told_at_once_and_without_a_notifier_nobody_is(
    database: Database, conn: Connection, heard: set[Ready]
) -> None:
    wake_after_commit(conn, SENDS)
    assert heard == SENDS
    heard.clear()
    async with await database.connect("alone") as alone:
        wake_after_commit(alone, SENDS)
        async with alone.transaction():
            wake_after_commit(alone, SENDS)
    assert heard == set()
