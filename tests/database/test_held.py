"""Strangers: what they say is kept within bounds, an owner is asked once, and what was allowed is taken in once, in order."""

import asyncio
from typing import Any

import pytest

from assistant import chat_history, chats, held, people, presses
from assistant.errors import RoleFixed
from assistant.held import MAX_MESSAGES, MAX_STRANGERS, Kept, Stranger
from assistant.notifications import list_notifications
from assistant.people import User
from assistant.person_links import link
from jobs_core import Connection, Database, Jobs, execute, fetch
from tests.support.cards import cards, data, labels, owner_with_a_phone, send, shown, stranger
from tests.support.database import Undone, until_blocked
from tests.support.people import contact

EVE = 666
DAY_LATER = "UPDATE jobs.users SET admission_at = admission_at - interval '25 hours'"
CROWD = """
WITH crowd AS (
    INSERT INTO jobs.users (id, name, role) SELECT 'u_' || n, 'n', 'external' FROM generate_series(2, %(n)s) AS n RETURNING id
)
INSERT INTO jobs.contact_requests (user_id, channel, address, first_words) SELECT id, 'telegram', '1', '' FROM crowd
"""


async def says(
    jobs: Jobs, user: User, text: str, *, chat: str = "telegram_666", key: str | None = None, unknown: bool = True
) -> Kept | None:
    """A message at the door, in a transaction of its own: kept, or taken in at once."""
    message = Stranger(str(EVE), chat, text, account="bot", idempotency_key=key)
    async with jobs.database.transaction() as conn:
        kept = await held.hold(conn, user, message, hold_unknown=unknown)
        if kept is None:
            given: Any = {"session_id": chat, "channel": "telegram", "account": "bot", "begin": True}
            await chats.receive(conn, jobs, user_id=user.id, message=text, idempotency_key=key, **given)
        return kept


async def what(jobs: Jobs, user: User, text: str = "hello", **how: Any) -> str | None:
    kept = await says(jobs, await contact(jobs.database, user.tg_user_id or 0), text, **how)
    return kept.what if kept else None


async def press(jobs: Jobs, who: User, pressed: str) -> str:
    async with jobs.database.transaction() as conn:
        return (await presses.press(conn, jobs, who, pressed)).text


async def answer(jobs: Jobs, user: User, verdict: held.Verdict) -> held.Answered:
    async with jobs.database.transaction() as conn:
        return await held.answer(conn, jobs, user.id, verdict, "somebody")


async def heard(conn: Connection, chat: str = "telegram_666") -> list[str]:
    return [line.content for line in await chat_history.newest(conn, chat) if line.type == "human"]


async def counts(conn: Connection) -> tuple[int, int]:
    """Messages that are kept, and chats that there are."""
    (row,) = await fetch(
        conn,
        "SELECT (SELECT count(*) FROM jobs.held_messages) AS kept, (SELECT count(*) FROM jobs.chat_sessions) AS chats",
    )
    return row["kept"], row["chats"]


async def test_a_stranger_is_kept_and_an_owner_asked_once(jobs: Jobs, conn: Connection, database: Database) -> None:
    ada = await owner_with_a_phone(database)
    eve = await stranger(database, EVE, name="Ada\u202e\nowner", username="ada")
    assert [await what(jobs, eve, text) for text in ("it is me,\x1b[2K Ada", "please")] == ["asked", "kept"]
    (card,) = await cards(conn)
    assert (card.user_id, card.chat, card.account) == (ada.id, None, "bot")
    assert labels(card.payload) == ["Allow", "Deny", "Block"]
    assert data(card.payload, "Allow") == f"allow:{eve.id}"
    for part in (
        f"Number there: {EVE} ({eve.id})",
        "Name as claimed: Ada owner",
        "as claimed: @ada",
        "it is me,\\u001b[2K",
    ):
        assert part in card.payload["text"]
    assert await counts(conn) == (2, 0)
    assert await fetch(conn, "SELECT FROM jobs.jobs WHERE job_type = 'chat_turn'") == []


async def test_on_allow_all_is_taken_in_in_order_and_once(jobs: Jobs, conn: Connection, database: Database) -> None:
    """By a button, though it is pressed ten times at once; the chat that it came from is begun then."""
    ada, eve = await owner_with_a_phone(database), await stranger(database, EVE, name="Eve")
    for n in range(3):
        await what(jobs, eve, f"{n}", key=f"key {n}")
    await what(jobs, eve, "in a group", chat="telegram_-5_666")
    await send(conn)
    said = await asyncio.gather(*(press(jobs, ada, f"allow:{eve.id}") for _ in range(10)))
    assert min(said) == "Allowed. Messages taken in: 4."
    assert len([text for text in said if "is allowed already" in text]) == 9
    assert await heard(conn) == ["0", "1", "2"]
    assert await heard(conn, "telegram_-5_666") == ["in a group"]
    assert await counts(conn) == (0, 2)
    turns = "SELECT lane FROM jobs.jobs WHERE job_type = 'chat_turn' ORDER BY id"
    assert len(await fetch(conn, turns)) == 4
    assert await what(jobs, eve, "0", key="key 0") is None
    assert await heard(conn) == ["0", "1", "2"]
    (card,) = (await shown(conn)).values()
    assert (card["text"].startswith(f'Allowed by "Ada" ({ada.id})'), labels(card)) == (True, [])


