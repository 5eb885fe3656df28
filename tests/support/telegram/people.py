"""Who there is: persons, whom a test moves by hand, and accounts, persons whose client is the program under test."""

from __future__ import annotations

from dataclasses import dataclass, field
from hashlib import sha256
from typing import TYPE_CHECKING

from tests.support.telegram.mailbox import Mailbox

if TYPE_CHECKING:
    from tests.support.telegram.chats import Group
    from tests.support.telegram.posts import Post


@dataclass(eq=False)
class Person:
    """Somebody with an id."""

    id: int
    name: str
    username: str | None = None


@dataclass(eq=False)
class Account(Person):
    """A person whose client logs in here: a bot by its token, a user by phone, code and perhaps a password."""

    token: str | None = None
    phone: str | None = None
    code: str = "12345"
    password: str | None = None
    mailbox: Mailbox = field(default_factory=Mailbox, repr=False)
    sent: dict[int, Post] = field(default_factory=dict, repr=False)
    """What it sent, by random id. Remembered for ever: how long Telegram does is not documented."""
    uploads: dict[int, dict[int, bytes]] = field(default_factory=dict, repr=False)
    """Parts of files that were uploaded, by file id and part."""
    blocked_by: set[Person] = field(default_factory=set, repr=False)

    @property
    def is_bot(self) -> bool:
        return self.token is not None

    def access_hash(self, entity: Person | Group) -> int:
        """Give what this account, and no other, must say beside a person's or a group's id."""
        return int.from_bytes(sha256(f"{self.id}:{entity.id}".encode()).digest()[:7], "big")
