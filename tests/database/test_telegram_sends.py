"""What goes out by Telegram and what it comes to: stock Telethon, the server for tests, jobs that are run by hand."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any
from unittest.mock import MagicMock

import pytest
from telethon import functions
from telethon.errors import SessionRevokedError, UnauthorizedError

from assistant.content import File
from assistant.files import add_files as keep_files
from assistant.notifications import list_notifications
from assistant.people import contact
from assistant.person_links import link, unlink
from jobs_core import Connection, Database, execute, fetch
from jobs_core.look import find
from tests.support.telegram_egress import ACCOUNT, Office, office
from tests.support.telegram_people import person_at
from workers import testing

SEND = functions.messages.SendMessageRequest
BY_ID = functions.messages.GetMessagesRequest


@pytest.fixture
async def bot(database: Database, conn: Connection) -> AsyncIterator[Office]:
    """A bot, and a chat `a` of Alice with it."""
    async with office(database, conn) as at_work:
        await at_work.chat_with(at_work.telegram.person("Alice"), "a")
        yield at_work


async def test_an_answer_goes_out_with_its_styles_under_the_number_that_was_drawn_with_it(bot: Office) -> None:
    ended = await bot.deliver("# News\n\n**Rain**, `ls` and [more](https://example.org).")
    (post,) = bot.telegram.sent()
    assert (ended.state, ended.receiver_id) == ("sent", str(bot.account.mailbox.ids[post]))
    assert (post.random_id, post.text) == (ended.random_id, "News\n\nRain, ls and more.")
    assert [type(entity).__name__[13:] for entity in post.entities] == ["Bold", "Bold", "Code", "TextUrl"]
    assert post.reply_to is None
    (request,) = [one for one in bot.telegram.server.requests if isinstance(one, SEND)]
    assert request.no_webpage


async def test_what_was_asked_before_a_number_was_unlinked_is_not_answered_there(
    database: Database, bot: Office
) -> None:
    """Whoever has the number now must not read it; linked again, it is sent."""
    bob = bot.telegram.person("Bob")
    chat = await bot.chat_with(bob, f"telegram_{bob.id}")
    asks = await person_at(database, bot.conn, bob.id, ACCOUNT)
    assert (await bot.deliver("one", chat=chat, user_id=asks.id)).state == "sent"
    async with database.transaction() as own:
        await unlink(own, "telegram", str(bob.id))
        await contact(own, "telegram", str(bob.id), tg_user_id=bob.id)
    ended = await bot.deliver("a secret", chat=chat, user_id=asks.id)
    assert (ended.state, "unlinked" in str(ended.said)) == ("failed", True)
    async with database.transaction() as own:
        await link(own, "telegram", str(bob.id), asks.id)
    assert (await bot.deliver("two", chat=chat, user_id=asks.id)).state == "sent"
    assert [post.text for post in bot.telegram.sent()] == ["one", "two"]


async def test_what_is_no_answer_is_shown_as_it_stands(bot: Office) -> None:
    await bot.deliver("**1** <b>2</b>", kind="notification")
    await bot.deliver("**1** <b>2</b>", kind="notification", markdown=True)
    assert [(post.text, len(post.entities)) for post in bot.telegram.sent()] == [
        ("**1** <b>2</b>", 0),
        ("1 <b>2</b>", 1),
    ]


async def test_a_message_of_ours_is_on_record_with_its_delivery(bot: Office) -> None:
    sent = await bot.deliver()
    (row,) = await fetch(
        bot.conn,
        "SELECT delivery_id, message_id, random_id FROM jobs.telegram_messages WHERE direction = 'out' AND session_id = 'a'",
    )
    assert (row["delivery_id"], str(row["message_id"]), row["random_id"]) == (sent.id, sent.receiver_id, sent.random_id)


async def test_a_long_answer_goes_out_in_pieces_each_once(bot: Office) -> None:
    text = "\n\n".join(f"{n} " + "word " * 700 for n in range(4))
    sent = await bot.deliver(text)
    posts = bot.telegram.sent()
    assert (len(posts), len({post.random_id for post in posts})) == (4, 4)
    assert posts[0].random_id == sent.random_id
    assert [post.text[0] for post in posts] == ["0", "1", "2", "3"]


async def test_what_has_nothing_in_it_to_be_seen_is_refused(bot: Office) -> None:
    for text in ("", " \n\t"):
        ended = await bot.deliver(text)
        assert (ended.state, ended.said) == ("failed", "there is nothing in it to be seen: neither text nor files")


async def test_an_answer_among_others_answers_the_message_and_stands_in_its_topic(bot: Office) -> None:
    telegram, alice = bot.telegram, bot.telegram.person("Bob")
    group = telegram.supergroup("Team", alice, bot.account, is_forum=True)
    topic = telegram.topic(group, "Plans", by=alice)
    asked = telegram.say(alice, "And?", to=topic)
    await bot.chat_with(topic, "g", reply_to=group.mailbox.ids[asked])
    await bot.deliver("Yes.", chat="g")
    await bot.deliver("By the way", chat="g", kind="notification")
    telegram.delete(asked)
    await bot.deliver("Gone, but said.", chat="g")
    answer, notice, orphan = telegram.sent()
    assert (answer.topic, answer.reply_to) == (topic, asked)
    assert (notice.topic, notice.reply_to) == (topic, None)
    assert (orphan.topic, orphan.reply_to) == (topic, None)


async def test_what_names_no_chat_goes_to_the_persons_own(bot: Office) -> None:
    alice = bot.telegram.person("Carol")
    user = await contact(bot.conn, "telegram", str(alice.id), tg_user_id=alice.id, owner_tg_user_id=alice.id)
    await bot.deliver("to you", chat=None, user_id=user.id)
    await bot.deliver("to the owner", chat=None, user_id=None)
    stranger = await contact(bot.conn, "pigeon", "1")
    refused = await bot.deliver("to nobody", chat=None, user_id=stranger.id)
    assert [post.text for post in bot.telegram.sent(to=alice)] == ["to you", "to the owner"]
    assert refused.state == "failed"
    assert "has no number at Telegram" in (refused.said or "")


async def test_buttons_stand_under_the_last_piece_and_can_be_pressed(bot: Office) -> None:
    buttons = [[{"label": "Approve", "data": "approve:31:9f3a61c2"}, {"label": "Reject", "data": "reject:31:9f3a61c2"}]]
    await bot.deliver("word " * 1000, buttons=buttons)
    first, last = bot.telegram.sent()
    assert first.buttons is None
    assert last.callback("Reject") == b"reject:31:9f3a61c2"


async def test_an_account_without_buttons_says_what_to_reply(database: Database, conn: Connection) -> None:
    async with office(database, conn, is_bot=False) as user:
        await user.chat_with(user.telegram.person("Alice"), "a")
        buttons = [[{"label": "✅", "data": "approve:31:9f"}, {"label": "No", "data": "reject:31:9f"}]]
        await user.deliver("May I?", buttons=buttons, kind="notification")
        (post,) = user.telegram.sent()
        assert post.text == "May I?\n\nReply to this message with: approve, reject"
        assert post.buttons is None


async def test_an_edit_changes_the_message_of_an_earlier_delivery(bot: Office) -> None:
    buttons = [[{"label": "Approve", "data": "approve:31:9f3a61c2"}]]
    card = await bot.deliver("1" * 5000, buttons=buttons, kind="notification")
    changed = await bot.deliver("Approved by Ada", edits=card.id, kind="notification")
    first, second = bot.telegram.sent()
    assert (first.text, first.buttons, second.is_deleted) == ("Approved by Ada", None, True)
    assert changed.receiver_id == card.receiver_id
    again = await bot.deliver("Approved by Ada", edits=card.id, kind="notification")
    assert again.state == "sent"


async def test_an_edit_of_a_message_that_was_deleted_is_refused_and_of_one_that_never_went_it_is_sent(
    bot: Office,
) -> None:
    card = await bot.deliver("May I?")
    bot.telegram.delete(bot.telegram.sent()[0])
    refused = await bot.deliver("Done", edits=card.id)
    assert (refused.state, refused.said) == ("failed", "the message that it changes was deleted")
    await execute(bot.conn, "DELETE FROM jobs.telegram_messages")
    sent = await bot.deliver("Done", edits=card.id)
    assert (sent.state, bot.telegram.sent()[-1].text) == ("sent", "Done")


async def add_files(conn: Connection, *files: File) -> list[dict[str, str]]:
    """Files of a message of some chat, as a payload names them."""
    await execute(
        conn,
        "INSERT INTO jobs.chat_sessions (session_id, channel, agent_name, claude_session_id)"
        " VALUES ('c', 'web', 'a', gen_random_uuid())",
    )
    (row,) = await fetch(
        conn,
        "INSERT INTO jobs.chat_message_history (session_id, type, content) VALUES ('c', 'ai', 'x') RETURNING id",
    )
    await keep_files(conn, row["id"], files)
    return [{"file_id": f"{row['id']}.{nth}"} for nth in range(1, len(files) + 1)]


async def test_files_go_out_as_albums_of_photos_and_of_documents_each_with_a_number_of_its_own(bot: Office) -> None:
    photo, text = File("image/png", b"png", "p.png"), File("text/plain", b"t" * 600_000, "t.txt")
    files = await add_files(bot.conn, photo, photo, text)
    sent = await bot.deliver("Look:", files=files)
    said, one, two, document = bot.telegram.sent()
    assert (said.text, said.random_id) == ("Look:", sent.random_id)
    assert one.album == two.album is not None
    assert one.file
    assert two.file
    assert document.file
    assert (one.file.is_photo, two.file.is_photo, document.file.name) == (True, True, "t.txt")
    assert document.file.data == text.content
    assert len({post.random_id for post in (said, one, two, document)}) == 4


async def test_a_picture_that_telegram_does_not_show_goes_as_a_document(bot: Office) -> None:
    files = await add_files(bot.conn, File("image/png", b"png", "p.png"))
    bot.telegram.faults.refuse(functions.messages.SendMediaRequest, "PHOTO_INVALID_DIMENSIONS")
    await bot.deliver("", files=files)
    (post,) = bot.telegram.sent()
    assert post.file is not None
    assert (post.file.is_photo, post.file.data) == (False, b"png")


async def test_a_file_that_is_not_there_is_refused(bot: Office) -> None:
    (there,) = await add_files(bot.conn, File("image/png", b"png", "p.png"))
    message_id = there["file_id"].partition(".")[0]
    for file_id in (f"{message_id}.2", f"{message_id}.0", f"{message_id}.", "99.1", "x", ""):
        ended = await bot.deliver("Look:", files=[{"file_id": file_id}])
        assert (ended.state, bot.telegram.sent()) == ("failed", [])


async def test_a_flood_wait_spends_no_retry_and_holds_up_one_chat_or_where_two_wait_the_account(bot: Office) -> None:
    await bot.chat_with(bot.telegram.person("Bob"), "b")
    bot.telegram.faults.flood_wait(SEND, 30)
    waiting = await bot.deliver()
    assert (waiting.state, waiting.said, waiting.unsure_since) == ("owed", "Telegram asks to wait 30 s", None)
    job = await find(bot.conn, waiting.job_id or 0)
    assert job is not None
    assert job.retry_count == 0
    assert (
        await bot.deliver(chat="b")
    ).state == "sent"  # the client itself would refuse it: it remembers by kind of request
    bot.telegram.faults.flood_wait(SEND, 30)
    await bot.deliver(chat="b")
    assert len(await fetch(bot.conn, "SELECT FROM jobs.pauses WHERE until > clock_timestamp()")) == 1
    await execute(bot.conn, "UPDATE jobs.pauses SET until = clock_timestamp()")
    await testing.pass_time(bot.jobs, timedelta(seconds=31))
    await bot.run()
    assert [post.text for post in bot.telegram.sent()] == ["Hi."] * 3
    assert await list_notifications(bot.conn) == []


def second_waits(at: Office) -> None:
    """Have Telegram ask to wait when the second message of all comes, once."""
    sent, take = at.telegram.sent, at.telegram.faults.take

    def taking(request: Any) -> Any:
        if isinstance(request, SEND) and sent() and request.random_id not in {post.random_id for post in sent()}:
            at.telegram.faults.flood_wait(SEND, 7)
            at.telegram.faults.take = take  # type: ignore[method-assign]
        return take(request)

    at.telegram.faults.take = taking  # type: ignore[method-assign]


async def test_a_wait_behind_a_piece_that_was_there_unrecorded_is_no_word_that_nothing_arrived(bot: Office) -> None:
    delivery_id = await bot.owe("word " * 1500)
    bot.telegram.faults.cut_before_answer(SEND)
    bot.telegram.faults.refuse(BY_ID, "INTERNAL", code=500)
    second_waits(bot)
    await bot.run()
    unsure = await bot.one(delivery_id)
    assert (unsure.state, unsure.said) == ("owed", "the try was cut off: ConnectionError")
    assert unsure.unsure_since is not None


async def test_a_wait_in_the_middle_goes_on_where_it_stopped(bot: Office) -> None:
    delivery_id = await bot.owe("word " * 1500)
    second_waits(bot)
    await bot.run()
    waiting = await bot.one(delivery_id)
    assert (waiting.state, waiting.unsure_since, len(bot.telegram.sent())) == ("owed", None, 1)
    before = len(bot.telegram.server.requests)
    await testing.pass_time(bot.jobs, timedelta(seconds=8))
    await bot.run()
    sent = await bot.one(delivery_id)
    assert (sent.state, sent.receiver_id) == ("sent", str(bot.account.mailbox.ids[bot.telegram.sent()[0]]))
    assert len(bot.telegram.sent()) == 2
    assert len(bot.telegram.server.requests) == before + 1  # what was on record was not asked again


MEANS = [
    ("USER_IS_BLOCKED", 403, "blocked", "the person has blocked this account"),
    ("INPUT_USER_DEACTIVATED", 400, "blocked", "is deleted"),
    ("TOPIC_DELETED", 400, "failed", "the topic was deleted"),
    ("CHAT_WRITE_FORBIDDEN", 403, "failed", "give it the right, then send it again"),
    ("PEER_ID_INVALID", 400, "failed", "somebody writes from there first"),
    ("MESSAGE_TOO_LONG", 400, "failed", "an error of this program"),
    ("NEW_KIND_OF_ERROR", 400, "failed", "Telegram refused it: NEW_KIND_OF_ERROR"),
    ("SLOWMODE_WAIT_20", 420, "owed", "slow mode: once in 20 s"),
    ("FROZEN_METHOD_INVALID", 420, "owed", "frozen"),
    ("SESSION_REVOKED", 401, "owed", "takes the key of account jobs no longer (SESSION_REVOKED)"),
    ("AUTH_KEY_DUPLICATED", 406, "owed", "takes the key"),
    ("INTERNAL", 500, "owed", "the try was cut off"),
]
"""An error's name and code, what the delivery comes to, and what is said of it."""