async def test_pressed_and_killed_before_the_commit_keeps_everything(
    jobs: Jobs, conn: Connection, database: Database
) -> None:
    ada, eve = await owner_with_a_phone(database), await stranger(database, EVE)
    await what(jobs, eve)
    with pytest.raises(Undone):
        async with conn.transaction():
            await presses.press(conn, jobs, ada, f"allow:{eve.id}")
            raise Undone
    assert await counts(conn) == (1, 0)
    assert await press(jobs, ada, f"allow:{eve.id}") == "Allowed. Messages taken in: 1."


async def test_a_message_that_races_its_allow_is_taken_in_behind_the_others(
    jobs: Jobs, conn: Connection, other: Connection, database: Database
) -> None:
    ada, eve = await owner_with_a_phone(database), await stranger(database, EVE)
    await what(jobs, eve, "first")
    known = await contact(database, EVE)
    async with other.transaction():
        await presses.press(other, jobs, ada, f"allow:{eve.id}")
        second = asyncio.create_task(says(jobs, known, "second"))
        await until_blocked(other)
    assert await second is None
    assert await heard(conn) == ["first", "second"]


async def test_whoever_was_denied_is_forgotten_and_asked_about_again_a_day_later(
    jobs: Jobs, conn: Connection, database: Database
) -> None:
    ada, eve = await owner_with_a_phone(database), await stranger(database, EVE)
    await what(jobs, eve)
    assert await press(jobs, ada, f"deny:{eve.id}") == "Denied."
    assert await counts(conn) == (0, 0)
    assert await what(jobs, eve) == "dropped"
    await execute(
        conn,
        "UPDATE jobs.users SET admission_at = admission_at - interval '25 hours' WHERE id = %(id)s",
        {"id": eve.id},
    )
    assert await what(jobs, eve, "again") == "asked"
    first, second = await cards(conn)
    assert (labels(first.payload), labels(second.payload)) == ([], ["Allow", "Deny", "Block"])
    assert await press(jobs, ada, data(second.payload, "Allow")) == "Allowed. Messages taken in: 1."
    assert await heard(conn) == ["again"]


async def test_whoever_was_blocked_is_dropped_until_somebody_says_otherwise(
    jobs: Jobs, conn: Connection, database: Database
) -> None:
    ada, eve = await owner_with_a_phone(database), await stranger(database, EVE)
    await what(jobs, eve)
    assert await press(jobs, ada, f"block:{eve.id}") == "Blocked."
    await execute(conn, DAY_LATER)
    assert [await what(jobs, eve), await what(jobs, eve, unknown=False)] == ["dropped", "dropped"]
    assert await counts(conn) == (0, 0)
    assert "is blocked already" in await press(jobs, ada, f"allow:{eve.id}")
    assert (await answer(jobs, eve, "allowed")).user.admission == "allowed"
    assert await what(jobs, eve) is None


async def test_one_stranger_fills_a_few_rows_and_one_card(jobs: Jobs, conn: Connection, database: Database) -> None:
    """However much they say: what is past the bounds is counted, and the card tells it at 1, 10, 100 …"""
    ada, eve = await owner_with_a_phone(database), await stranger(database, EVE)
    for n in range(MAX_MESSAGES + 12):
        await what(jobs, eve, f"{n}")
        await send(conn)
    assert (await counts(conn))[0] == MAX_MESSAGES
    assert [one.payload["text"].partition("; ")[2] for one in await cards(conn)] == [
        "",
        "1 more were dropped",
        "10 more were dropped",
    ]
    assert await press(jobs, ada, f"allow:{eve.id}") == f"Allowed. Messages taken in: {MAX_MESSAGES}."
    (card,) = (await shown(conn)).values()
    assert "12 more were dropped" in card["text"]


async def test_one_message_may_be_too_long_to_keep_and_still_asks(
    jobs: Jobs, conn: Connection, database: Database
) -> None:
    await owner_with_a_phone(database)
    eve = await stranger(database, EVE)
    assert [await what(jobs, eve, "\0\ud800" * 60_000), await what(jobs, eve, "short\0")] == ["asked", "kept"]
    assert (await counts(conn))[0] == 1
    await answer(jobs, eve, "allowed")
    assert await heard(conn) == ["short\N{REPLACEMENT CHARACTER}"]


