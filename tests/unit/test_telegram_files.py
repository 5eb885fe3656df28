"""The Telegram server for tests: files through stock Telethon, up and down."""

from __future__ import annotations

import io

import pytest
from telethon import errors, functions, types

from tests.support.telegram import Telegram
from tests.support.telegram.listening import listening

PNG = b"\x89PNG\r\n\x1a\n" + bytes(200_000)


def file(name: str, data: bytes) -> io.BytesIO:
    made = io.BytesIO(data)
    made.name = name
    return made


async def test_photos_documents_and_voice_come_down_as_they_were() -> None:
    async with Telegram() as telegram:
        bot, alice = telegram.bot(), telegram.person("Alice")
        data = bytes(range(256)) * 3_000
        async with listening(telegram, bot) as heard:
            telegram.say(alice, "look", to=bot, file=telegram.photo(PNG))
            telegram.say(alice, "", to=bot, file=telegram.document("notes.pdf", data, "application/pdf"))
            telegram.say(alice, "", to=bot, file=telegram.voice(b"OggS" + data, seconds=7))
            photo, document, voice = [await heard.next() for _ in range(3)]
            assert (photo.raw_text, await photo.download_media(bytes)) == ("look", PNG)
            assert (document.file.name, document.file.size) == ("notes.pdf", len(data))
            assert await document.download_media(bytes) == data
            assert (voice.file.duration, voice.file.mime_type, voice.voice is not None) == (7, "audio/ogg", True)
            assert await voice.download_media(bytes) == b"OggS" + data


async def test_photos_documents_voice_and_albums_go_up_as_they_were() -> None:
    async with Telegram() as telegram:
        bot, alice = telegram.bot(), telegram.person("Alice")
        async with listening(telegram, bot) as heard:
            await heard.client.send_file(alice.id, file("a.png", PNG), caption="a chart")
            await heard.client.send_file(alice.id, file("b.csv", b"1,2\n"), force_document=True)
            await heard.client.send_file(alice.id, file("c.ogg", b"OggS"), voice_note=True)
            await heard.client.send_file(alice.id, [file("d.png", PNG), file("e.png", PNG[:-1])], caption="two")
        photo, document, voice, *album = telegram.sent()
        assert (photo.text, photo.file.data, photo.file.is_photo) == ("a chart", PNG, True)
        assert (document.file.name, document.file.data, document.file.is_photo) == ("b.csv", b"1,2\n", False)
        assert (voice.file.is_voice, voice.file.data) == (True, b"OggS")
        assert [post.file.data for post in album] == [PNG, PNG[:-1]]
        assert len({post.album for post in album}) == 1
        assert len({post.random_id for post in telegram.sent()}) == 5


async def test_an_album_comes_in_as_messages_of_one_group() -> None:
    async with Telegram() as telegram:
        bot, alice = telegram.bot(), telegram.person("Alice")
        async with listening(telegram, bot) as heard:
            for part in (PNG, PNG[:-1]):
                telegram.say(alice, "", to=bot, file=telegram.photo(part), album=5)
            assert [(await heard.next()).grouped_id for _ in range(2)] == [5, 5]


async def test_a_file_with_a_part_missing_or_changed_is_refused() -> None:
    async with Telegram() as telegram:
        alice = types.InputPeerUser(telegram.person("Alice").id, 0)
        async with listening(telegram, telegram.bot()) as heard:
            await heard.client(functions.upload.SaveFilePartRequest(1, 0, b"part"))
            for parts, error in ((2, errors.FilePartMissingError), (1, errors.Md5ChecksumInvalidError)):
                media = types.InputMediaUploadedPhoto(types.InputFile(1, parts, "a.png", "0" * 32))
                with pytest.raises(error):
                    await heard.client(functions.messages.SendMediaRequest(alice, media, ""))
            assert telegram.sent() == []
