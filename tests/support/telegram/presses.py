"""A press of an inline button, and the bot's answer to it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.support.telegram.people import Account, Person
    from tests.support.telegram.posts import Post


@dataclass(eq=False)
class Press:
    """What a person waits for after pressing. `answer` is the `messages.BotCallbackAnswer` that they are shown."""

    id: int
    post: Post
    by: Person
    bot: Account
    data: bytes
    answer: asyncio.Future[Any] = field(default_factory=lambda: asyncio.get_running_loop().create_future())

    @property
    def is_answered(self) -> bool:
        return self.answer.done()
