"""The Telegram server for tests: what stock Telethon receives and sends through it."""

from __future__ import annotations

import pytest
from telethon import Button, errors, functions, types

from tests.support.telegram import Telegram
from tests.support.telegram.connection import Connection
from tests.support.telegram.listening import listening


async def test_texts_edits_replies_and_forwards_go_both_ways() -> None:
    async with Telegram() as telegram:
        bot, alice, bob = telegram.bot(), telegram.person("Alice"), telegram.person("Bob")
        async with listening(telegram, bot) as heard:
            asked = telegram.say(alice, "What is new?", to=bot)
            event = await heard.next()
            assert (event.raw_text, event.sender_id, event.is_private) == ("What is new?", alice.id, True)
            answer = await event.reply("Nothing.")
            assert telegram.sent()[0].reply_to is asked
            await answer.edit("Rain.")
            assert telegram.sent()[0].texts == ["Nothing.", "Rain."]
            with pytest.raises(errors.MessageNotModifiedError):
                await answer.edit("Rain.")

            telegram.say(alice, "Sure?", to=bot, reply_to=telegram.sent()[0])
            assert (await heard.next()).reply_to_msg_id == answer.id
            telegram.edit(asked, "What is old?")
            assert (await heard.next()).raw_text == "What is old?"
            said = telegram.say(bob, "I am Bob", to=bob)
            telegram.say(alice, said.text, to=bot, forward_of=said)
            forwarded = await heard.next()
            assert forwarded.message.fwd_from.from_id == types.PeerUser(bob.id)
            await forwarded.forward_to(alice.id)
            assert telegram.sent()[1].forward_of is not None
            await answer.delete()
            assert telegram.sent()[0].is_deleted


async def test_a_random_id_is_sent_once_and_refused_afterwards() -> None:
    async with Telegram() as telegram:
        bot, alice = telegram.bot(), telegram.person("Alice")
        async with listening(telegram, bot) as heard:
            peer = await heard.client.get_input_entity(alice.id)
            request = functions.messages.SendMessageRequest(peer, "once", random_id=77)
            await heard.client(request)
            again = functions.messages.SendMessageRequest(peer, "twice", random_id=77)
            with pytest.raises(errors.RandomIdDuplicateError):
                await heard.client._sender.send(
                    again
                )  # the client itself takes this for a fault of Telegram and waits 2 s
            assert [(post.text, post.random_id) for post in telegram.sent(by=bot, to=alice)] == [("once", 77)]


