"""The Telegram server for tests: faults, and how stock Telethon fares with them."""

from __future__ import annotations

import asyncio

import pytest
from telethon import errors, functions, types

from tests.support.telegram import Telegram
from tests.support.telegram.listening import listening

SEND = functions.messages.SendMessageRequest


async def test_what_was_missed_while_away_is_caught_up_in_slices() -> None:
    async with Telegram() as telegram:
        bot, alice = telegram.bot(), telegram.person("Alice")
        session = telegram.session(bot)
        telegram.say(alice, "before", to=bot)
        async with listening(telegram, bot, session) as heard:
            telegram.say(alice, "there", to=bot)
            assert await heard.texts(1) == ["there"]
        said = [f"m{number}" for number in range(230)]
        for text in said:
            telegram.say(alice, text, to=bot)
        async with listening(telegram, bot, session, catch_up=True) as heard:
            assert await heard.texts(230) == said
            assert heard.is_quiet
        slices = [r for r in telegram.server.requests if isinstance(r, functions.updates.GetDifferenceRequest)]
        assert len(slices) >= 3


async def test_one_can_wait_until_a_client_has_left() -> None:
    async with Telegram() as telegram:
        bot, alice = telegram.bot(), telegram.person("Alice")
        async with listening(telegram, bot) as heard:
            telegram.say(alice, "there", to=bot)
            await heard.texts(1)
            assert telegram.server.connections(bot)
            left = asyncio.create_task(telegram.until(lambda: not telegram.server.connections(bot)))
        await left


async def test_a_supergroup_is_caught_up_by_its_own_pts() -> None:
    async with Telegram() as telegram:
        bot, alice = telegram.bot(), telegram.person("Alice")
        group = telegram.supergroup("Team", bot, alice)
        async with listening(telegram, bot) as heard:
            telegram.say(alice, "one", to=group)
            assert await heard.texts(1) == ["one"]
            telegram.faults.updates(bot).drop = 1
            for text in ("two", "three"):
                telegram.say(alice, text, to=group)
            assert sorted(await heard.texts(2)) == ["three", "two"]


@pytest.mark.parametrize("fault", ["drop", "double", "reverse"])
async def test_dropped_doubled_and_reversed_updates_arrive_once_each(fault: str) -> None:
    async with Telegram() as telegram:
        bot, alice = telegram.bot(), telegram.person("Alice")
        async with listening(telegram, bot) as heard:
            setattr(telegram.faults.updates(bot), fault, 2)
            said = [f"m{number}" for number in range(4)]
            for text in said:
                telegram.say(alice, text, to=bot)
            assert await heard.texts(4) == said
            telegram.say(alice, "end", to=bot)
            assert await heard.texts(1) == ["end"]
            asked = [r for r in telegram.server.requests if isinstance(r, functions.updates.GetDifferenceRequest)]
            assert len(asked) == (2 if fault == "drop" else 1), "only what was dropped needs a second difference"


async def test_a_shaken_stream_is_the_same_for_the_same_seed() -> None:
    async with Telegram() as telegram:
        bot, alice = telegram.bot(), telegram.person("Alice")
        plans = []
        for _ in range(2):
            telegram.faults.shake(bot, seed=3, drop=0.3, double=0.3)
            plans.append([telegram.faults.updates(bot).plan(number) for number in range(50)])
        assert plans[0] == plans[1]
        assert {len(plan) for plan in plans[0]} == {0, 1, 2}
        telegram.say(alice, "nobody listens", to=bot)


async def test_a_client_that_was_cut_off_comes_back_by_itself_and_has_to_ask_what_it_missed() -> None:
    async with Telegram() as telegram:
        bot, alice = telegram.bot(), telegram.person("Alice")
        async with listening(telegram, bot) as heard:
            telegram.faults.updates(bot).disconnect_after = 2
            for number in range(4):
                telegram.say(alice, f"m{number}", to=bot)
            assert await heard.texts(2) == ["m0", "m1"]
            await telegram.until(lambda: bool(telegram.server.connections(bot)))
            await heard.client.catch_up()
            assert await heard.texts(2) == ["m2", "m3"]


async def test_a_server_that_went_away_comes_back_with_all_it_knew() -> None:
    async with Telegram() as telegram:
        bot, alice = telegram.bot(), telegram.person("Alice")
        async with listening(telegram, bot) as heard:
            await telegram.server.stop()
            telegram.say(alice, "nobody is there", to=bot)
            await telegram.server.start()
            await telegram.until(lambda: bool(telegram.server.connections(bot)))
            await heard.client.catch_up()
            assert await heard.texts(1) == ["nobody is there"]


async def test_a_flood_wait_says_how_long_and_carries_nothing_out() -> None:
    async with Telegram() as telegram:
        bot, alice = telegram.bot(), telegram.person("Alice")
        telegram.faults.flood_wait(SEND, 30)
        async with listening(telegram, bot) as heard:
            with pytest.raises(errors.FloodWaitError) as waited:
                await heard.client.send_message(alice.id, "too fast")
            assert (waited.value.seconds, telegram.sent()) == (30, [])


async def test_an_error_on_demand_is_met_as_often_as_was_asked() -> None:
    async with Telegram() as telegram:
        bot, alice = telegram.bot(), telegram.person("Alice")
        telegram.faults.refuse(SEND, "CHAT_WRITE_FORBIDDEN", code=403, times=2)
        async with listening(telegram, bot) as heard:
            for _ in range(2):
                with pytest.raises(errors.ChatWriteForbiddenError):
                    await heard.client.send_message(alice.id, "no")
            await heard.client.send_message(alice.id, "yes")
            assert [post.text for post in telegram.sent()] == ["yes"]


async def test_a_request_can_stay_unanswered_whether_carried_out_or_not() -> None:
    async with Telegram() as telegram:
        bot, alice = telegram.bot(), telegram.person("Alice")
        telegram.faults.never_answer(SEND)
        telegram.faults.never_answer(SEND, carried_out=True)
        async with listening(telegram, bot) as heard:
            asked = [asyncio.create_task(heard.client.send_message(alice.id, text)) for text in ("lost", "sent")]
            await telegram.until(lambda: len(telegram.sent()) == 1)
            assert [post.text for post in telegram.sent()] == ["sent"]
            await heard.client.get_me()
            assert not any(task.done() for task in asked)
            for task in asked:
                task.cancel()


async def test_an_answer_lost_with_its_connection_is_asked_again_and_refused_as_a_duplicate() -> None:
    async with Telegram() as telegram:
        bot, alice = telegram.bot(), telegram.person("Alice")
        telegram.faults.cut_before_answer(SEND)
        async with listening(telegram, bot) as heard:
            with pytest.raises(errors.RandomIdDuplicateError):
                await heard.client(SEND(types.InputPeerUser(alice.id, 0), "once", random_id=9))
            assert [post.random_id for post in telegram.sent()] == [9]


async def test_a_request_lost_with_its_connection_is_asked_again_and_carried_out() -> None:
    async with Telegram() as telegram:
        bot, alice = telegram.bot(), telegram.person("Alice")
        telegram.faults.cut_before_answer(SEND, carried_out=False)
        async with listening(telegram, bot) as heard:
            await heard.client(SEND(types.InputPeerUser(alice.id, 0), "once", random_id=9))
            assert [post.random_id for post in telegram.sent()] == [9]