async def test_what_telegram_says_is_what_the_delivery_comes_to(bot: Office) -> None:
    for error, code, state, said in MEANS:
        chat = await bot.chat_with(bot.telegram.person(error), error)
        bot.telegram.faults.refuse(SEND, error, code=code)
        ended = await bot.deliver(chat=chat)
        await execute(bot.conn, "UPDATE jobs.pauses SET until = clock_timestamp()")
        assert (error, ended.state) == (error, state)
        assert said in (ended.said or "")
        assert (ended.unsure_since is not None) == (error == "INTERNAL")
    assert len(await list_notifications(bot.conn)) == sum(state != "owed" for _, _, state, _ in MEANS)


async def test_styles_that_telegram_does_not_take_are_left_out(bot: Office) -> None:
    bot.telegram.faults.refuse(SEND, "ENTITY_BOUNDS_INVALID")
    assert (await bot.deliver("**Hi.**")).state == "sent"
    assert [(post.text, post.entities) for post in bot.telegram.sent()] == [("Hi.", [])]


async def test_the_client_hears_that_its_key_was_refused_for_who_holds_the_account_asks_it(bot: Office) -> None:
    heard = list[Exception]()

    async def hearing(request: Any) -> Any:
        try:
            return await bot.client(request)
        except UnauthorizedError as error:
            heard.append(error)
            raise

    client = MagicMock(wraps=bot.client, side_effect=hearing)
    client._sender, bot.clients[ACCOUNT] = bot.client._sender, client
    bot.telegram.revoke(bot.account)
    assert (await bot.deliver()).state == "owed"
    assert [type(error) for error in heard] == [SessionRevokedError]