async def test_of_strangers_so_many_are_asked_about_at_a_time(jobs: Jobs, conn: Connection, database: Database) -> None:
    await owner_with_a_phone(database)
    eve, mallory = await stranger(database, EVE), await stranger(database, 667)
    await execute(conn, CROWD, {"n": MAX_STRANGERS})
    assert [await what(jobs, eve), await what(jobs, mallory)] == ["asked", "dropped"]
    assert [one.category for one in await list_notifications(conn)] == ["contact"]
    await answer(jobs, eve, "blocked")
    assert await what(jobs, mallory) == "asked"


async def test_who_is_served(jobs: Jobs, conn: Connection, database: Database) -> None:
    """Owners, people who were here before there were strangers, and everybody where the settings say so."""
    ada, eve, old = await owner_with_a_phone(database), await stranger(database, EVE), await stranger(database, 5)
    await execute(conn, "UPDATE jobs.users SET admission = 'allowed' WHERE id = %(id)s", {"id": old.id})
    assert [await what(jobs, ada, chat="a"), await what(jobs, old, chat="b")] == [None, None]
    assert await what(jobs, eve, chat="c", unknown=False) is None
    assert await what(jobs, eve, chat="c") == "asked"
    with pytest.raises(RoleFixed):
        await answer(jobs, ada, "blocked")


async def test_where_no_owner_has_a_phone_the_web_tells_of_a_stranger(
    jobs: Jobs, conn: Connection, database: Database
) -> None:
    eve = await stranger(database, EVE, name="Eve")
    await what(jobs, eve, "hi")
    (told,) = await list_notifications(conn)
    assert (told.category, told.metadata) == ("contact", {"user_id": eve.id})
    assert f"./jobs user allow {eve.id}" in told.body
    assert await cards(conn) == []
    assert (await answer(jobs, eve, "allowed")).taken == 1


async def test_what_a_stranger_said_who_turns_out_to_be_somebody_is_theirs(
    jobs: Jobs, conn: Connection, database: Database
) -> None:
    """A merge between the question and its answer: the card decides about whom they became."""
    ada, eve = await owner_with_a_phone(database), await stranger(database, EVE)
    await what(jobs, eve, "me")
    async with database.transaction() as own:
        await people.lock(own)
        await people.merge(own, eve, ada)
    assert await press(jobs, ada, f"allow:{eve.id}") == "Allowed. Messages taken in: 1."
    (row,) = await fetch(conn, "SELECT user_id FROM jobs.chat_sessions")
    assert row["user_id"] == ada.id


async def test_what_a_stranger_says_while_they_turn_out_to_be_somebody_is_heard(
    jobs: Jobs, conn: Connection, database: Database
) -> None:
    """Found as a stranger, linked by somebody else: their words must not be kept under an id that is nobody's any more."""
    await owner_with_a_phone(database)
    bob, eve = await stranger(database, 7), await stranger(database, EVE)
    await answer(jobs, bob, "allowed")
    async with database.transaction() as own:
        found = await contact(database, EVE)
        async with database.transaction() as linking:
            await link(linking, "telegram", str(EVE), bob.id)
        assert await held.hold(own, found, Stranger(str(EVE), "telegram_666", "hi"), hold_unknown=True) is None
    assert await says(jobs, eve, "hello") is None
    assert (await counts(conn), await heard(conn)) == ((0, 1), ["hello"])


async def test_of_two_strangers_who_are_one_person_both_cards_are_decided(
    jobs: Jobs, conn: Connection, database: Database
) -> None:
    """Else the other question would stay open for ever, and take the place of a stranger."""
    ada = await owner_with_a_phone(database)
    bob, eve = await stranger(database, 7), await stranger(database, EVE)
    await says(jobs, bob, "I am Bob", chat="telegram_7")
    await says(jobs, eve, "and so am I")
    async with database.transaction() as own:
        await link(own, "telegram", str(EVE), bob.id)
    assert await press(jobs, ada, f"allow:{eve.id}") == "Allowed. Messages taken in: 2."
    assert [labels(payload) for payload in (await shown(conn)).values()] == [[], []]
    assert await fetch(conn, "SELECT FROM jobs.contact_requests WHERE state = 'open'") == []


async def test_a_reply_to_a_stranger_s_card_decides(jobs: Jobs, conn: Connection, database: Database) -> None:
    ada, eve = await owner_with_a_phone(database), await stranger(database, EVE)
    await what(jobs, eve)
    (card,) = await cards(conn)
    said = []
    for who, text in ((eve, "allow"), (ada, "who?"), (ada, " Allow "), (ada, "block")):
        async with database.transaction() as own:
            replied = await presses.reply(own, jobs, who, card.id, text)
        said.append(replied.text if replied else None)
    assert said[0] is None
    assert said[1:3] == ["Reply with allow, deny or block. Nothing was changed.", "Allowed. Messages taken in: 1."]
    assert "is allowed already" in str(said[3])
