"""Albums whose parts come apart, or are changed: nothing of them is lost."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from telethon import types

from gateways.telegram import ingress
from jobs_core import Connection, Database, fetch
from tests.support.telegram import Telegram
from tests.support.telegram.chats import Group
from tests.support.telegram.people import Account, Person
from tests.support.telegram.posts import File, Post
from tests.support.telegram_door import Door, door, logged_in, said_comes
from tests.support.worker import until


class Scene:
    """A bot whose account is held, and Alice."""

    def __init__(self, telegram: Telegram, bot: Account, opened: Door) -> None:
        self.telegram = telegram
        self.bot = bot
        self.door = opened
        self.alice = telegram.person("Alice")

    @property
    def ingress(self) -> Any:
        """Who takes in for the bot."""
        client: Any = self.door.clients["bot"]
        return client._on_batch.__self__

    async def waits(self, count: int) -> bool:
        """Whether so many parts have come that are not taken in yet."""
        return len(self.ingress._line) == count

    def part(self, text: str, to: Person | Group | None = None) -> Post:
        """Have Alice send a part of an album, for which nothing is to be fetched."""
        alt = types.DocumentAttributeSticker("x", types.InputStickerSetEmpty())
        file = File(99, b"x", "", "image/webp", [alt])
        return self.telegram.say(self.alice, text, to=to or self.bot, file=file, album=5)


@pytest.fixture
async def scene(database: Database) -> AsyncIterator[Scene]:
    """One in which nothing is sent or fetched."""
    async with Telegram() as telegram:
        bot = telegram.bot()
        await logged_in(database, telegram, bot)
        async with door(database) as opened:
            await opened.holds("bot")
            yield Scene(telegram, bot, opened)


async def test_an_album_that_is_changed_while_it_comes_is_taken_in_and_its_change_behind_it(
    scene: Scene, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its edit comes while the last part still waits for more."""
    monkeypatch.setattr(ingress, "ALBUM_S", 2.0)
    scene.part("one")
    last = scene.part("tow")
    await until(lambda: scene.waits(2))
    scene.telegram.edit(last, "two")
    album, change = await said_comes(database, 2)
    assert album == "[sticker x]\none\n[sticker x]\ntow"
    assert change.endswith("\n> tow\n[sticker x]\ntwo")


async def test_a_part_that_comes_twice_is_one(scene: Scene, database: Database, conn: Connection) -> None:
    """By an update, and by the look for what is missing."""
    scene.part("one")
    await until(lambda: scene.waits(1))
    scene.ingress.put_messages([next(iter(scene.ingress._line)).said])
    assert await said_comes(database, 1) == ["[sticker x]\none"]


async def test_in_a_group_more_of_an_album_is_to_us_though_only_its_first_part_names_us(
    scene: Scene, database: Database, conn: Connection
) -> None:
    """What others write comes in between."""
    bob = scene.telegram.person("Bob")
    group = scene.telegram.supergroup("G", scene.bot, scene.alice, bob)
    scene.part("@JobsBot one", to=group)
    await said_comes(database, 1)
    scene.part("two", to=group)
    scene.telegram.say(bob, "not to us", to=group, album=5)
    scene.telegram.say(scene.alice, "end", to=scene.bot)
    words = await said_comes(database, 3)
    assert words == ["[sticker x]\n@JobsBot one", "[sticker x]\ntwo", "end"]
    rows = await fetch(conn, "SELECT DISTINCT session_id FROM jobs.chat_message_history")
    assert len(rows) == 2


async def test_each_edit_of_an_album_counts_and_none_takes_the_words_of_other_parts_away(
    scene: Scene, database: Database
) -> None:
    one, two = scene.part("one"), scene.part("two")
    await said_comes(database, 1)
    scene.telegram.edit(one, "ONE")
    scene.telegram.edit(two, "TWO")
    scene.telegram.edit(two, "TWO")  # as a reaction comes
    words = await said_comes(database, 3)
    assert words[0] == "[sticker x]\none\n[sticker x]\ntwo"
    assert [text.rpartition("\n")[2] for text in words[1:]] == ["ONE", "TWO"]
    scene.telegram.say(scene.alice, "end", to=scene.bot)
    assert len(await said_comes(database, 4)) == 4