async def test_a_key_that_was_revoked_loses_nothing_and_the_new_one_sends_it(bot: Office) -> None:
    bot.telegram.revoke(bot.account)
    waiting = [await bot.deliver("1"), await bot.deliver("2")]
    assert {one.state for one in waiting} == {"owed"}
    assert await list_notifications(bot.conn) == []  # who holds the account tells the owner
    del bot.clients[ACCOUNT]
    await execute(bot.conn, "UPDATE jobs.pauses SET until = clock_timestamp()")
    await testing.pass_time(bot.jobs, timedelta(minutes=2))
    await bot.run()
    assert "is not connected in this process" in ((await bot.one(waiting[0].id)).said or "")
    client = bot.clients[ACCOUNT] = bot.telegram.client(bot.telegram.session(bot.account))
    await client.connect()
    await execute(bot.conn, "UPDATE jobs.pauses SET until = clock_timestamp()")
    await testing.pass_time(bot.jobs, timedelta(minutes=2))
    await bot.run()
    assert [post.text for post in bot.telegram.sent()] == ["1", "2"]
    await client.disconnect()


async def test_a_person_who_blocked_the_bot_is_told_of_once_whatever_is_owed_to_them(bot: Office) -> None:
    bot.account.blocked_by.update(
        person for person in bot.telegram.server.world.people.values() if person is not bot.account
    )
    for n in range(3):
        await bot.owe(str(n))
    await bot.run()
    assert len(await list_notifications(bot.conn)) == 1


