"""By what way a notification reaches its person, and when: rows, and `tell` jobs run by hand."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest

from assistant import people
from assistant.chats import CHAT_TURN
from assistant.deliveries import DELIVER, list_deliveries, owe
from assistant.incoming import NewChat, begin_chat
from assistant.notifications import list_notifications, mark_read, notify
from assistant.person_links import link, unlink, write_to
from assistant.preferences import fit_preferences
from assistant.recipients import recipient
from assistant.routing import send_what_is_due, set_preferences
from assistant.sending import end, end_left
from assistant.waiting import TELL
from handlers import tell
from jobs_core import Connection, Database, HandlerTable, Jobs, execute, fetch
from tests.support.database import Undone, until_blocked
from tests.support.mutants import mutated
from tests.support.telegram_people import come, owner_at, person_at
from workers.testing import drain, pass_time

WAITING = "SELECT notification_id AS id, user_id, due_at FROM jobs.waiting_notifications ORDER BY notification_id"
TELL_JOBS = "SELECT scheduled_for FROM jobs.jobs WHERE job_type = 'tell' ORDER BY scheduled_for"
NOT_TAKEN_AWAY = (
    "DELETE FROM {schema}.waiting_notifications WHERE notification_id = ANY(%(ids)s)",
    "SELECT %(ids)s::bigint[]",
)
NO_WAY_IS_WAITED_FOR = (
    "pg_advisory_xact_lock_shared(hashtextextended('{schema}.way:' || %(person)s, 0))",
    "%(person)s::text",
)
NOT_LOCKED = ("ORDER BY w.notification_id\nFOR UPDATE OF w", "ORDER BY w.notification_id")


@pytest.fixture
async def jobs(database: Database) -> AsyncIterator[Jobs]:
    """A process that tells."""
    table = HandlerTable()
    tell.register(table)
    table.declare_all([CHAT_TURN, DELIVER])
    async with Jobs(database, table) as creator:
        yield creator


def quiet_now(**more: Any) -> dict[str, Any]:
    """Quiet hours from an hour ago to an hour from now."""
    now = datetime.now(UTC)
    clock = [f"{now + timedelta(hours=hours):%H:%M}" for hours in (-1, 1)]
    return {"quiet": {"from": clock[0], "to": clock[1], **more}}


def later(hours: float) -> tuple[str, str]:
    """A mutant: it is so much later."""
    return ("clock_timestamp() AS now", f"clock_timestamp() + make_interval(secs => {hours * 3600}) AS now")


async def say(database: Database, user: people.User, **values: Any) -> None:
    async with database.transaction() as own:
        await set_preferences(own, user.id, fit_preferences(values))


async def told(conn: Connection, user_id: str | None = None, title: str = "t", **given: Any) -> int:
    async with conn.transaction():
        return await notify(conn, **{"user_id": user_id, "title": title, "body": "b", "category": "c", **given})


async def sent(conn: Connection) -> list[tuple[str | None, str | None, list[int]]]:
    """The account, the person and the notifications of each delivery of some, the oldest first."""
    return [
        (one.account, one.user_id, one.payload["notification_ids"])
        for one in reversed(await list_deliveries(conn))
        if one.kind == "notification"
    ]


async def waiting(conn: Connection) -> list[int]:
    return [row["id"] for row in await fetch(conn, WAITING)]


async def test_who_has_a_private_chat_is_told_there_at_once(database: Database, conn: Connection) -> None:
    owner = await owner_at(database, conn, 5)
    with pytest.raises(Undone):
        async with conn.transaction():
            await notify(conn, user_id=None, title="t", body="b", category="c")
            raise Undone
    notification_id = await told(conn, title="Done", severity="warning")
    (owed,) = await list_deliveries(conn)
    assert (owed.channel, owed.account, owed.chat, owed.user_id) == ("telegram", "bot", None, owner.id)
    assert (owed.lane, owed.job_id is not None) == (f"out:bot:user:{owner.id}", True)
    assert owed.payload == {"text": "warning: Done\n\nb", "notification_ids": [notification_id]}
    assert await waiting(conn) == []


async def test_a_person_is_told_by_the_account_by_which_they_came_last(database: Database, conn: Connection) -> None:
    ada = await person_at(database, conn, 7)
    await execute(
        conn,
        """INSERT INTO jobs.chat_sessions (session_id, channel, user_id, agent_name, account, claude_session_id)
        VALUES ('telegram_-100_7', 'telegram', %(user_id)s, 'assistant', 'group', %(claude)s)""",
        {"user_id": ada.id, "claude": uuid4()},
    )
    await told(conn, ada.id)
    await come(conn, ada, 7, "work", named=True)
    await told(conn, ada.id)
    await say(database, ada, telegram={"accounts": {"work": False}})
    await told(conn, ada.id)
    assert [account for account, _, _ in await sent(conn)] == ["bot", "work", "bot"]


async def test_what_a_person_does_not_want_stays_on_the_web(database: Database, conn: Connection) -> None:
    ada = await person_at(database, conn, 7)
    await say(database, ada, telegram={"least": "warning"}, categories={"task.*": "muted", "mine": "info"})
    kept = [await told(conn, ada.id, category="task.due", severity="error"), await told(conn, ada.id)]
    wanted = await told(conn, ada.id, category="mine")
    await say(database, ada, telegram={"on": False})
    kept.append(await told(conn, ada.id, severity="error"))
    assert await sent(conn) == [("bot", ada.id, [wanted])]
    assert await waiting(conn) == []
    assert len(await fetch(conn, "SELECT FROM jobs.notifications")) == 1 + len(kept)


async def test_what_comes_in_quiet_hours_goes_out_once_and_together_when_they_end(
    jobs: Jobs, database: Database, conn: Connection
) -> None:
    ada = await person_at(database, conn, 7)
    await say(database, ada, **quiet_now())
    ids = [await told(conn, ada.id, title=f"n{n}") for n in range(3)]
    error = await told(conn, ada.id, severity="error")
    assert await sent(conn) == [("bot", ada.id, [error])]
    assert len(await fetch(conn, TELL_JOBS)) == 1
    assert await drain(jobs, "default") == []
    await mark_read(conn, ids[1])
    await pass_time(jobs, timedelta(hours=2))
    assert len(await drain(jobs, "default")) == 1  # the queue's time has come, the person's has not
    assert await waiting(conn) == [ids[0], ids[2]]  # what was read in the meantime is told no more
    with mutated(later(2)):
        await pass_time(jobs, timedelta(hours=2))
        await drain(jobs, "default")
    assert await waiting(conn) == []
    digest = (await list_deliveries(conn))[0]
    assert digest.payload["notification_ids"] == [ids[0], ids[2]]
    assert digest.payload["text"].splitlines()[0] == "2 notifications:"
    assert (digest.owed_for, digest.channel, digest.job_id is not None) == (f"digest:{ids[0]}", "telegram", True)


async def test_one_that_waited_alone_looks_as_if_it_had_not(jobs: Jobs, database: Database, conn: Connection) -> None:
    ada = await person_at(database, conn, 7)
    await say(database, ada, digest={"every": "hour"})
    notification_id = await told(conn, ada.id, title="Done")
    with mutated(later(1)):
        await pass_time(jobs, timedelta(hours=1))
        await drain(jobs, "default")
    (owed,) = await list_deliveries(conn)
    assert (owed.owed_for, owed.payload["text"]) == (f"notification:{notification_id}", "Done\n\nb")


async def test_a_changed_preference_counts_for_what_still_waits(
    jobs: Jobs, database: Database, conn: Connection
) -> None:
    ada = await person_at(database, conn, 7)
    await say(database, ada, **quiet_now(), categories={"noise": "info"})
    noise, kept = await told(conn, ada.id, category="noise"), await told(conn, ada.id)
    await say(database, ada, categories={"noise": "muted"})
    await drain(jobs, "default")
    assert (await sent(conn), await waiting(conn)) == ([("bot", ada.id, [kept])], [])
    await say(database, ada, digest={"every": "hour"})
    assert noise < await told(conn, ada.id)
    await say(database, ada, telegram={"on": False})
    await drain(jobs, "default")
    assert (len(await sent(conn)), await waiting(conn)) == (1, [])


async def test_whoever_changes_preferences_waits_for_those_who_tell_by_the_old_ones(
    jobs: Jobs, database: Database, conn: Connection, other: Connection
) -> None:
    ada = await person_at(database, conn, 7)
    await say(database, ada, **quiet_now())
    async with conn.transaction():
        notification_id = await notify(conn, user_id=ada.id, title="t", body="b", category="c")
        change = asyncio.create_task(say(database, ada))
        await until_blocked(other, "-- Takes user_id, preferences.")
    await change
    await drain(jobs, "default")
    assert (await sent(conn), await waiting(conn)) == ([("bot", ada.id, [notification_id])], [])


@pytest.mark.parametrize("mutant", [None, NOT_TAKEN_AWAY, NOT_LOCKED])
async def test_each_notification_goes_out_in_one_message_however_many_look(
    database: Database, conn: Connection, other: Connection, mutant: tuple[str, str] | None
) -> None:
    """Two look at once; without the lock both send, and without the delete the next one does again."""
    ada = await person_at(database, conn, 7)
    await say(database, ada, **quiet_now())
    ids = [await told(conn, ada.id) for _ in range(4)]
    await say(database, ada)

    async def look() -> None:
        async with database.transaction() as own:
            await send_what_is_due(own, ada.id)

    with mutated(*([mutant] if mutant else [])):
        async with conn.transaction():
            await send_what_is_due(conn, ada.id)
            await mark_read(other, ids[0])  # so that the second would send others than the first
            second = asyncio.create_task(look())
            await until_blocked(
                other, "-- Takes ids. These" if mutant is NOT_LOCKED else "-- Takes user_id, is_owner. Returns all"
            )
            extra = [await notify(conn, user_id=ada.id, title="t", body="b", category="c")]
        await second
        await execute(conn, "UPDATE jobs.deliveries SET owed_for = id")  # which would be another guard
        await look()
    named = [n for _, _, some in await sent(conn) for n in some]
    assert (sorted(named) == ids + extra) is (mutant is None), named


async def test_who_has_no_telegram_is_owed_nothing_and_gets_a_digest_when_they_come(
    jobs: Jobs, database: Database, conn: Connection
) -> None:
    async with database.transaction() as own:
        ada = await people.contact(own, "telegram", "7", name="Ada", tg_user_id=7)
    old, *new = [await told(conn, ada.id) for _ in range(3)]
    assert (await list_deliveries(conn), await waiting(conn)) == ([], [old, *new])
    assert await fetch(conn, TELL_JOBS) == []
    for table, column in (("notifications", "id"), ("waiting_notifications", "notification_id")):
        await execute(
            conn, f"UPDATE jobs.{table} SET created_at = now() - interval '25 h' WHERE {column} = %(id)s", {"id": old}
        )
    async with database.transaction() as own:
        chat = await begin_chat(own, NewChat("telegram", ada.id, account="bot"), None)
        await execute(
            own, "UPDATE jobs.chat_sessions SET session_id = 'telegram_7' WHERE session_id = %(chat)s", {"chat": chat}
        )
    await drain(jobs, "default")
    assert (await sent(conn), await waiting(conn)) == ([("bot", ada.id, new)], [])


async def test_an_owner_who_has_paired_and_said_nothing_is_told_by_the_account_of_the_pairing(
    jobs: Jobs, database: Database, conn: Connection
) -> None:
    before = await told(conn)
    async with database.transaction() as own:
        owner = await people.owner(own)
        await people.contact(own, "telegram", "5", tg_user_id=5, owner_tg_user_id=5, account="bot")
        ada = await people.contact(own, "telegram", "7", tg_user_id=7, account="bot")  # in a group, perhaps
    await drain(jobs, "default")
    after = await told(conn)
    await told(conn, ada.id)
    assert await sent(conn) == [("bot", owner.id, [before]), ("bot", owner.id, [after])]


async def test_what_waits_for_a_way_is_forgotten_after_a_day(database: Database, conn: Connection) -> None:
    await told(conn, "ada")
    await told(conn, "bob")
    await execute(conn, "UPDATE jobs.waiting_notifications SET created_at = now() - interval '25 hours'")
    fresh = await told(conn, "ada")
    assert await fetch(conn, "SELECT notification_id AS id FROM jobs.waiting_notifications WHERE user_id = 'ada'") == [
        {"id": fresh}
    ]


async def test_what_was_told_while_its_way_came_goes_out_with_the_next(
    jobs: Jobs, database: Database, conn: Connection
) -> None:
    async with database.transaction() as own:
        ada = await people.contact(own, "telegram", "7", name="Ada", tg_user_id=7)
    before = await told(conn, ada.id)
    await come(conn, ada, 7, "bot")  # and whoever began the chat could not see that one
    after = await told(conn, ada.id)
    await drain(jobs, "default")
    assert await sent(conn) == [("bot", ada.id, [after]), ("bot", ada.id, [before])]


async def test_what_its_job_has_failed_to_send_goes_out_with_the_next(
    jobs: Jobs, database: Database, conn: Connection
) -> None:
    ada = await person_at(database, conn, 7)
    await say(database, ada, digest={"every": "hour", "below": "warning"})
    left = await told(conn, ada.id)
    await execute(conn, "DELETE FROM jobs.jobs WHERE job_type = 'tell'")
    await execute(conn, "UPDATE jobs.waiting_notifications SET due_at = now() - interval '11 minutes'")
    with mutated(later(1)):
        await told(conn, ada.id, severity="warning")
        await drain(jobs, "default")
    assert [left] in [ids for _, _, ids in await sent(conn)]


async def test_what_an_older_version_owed_to_nowhere_goes_out_if_it_is_young(
    jobs: Jobs, database: Database, conn: Connection
) -> None:
    old, young = await told(conn), await told(conn)
    await execute(conn, "DELETE FROM jobs.waiting_notifications")
    await execute(
        conn, "UPDATE jobs.notifications SET created_at = now() - interval '2 days' WHERE id = %(id)s", {"id": old}
    )
    for one in (old, young):
        await owe(conn, owed_for=f"notification:{one}", kind="notification", payload={}, user_id=None)
    answer = await owe(conn, owed_for="turn:1", kind="answer", payload={}, user_id=None)
    await end_left(conn)
    assert [one.id for one in await list_deliveries(conn)] == [answer and answer.id]
    assert await waiting(conn) == [young]
    owner = await owner_at(database, conn, 5)
    await drain(jobs, "default")
    assert (await sent(conn), await waiting(conn)) == ([("bot", owner.id, [young])], [])


async def test_one_who_turns_out_to_be_another_takes_what_waits_along_and_what_they_said(
    jobs: Jobs, database: Database, conn: Connection
) -> None:
    async with database.transaction() as own:
        owner = await people.owner(own)
    stranger = await person_at(database, conn, 5)
    await say(database, stranger, **quiet_now())
    ids = [await told(conn), await told(conn, stranger.id)]
    async with database.transaction() as own:
        await people.contact(own, "telegram", "5", tg_user_id=5, owner_tg_user_id=5)
    await drain(jobs, "default")
    assert (await sent(conn), await waiting(conn)) == ([], ids)
    with mutated(later(1)):
        await pass_time(jobs, timedelta(hours=1))
        await drain(jobs, "default")
    assert await sent(conn) == [("bot", owner.id, ids)]


async def fail(conn: Connection, **way: Any) -> None:
    """A delivery of an answer that the receiver does not want."""
    values = {"channel": "telegram", "account": "bot", "kind": "answer", "payload": {"text": "Hi."}, **way}
    owed = await owe(conn, owed_for=f"test:{uuid4()}", **values)
    assert owed
    await end(conn, owed.id, "blocked", said="no")


async def test_word_of_a_delivery_that_failed_never_goes_by_the_way_that_failed(
    jobs: Jobs, database: Database, conn: Connection
) -> None:
    owner = await owner_at(database, conn, 5)
    await fail(conn, chat="telegram_5", user_id=owner.id)
    await fail(conn, chat=None, user_id=owner.id)
    assert (await sent(conn), await waiting(conn)) == ([], [])
    await fail(conn, chat="telegram_7", user_id="ada")
    assert [account for account, _, _ in await sent(conn)] == ["bot"]
    await come(conn, owner, 5, "work", named=True)
    await say(database, owner, digest={"every": "hour"}, categories={"delivery": "info"})
    await fail(conn, account="work", chat="telegram_work_5", user_id=owner.id)
    assert len(await waiting(conn)) == 1
    with mutated(later(1)):
        await pass_time(jobs, timedelta(hours=1))
        await drain(jobs, "default")
    assert [account for account, _, _ in await sent(conn)] == ["bot", "bot"]


async def test_what_is_shown_as_a_card_or_must_not_go_by_the_only_account_stays_on_the_web(
    database: Database, conn: Connection
) -> None:
    owner = await owner_at(database, conn, 5)
    await told(conn, metadata={"carded": True})
    await told(conn, not_by="bot")
    assert (await sent(conn), await waiting(conn)) == ([], [])
    await come(conn, owner, 5, "work", named=True)
    await told(conn, not_by="work")
    assert [account for account, _, _ in await sent(conn)] == ["bot"]


async def test_of_a_digest_that_did_not_arrive_no_notification_is_made(database: Database, conn: Connection) -> None:
    owner = await owner_at(database, conn, 5)
    owed = await owe(
        conn,
        owed_for="digest:1",
        kind="notification",
        payload={},
        user_id=owner.id,
        channel="telegram",
        account="other",
    )
    assert owed
    await end(conn, owed.id, "failed", said="no")
    assert await fetch(conn, "SELECT FROM jobs.notifications") == []


async def test_preferences_that_cannot_be_read_any_more_stop_nobody(database: Database, conn: Connection) -> None:
    ada = await person_at(database, conn, 7)
    await say(database, ada, telegram={"on": False})
    await execute(conn, """UPDATE jobs.notification_preferences SET preferences = '{"zone": "Atlantis", "new": 1}'""")
    await told(conn, ada.id)
    assert len(await sent(conn)) == 1


async def test_a_job_for_a_moment_is_made_once(database: Database, conn: Connection) -> None:
    ada = await person_at(database, conn, 7)
    await say(database, ada, **quiet_now(errors=False), digest={"every": "day", "at": "00:00", "below": "warning"})
    for _ in range(5):
        await told(conn, ada.id)
        await told(conn, ada.id, severity="error")
    assert 1 <= len(await fetch(conn, TELL_JOBS)) <= 2
    assert TELL.retention == "none"


@pytest.mark.parametrize("of_nobody", [False, True], ids=["by name", "as the owner"])
async def test_a_first_chat_that_commits_while_its_person_is_told_something_sends_it(
    jobs: Jobs, database: Database, conn: Connection, other: Connection, *, of_nobody: bool
) -> None:
    ada = await met(database)
    async with conn.transaction():
        notification_id = await notify(conn, user_id=None if of_nobody else ada.id, title="t", body="b", category="c")
        begins = asyncio.create_task(first_chat(database, ada))
        await until_blocked(other, "-- Takes person (empty: the owner, where nobody is that yet). Until")
    await begins
    await drain(jobs, "default")
    assert (await sent(conn), await waiting(conn)) == ([("bot", ada.id, [notification_id])], [])


async def test_unless_their_person_is_held_neither_would_see_the_other(
    jobs: Jobs, database: Database, conn: Connection
) -> None:
    ada = await met(database)
    with mutated(NO_WAY_IS_WAITED_FOR):
        async with conn.transaction():
            notification_id = await notify(conn, user_id=None, title="t", body="b", category="c")
            await first_chat(database, ada)
    await drain(jobs, "default")
    assert (await sent(conn), await waiting(conn)) == ([], [notification_id])


async def test_who_is_told_something_while_their_first_chat_is_begun_is_told_there(
    database: Database, conn: Connection, other: Connection
) -> None:
    ada = await met(database)
    async with conn.transaction():
        await begin(conn, ada)
        tells = asyncio.create_task(told_apart(database))
        await until_blocked(other, "-- Takes person (empty: the owner, where nobody is that yet). Waits")
    notification_id = await tells
    assert await sent(conn) == [("bot", ada.id, [notification_id])]


async def met(database: Database) -> people.User:
    """The owner, whom Telegram knows and who has said nothing there."""
    async with database.transaction() as own:
        await people.owner(own)
        return await people.contact(own, "telegram", "7", tg_user_id=7, owner_tg_user_id=7)


async def first_chat(database: Database, user: people.User) -> None:
    async with database.transaction() as own:
        await begin(own, user)


async def begin(conn: Connection, user: people.User) -> None:
    await begin_chat(conn, NewChat("telegram", user.id, account="bot"), session_id="telegram_7")


async def told_apart(database: Database) -> int:
    async with database.transaction() as own:
        return await notify(own, user_id=None, title="t", body="b", category="c")


async def test_what_is_told_to_somebody_who_became_another_is_the_other_s_on_the_web_too(
    database: Database, conn: Connection, other: Connection
) -> None:
    """A job tells whom it was made for, long after; and in the very moment in which they become somebody else."""
    ada, bob = await person_at(database, conn, 7), await person_at(database, conn, 8)
    await say(database, ada, **quiet_now())
    await say(database, bob, **quiet_now())
    async with conn.transaction():
        first = await notify(conn, user_id=ada.id, title="t", body="b", category="c")
        becomes = asyncio.create_task(link_to(database, 7, bob))
        await until_blocked(other, "-- Takes id, into. The one turned out")
        second = await notify(conn, user_id=ada.id, title="t", body="b", category="c")
    await becomes
    third = await told(conn, ada.id)
    of = await recipient(conn, ada.id)
    assert [one.id for one in await list_notifications(conn, of=of)] == [third, second, first]
    assert {row["user_id"] for row in await fetch(conn, WAITING)} == {bob.id}


async def test_an_account_that_only_another_phone_of_theirs_has_met_is_no_way_to_the_one_that_they_are_written_to(
    database: Database, conn: Connection
) -> None:
    owner = await owner_at(database, conn, 5)
    async with database.transaction() as own:
        await people.contact(own, "telegram", "6", tg_user_id=6, account="work")
        await write_to(own, await link(own, "telegram", "6", owner.id), "6")
    await told(conn)
    await come(conn, owner, 6, "work", named=True)
    await come(conn, owner, 5, "bot")
    await told(conn)
    assert [account for account, _, _ in await sent(conn)] == ["work", "work"]
    async with database.transaction() as own:
        assert (await unlink(own, "telegram", "6")).tg_user_id == 5
    await told(conn)
    assert [account for account, _, _ in await sent(conn)][2:] == ["bot"]


async def link_to(database: Database, number: int, user: people.User) -> None:
    async with database.transaction() as own:
        await link(own, "telegram", str(number), user.id)
