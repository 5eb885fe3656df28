"""What Telegram knows: its people, groups, files and posts; and what happens to posts, told to every account concerned."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Literal

from tests.support.telegram.chats import Chat, Group, Private, Supergroup
from tests.support.telegram.people import Account, Person
from tests.support.telegram.posts import File, Post, now

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.support.telegram.mailbox import Change, Mailbox
    from tests.support.telegram.presses import Press

    Told = Callable[[Account, Mailbox, Change], None]


class World:
    """All there is. `tell` is called with each change that an account should hear of."""

    def __init__(self, tell: Told) -> None:
        self._tell = tell
        self.people: dict[int, Person] = {}
        self.groups: dict[int, Group] = {}
        self.files: dict[int, File] = {}
        self.posts: list[Post] = []
        self.presses: dict[int, Press] = {}
        self.draw = itertools.count(1001).__next__
        """Draws the next id, for whatever needs one."""

    @property
    def accounts(self) -> list[Account]:
        return [person for person in self.people.values() if isinstance(person, Account)]

    def mailbox(self, chat: Chat, account: Account) -> Mailbox:
        """Give the mailbox in which an account finds a chat."""
        return chat.mailbox if isinstance(chat, Supergroup) else account.mailbox

    def add(self, post: Post) -> None:
        """Say something."""
        self.posts.append(post)
        if post.file is not None:
            self.files[post.file.id] = post.file
        self._happened("new", post)

    def edit(self, post: Post, text: str) -> None:
        """Change what was said."""
        post.text = text
        post.texts.append(text)
        post.edited = now()
        self._happened("edit", post)

    def delete(self, post: Post) -> None:
        """Take back what was said, for everybody."""
        post.is_deleted = True
        self._happened("delete", post)

    def _happened(self, kind: Literal["new", "edit", "delete"], post: Post) -> None:
        accounts = [member for member in post.chat.members if isinstance(member, Account)]
        changes: dict[Mailbox, Change] = {}
        for account in accounts:
            mailbox = self.mailbox(post.chat, account)
            if mailbox not in changes:
                changes[mailbox] = mailbox.record(kind, post)
            self._tell(account, mailbox, changes[mailbox])

    def chats(self, account: Account) -> Iterator[Chat]:
        """Give the chats of an account in which something was said, the latest first."""
        seen: set[Chat] = set()
        for post in reversed(self.posts):
            if account in post.chat.members and post.chat not in seen:
                seen.add(post.chat)
                yield post.chat

    def private(self, one: Person, other: Person) -> Private:
        """Give the chat of two persons."""
        return Private(frozenset({one, other}))