async def test_a_client_that_is_disconnected_before_the_answer_leaves_it_unknown_and_the_next_finds_it_there(
    bot: Office,
) -> None:
    bot.telegram.faults.never_answer(SEND, carried_out=True)
    delivery_id = await bot.owe()
    running = asyncio.create_task(bot.run())
    await bot.telegram.until(lambda: len(bot.telegram.sent()) == 1)
    await bot.client.disconnect()
    await running
    unsure = await bot.one(delivery_id)
    assert (unsure.state, unsure.said) == ("owed", "the try was cut off: ConnectionError")
    assert unsure.unsure_since is not None
    await bot.client.connect()
    await testing.pass_time(bot.jobs, timedelta(minutes=1))
    await bot.run()
    sent = await bot.one(delivery_id)
    assert (sent.state, sent.receiver_id, len(bot.telegram.sent())) == ("sent", "1", 1)


@pytest.mark.parametrize("where", ["person", "group", "supergroup"])
async def test_a_card_whose_answer_was_lost_is_found_and_changed_where_it_stands(bot: Office, where: str) -> None:
    """Among others of its words: one that is known, one of before, one of somebody else, one in another chat."""
    telegram, ada, bob = bot.telegram, bot.telegram.person("Ada"), bot.telegram.person("Bob")
    groups = {"group": telegram.group, "supergroup": telegram.supergroup}
    place: Any = groups[where]("Group", bot.account, ada) if where in groups else ada
    chat, other = await bot.chat_with(place, "place"), await bot.chat_with(bob, "other")
    await bot.deliver("Wait?", chat=chat)
    await bot.deliver("Wait?", chat=other)
    telegram.say(ada, "Wait?", to=place if where in groups else bot.account)
    telegram.faults.cut_before_answer(SEND)
    card = await bot.deliver("Wait?", chat=chat, kind="card")
    assert (card.state, card.receiver_id is not None) == ("sent", True)
    await bot.deliver("Decided.", chat=chat, kind="card", edits=card.id)
    assert [post.text for post in telegram.sent(to=place)] == ["Wait?", "Decided."]
    assert [post.text for post in telegram.sent(to=bob)] == ["Wait?"]


