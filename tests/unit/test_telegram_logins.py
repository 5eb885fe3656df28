"""The Telegram server for tests: how stock Telethon logs in to it, and how it loses its login."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest
from telethon import errors, functions
from telethon.crypto import AuthKey
from telethon.sessions import StringSession

from tests.support.telegram import Telegram
from tests.support.telegram.cipher import BadMessage, Message, decrypt, encrypt
from tests.support.telegram.framing import BadFrame, Frames
from tests.support.telegram.handshake import BadHandshake, Handshake
from tests.support.telegram.listening import listening


async def test_a_bot_shakes_hands_logs_in_by_token_and_comes_back_with_its_key() -> None:
    async with Telegram() as telegram:
        bot = telegram.bot("7:secret")
        client = telegram.client(telegram.session())
        await client.connect()
        assert not await client.is_user_authorized()
        with pytest.raises(errors.AccessTokenInvalidError):
            await client.sign_in(bot_token="7:wrong")
        me = await client.sign_in(bot_token="7:secret")
        assert (me.id, me.bot) == (bot.id, True)
        assert client._sender._state.salt == telegram.server.keys.of(bot)[0].salt, "it was told the right one"
        saved = client.session.save()
        await client.disconnect()
        again = telegram.client(StringSession(saved))
        await again.connect()
        assert (await again.get_me()).username == "jobsbot"
        await again.log_out()


async def test_a_user_logs_in_by_phone_code_and_password() -> None:
    async with Telegram() as telegram:
        ada = telegram.user("15550001", "Ada", password="lovelace")
        client = telegram.client(telegram.session())
        await client.connect()
        await client.send_code_request("+15550001")
        with pytest.raises(errors.PhoneCodeInvalidError):
            await client.sign_in("+15550001", "99999")
        with pytest.raises(errors.SessionPasswordNeededError):
            await client.sign_in("+15550001", ada.code)
        with pytest.raises(errors.PasswordHashInvalidError):
            await client.sign_in(password="byron")
        assert not await client.is_user_authorized()
        me = await client.sign_in(password="lovelace")
        assert (me.id, me.phone) == (ada.id, "15550001")
        await client.disconnect()


@pytest.mark.parametrize("password", [None, "lovelace"])
async def test_a_user_logs_in_by_a_code_that_they_scan(password: str | None) -> None:
    async with Telegram() as telegram:
        ada = telegram.user("15550001", "Ada", password=password)
        client = telegram.client(telegram.session())
        await client.connect()
        drawn = await client.qr_login()
        waiting = asyncio.create_task(drawn.wait(30))
        await asyncio.sleep(0)  # it listens now
        telegram.scan(drawn.token, by=ada)
        if password is None:
            assert (await waiting).id == ada.id
        else:
            with pytest.raises(errors.SessionPasswordNeededError):
                await waiting
            assert (await client.sign_in(password=password)).id == ada.id
        await client.disconnect()


async def test_a_revoked_session_is_refused() -> None:
    async with Telegram() as telegram:
        bot = telegram.bot()
        async with listening(telegram, bot) as heard:
            telegram.revoke(bot)
            with pytest.raises(errors.SessionRevokedError):
                await heard.client(functions.updates.GetStateRequest())


async def test_a_key_that_the_server_forgot_ends_the_client() -> None:
    async with Telegram() as telegram:
        bot = telegram.bot()
        async with listening(telegram, bot) as heard:
            telegram.forget_keys(bot)
            with pytest.raises(errors.AuthKeyNotFound):
                await heard.client.disconnected


async def test_a_key_in_use_from_two_places_is_burnt_for_both() -> None:
    async with Telegram() as telegram:
        bot = telegram.bot()
        telegram.faults.burn_keys_in_two_places = True
        session = telegram.session(bot).save()
        async with listening(telegram, bot, StringSession(session)) as first:
            await first.client.get_me()
            second = telegram.client(StringSession(session))
            with pytest.raises(errors.AuthKeyDuplicatedError):
                await second.connect()
            with pytest.raises(errors.AuthKeyDuplicatedError):
                await first.client(functions.updates.GetStateRequest())
            await second.disconnect()
            assert telegram.server.connections(bot) == [], "a burnt key is pushed to no more"


async def test_a_key_that_moves_from_one_connection_to_the_next_is_not_burnt() -> None:
    async with Telegram() as telegram:
        bot = telegram.bot()
        telegram.faults.burn_keys_in_two_places = True
        session = telegram.session(bot).save()
        for _ in range(2):
            async with listening(telegram, bot, StringSession(session)) as heard:
                assert (await heard.client.get_me()).id == bot.id


async def test_a_request_that_nobody_answers_is_refused_by_name_and_fails_the_test() -> None:
    with pytest.raises(AssertionError, match=r"nobody answers messages\.GetStickersRequest"):
        async with Telegram() as telegram, listening(telegram, telegram.bot()) as heard:
            with pytest.raises(errors.RPCError, match=r"KNOWS_NO messages\.GetStickersRequest"):
                await heard.client(functions.messages.GetStickersRequest("", 0))


async def test_a_field_that_nobody_heeds_fails_the_test() -> None:
    with pytest.raises(AssertionError, match=r"does not do .*schedule_date"):
        async with Telegram() as telegram, listening(telegram, telegram.bot()) as heard:
            alice = telegram.person("Alice")
            with pytest.raises(errors.RPCError, match="BROKE"):
                await heard.client.send_message(alice.id, "later", schedule=timedelta(hours=1))
            assert telegram.sent() == []


async def test_a_client_that_speaks_no_tcp_full_fails_the_test() -> None:
    with pytest.raises(AssertionError, match=BadFrame.__name__):
        async with Telegram() as telegram:
            reader, writer = await asyncio.open_connection("127.0.0.1", telegram.server.port)
            writer.write(b"GET / HTTP/1.1\r\n\r\n")
            assert await reader.read() == b""
            writer.close()


def test_a_message_that_was_changed_on_its_way_is_refused() -> None:
    key = AuthKey(bytes(range(256)))
    packet = bytearray(encrypt(key, Message(1, 2, 3, 4, b"body")))
    packet[-1] ^= 1
    with pytest.raises(BadMessage):
        decrypt(key, bytes(packet))


def test_a_handshake_goes_by_its_steps() -> None:
    step = bytes(functions.SetClientDHParamsRequest(1, 2, b""))
    with pytest.raises(BadHandshake, match="SetClientDHParamsRequest is no step"):
        Handshake().answer(bytes(16) + len(step).to_bytes(4, "little") + step, message_id=1)


async def test_a_frame_with_a_wrong_checksum_is_refused() -> None:
    reader = asyncio.StreamReader()
    reader.feed_data(b"\x10\0\0\0" + b"\0\0\0\0" + b"body" + b"\0\0\0\0")
    with pytest.raises(BadFrame, match="checksum"):
        await Frames(reader, None).read()  # type: ignore[arg-type] - nothing is written
