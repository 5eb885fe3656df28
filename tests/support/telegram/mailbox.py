"""A mailbox: message ids and an ordered log of changes, each of which moves its pts by one.

An account has one for its private chats and basic groups; a supergroup has one of its own. What a client missed, it asks for by
the last pts that it saw: the log goes back to the start.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from tests.support.telegram.chats import Chat
    from tests.support.telegram.posts import Post

FIRST_PTS = 1
"""The pts of a mailbox in which nothing has happened. Telegram knows no pts of 0."""


@dataclass(frozen=True, slots=True)
class Change:
    """One line of the log: what happened to which post."""

    pts: int
    kind: Literal["new", "edit", "delete"]
    post: Post
    id: int


class Mailbox:
    """Posts by id, and what happened to them."""

    def __init__(self) -> None:
        self.posts: dict[int, Post] = {}
        self.ids: dict[Post, int] = {}
        self.log: list[Change] = []

    @property
    def pts(self) -> int:
        return FIRST_PTS + len(self.log)

    def record(self, kind: Literal["new", "edit", "delete"], post: Post) -> Change:
        """Write a change down. A new post gets the next id."""
        if kind == "new":
            self.ids[post] = len(self.ids) + 1
            self.posts[self.ids[post]] = post
        change = Change(self.pts + 1, kind, post, self.ids[post])
        self.log.append(change)
        return change

    def since(self, pts: int, limit: int) -> list[Change]:
        """Give the oldest `limit` changes after `pts`."""
        start = max(pts - FIRST_PTS, 0)
        return self.log[start : start + limit]

    def find(self, message_id: int) -> Post | None:
        """Give the post with that id, unless it was deleted."""
        post = self.posts.get(message_id)
        return None if post is None or post.is_deleted else post

    def history(self, chat: Chat) -> list[tuple[int, Post]]:
        """Give what is there of a chat, newest first, with ids."""
        there = [(number, post) for number, post in self.posts.items() if post.chat == chat and not post.is_deleted]
        return there[::-1]