async def test_a_card_that_is_not_found_is_changed_by_a_message_of_its_own(bot: Office) -> None:
    bot.telegram.faults.cut_before_answer(SEND)
    bot.telegram.faults.refuse(BY_ID, "INTERNAL", code=500)
    card = await bot.deliver("Wait?", kind="card")
    assert (card.state, card.receiver_id) == ("sent", None)
    await bot.deliver("Decided.", kind="card", edits=card.id)
    assert [post.text for post in bot.telegram.sent()] == ["Wait?", "Decided."]


async def test_while_the_connection_is_away_nothing_is_tried(bot: Office) -> None:
    await bot.telegram.server.stop()
    async with asyncio.timeout(30):
        while bot.client._sender._transport_connected():
            await asyncio.sleep(0)
    waiting = await bot.deliver()
    assert (waiting.state, waiting.said, waiting.unsure_since) == ("owed", "the connection to Telegram is away", None)
    await bot.telegram.server.start()


async def test_what_was_shown_on_one_phone_is_changed_there_though_its_person_has_paired_another(bot: Office) -> None:
    """A card must not keep its buttons there for ever. One that was unlinked hears no more: then it is said on the new one."""
    old, new = bot.telegram.person("Old"), bot.telegram.person("New")
    async with bot.conn.transaction():
        user = await contact(bot.conn, "telegram", str(old.id), tg_user_id=old.id)
    whose: Any = {"chat": None, "user_id": user.id, "kind": "card"}
    card = await bot.deliver("Wait?", buttons=[[{"label": "Allow", "data": "allow:u_1"}]], **whose)
    await execute(bot.conn, "UPDATE jobs.users SET tg_user_id = %(id)s", {"id": new.id})
    await bot.deliver("Decided.", edits=card.id, **whose)
    assert [(post.text, post.buttons) for post in bot.telegram.sent(to=old)] == [("Decided.", None)]
    await execute(bot.conn, "DELETE FROM jobs.user_channels")
    changed = await bot.deliver("It ran.", edits=card.id, **whose)
    assert (changed.state, changed.said) == ("sent", None)
    assert [post.text for post in bot.telegram.sent(to=old)] == ["Decided."]
    assert [post.text for post in bot.telegram.sent(to=new)] == ["It ran."]
