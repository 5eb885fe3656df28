"""Where one can speak: with one person, in a basic group, or in a supergroup, with topics or without."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tests.support.telegram.mailbox import Mailbox

if TYPE_CHECKING:
    from tests.support.telegram.people import Person
    from tests.support.telegram.posts import Post


@dataclass(frozen=True)
class Private:
    """What two persons say to each other. Two of the same persons are equal."""

    members: frozenset[Person]

    def other_than(self, person: Person) -> Person:
        """Give the other one: oneself, for what one saves for oneself."""
        return next((member for member in self.members if member is not person), person)


@dataclass(eq=False)
class Group:
    """A basic group. Each account has its messages in its own mailbox, under ids of its own."""

    id: int
    title: str
    members: set[Person]


@dataclass(eq=False)
class Supergroup(Group):
    """A supergroup has one mailbox for all its members: message ids and pts are the group's."""

    is_forum: bool = False
    mailbox: Mailbox = field(default_factory=Mailbox)
    topics: list[Topic] = field(default_factory=list)


@dataclass(eq=False)
class Topic:
    """A thread of a forum. Its id is that of the service message that opened it."""

    group: Supergroup
    title: str
    is_deleted: bool = False
    opened_by: Post | None = None

    @property
    def id(self) -> int:
        assert self.opened_by is not None, "the topic has not been opened yet"
        return self.group.mailbox.ids[self.opened_by]


Chat = Private | Group