async def test_what_one_client_sends_is_pushed_to_the_other_clients_of_its_account(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with Telegram() as telegram:
        ada, alice = telegram.user("1", "Ada"), telegram.person("alice")
        async with listening(telegram, ada) as one, listening(telegram, ada) as other:
            pushed: list[Connection] = []
            monkeypatch.setattr(Connection, "push", lambda connection, _update: pushed.append(connection))
            await one.client.send_message("alice", "hello")
            keys = {connection.key.auth.key for connection in pushed}
            assert keys == {other.client.session.auth_key.key}, "who sends it has it in the answer"
            assert [post.text for post in telegram.sent(to=alice)] == ["hello"]


async def test_a_user_account_must_say_the_access_hash_and_a_bot_need_not() -> None:
    async with Telegram() as telegram:
        alice = telegram.person("Alice")
        bare = functions.messages.SendMessageRequest(types.InputPeerUser(alice.id, 0), "hi")
        async with listening(telegram, telegram.bot()) as bot, listening(telegram, telegram.user("1", "Ada")) as user:
            await bot.client(bare)
            with pytest.raises(errors.PeerIdInvalidError):
                await user.client(bare)
            assert (await user.client.get_entity("alice")).id == alice.id
            await user.client.send_message(alice.id, "now it is known")


@pytest.mark.parametrize(("text", "error"), [("x" * 4097, errors.MessageTooLongError), (" ", errors.MessageEmptyError)])
async def test_a_text_that_telegram_would_refuse_is_refused(text: str, error: type[Exception]) -> None:
    async with Telegram() as telegram:
        alice = telegram.person("Alice")
        async with listening(telegram, telegram.bot()) as heard:
            with pytest.raises(error):
                await heard.client(functions.messages.SendMessageRequest(types.InputPeerUser(alice.id, 0), text))


async def test_a_press_reaches_the_bot_and_its_answer_the_presser() -> None:
    async with Telegram() as telegram:
        bot, alice, mallory = telegram.bot(), telegram.person("Alice"), telegram.person("Mallory")
        async with listening(telegram, bot) as heard:
            await heard.client.send_message(alice.id, "Approve?", buttons=[Button.inline("Yes", b"yes:1")])
            card = telegram.sent()[0]
            press = telegram.press(card, "Yes", by=alice)
            query = await heard.next()
            assert (query.data, query.sender_id) == (b"yes:1", alice.id)
            await query.answer("Approved", alert=True)
            assert ((await press.answer).message, (await press.answer).alert) == ("Approved", True)
            await query.edit("Approved", buttons=None)
            assert (card.text, card.buttons) == ("Approved", None)
            telegram.press_data(card, b"yes:2", by=mallory)
            guessed = await heard.next()
            assert (guessed.data, guessed.sender_id) == (b"yes:2", mallory.id)
            with pytest.raises(errors.QueryIdInvalidError):
                await heard.client(functions.messages.SetBotCallbackAnswerRequest(press.id, 0))
        with pytest.raises(LookupError, match="no button"):
            telegram.press(card, "Yes", by=alice)


async def test_in_a_group_a_bot_sees_who_speaks_and_when_it_is_meant() -> None:
    async with Telegram() as telegram:
        bot, alice = telegram.bot(), telegram.person("Alice")
        group = telegram.group("Team", bot, alice)
        async with listening(telegram, bot) as heard:
            telegram.say(alice, "lunch?", to=group)
            plain = await heard.next()
            assert (plain.is_group, plain.sender_id, plain.mentioned) == (True, alice.id, False)
            telegram.say(alice, "@jobsbot, what is new?", to=group)
            assert (await heard.next()).mentioned
            await plain.respond("Soup.")
            assert telegram.sent(to=group)[0].text == "Soup."
            telegram.say(alice, "Good", to=group, reply_to=telegram.sent()[0])
            assert (await heard.next()).mentioned
            group.members.remove(bot)
            with pytest.raises(errors.ChatForbiddenError):
                await plain.respond("Still there?")


async def test_a_topic_is_answered_in_the_topic_until_it_is_deleted() -> None:
    async with Telegram() as telegram:
        bot, alice = telegram.bot(), telegram.person("Alice")
        forum = telegram.supergroup("Forum", bot, alice, is_forum=True)
        async with listening(telegram, bot) as heard:
            topic = telegram.topic(forum, "Weather", by=alice)
            asked = telegram.say(alice, "Rain?", to=topic)
            event = await heard.next()
            assert (event.reply_to.forum_topic, event.reply_to.reply_to_msg_id) == (True, topic.id)
            await event.respond("Sun.", reply_to=topic.id)
            await event.reply("Really.")
            plain, reply = telegram.sent(to=forum)
            assert (plain.topic, plain.reply_to) == (topic, None)
            assert (reply.topic, reply.reply_to) == (topic, asked)
            topic.is_deleted = True
            with pytest.raises(errors.TopicDeletedError):
                await event.respond("Snow.", reply_to=topic.id)


async def test_a_person_who_blocked_a_bot_is_sent_nothing() -> None:
    async with Telegram() as telegram:
        bot, alice = telegram.bot(), telegram.person("Alice")
        async with listening(telegram, bot) as heard:
            bot.blocked_by.add(alice)
            with pytest.raises(errors.UserIsBlockedError):
                await heard.client.send_message(alice.id, "hello?")
            assert telegram.sent() == []


async def test_a_user_reads_history_and_dialogs_and_a_bot_only_messages_by_id() -> None:
    async with Telegram() as telegram:
        bot, ada, alice = telegram.bot(), telegram.user("1", "Ada"), telegram.person("Alice")
        for number in range(1, 6):
            telegram.say(alice, f"m{number}", to=ada)
        gone = telegram.say(alice, "gone", to=bot)
        telegram.say(alice, "here", to=bot)
        telegram.delete(gone)
        async with listening(telegram, ada) as user, listening(telegram, bot) as heard:
            dialogs = await user.client.get_dialogs()
            assert [(dialog.entity.id, dialog.message.text) for dialog in dialogs] == [(alice.id, "m5")]
            assert [m.text for m in await user.client.get_messages(alice.id, limit=2)] == ["m5", "m4"]
            assert [m.text for m in await user.client.get_messages(alice.id, limit=9, min_id=3, reverse=True)] == [
                "m4",
                "m5",
            ]
            assert [m and m.text for m in await heard.client.get_messages(alice.id, ids=[1, 2, 3])] == [
                None,
                "here",
                None,
            ]
            with pytest.raises(errors.BotMethodInvalidError):
                await heard.client.get_messages(alice.id, limit=2)
