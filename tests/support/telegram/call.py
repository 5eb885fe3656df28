"""A request on its way through the server, and the table of who answers which."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from telethon import types

from tests.support.telegram import show
from tests.support.telegram.chats import Chat, Group, Supergroup
from tests.support.telegram.posts import now

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.telegram.connection import Connection
    from tests.support.telegram.keys import Key
    from tests.support.telegram.mailbox import Change, Mailbox
    from tests.support.telegram.people import Account, Person
    from tests.support.telegram.server import Server
    from tests.support.telegram.world import World

    Answer = Callable[["Call", Any], Any]


class Refused(Exception):
    """A request that Telegram would refuse, with its code and name."""

    def __init__(self, error: str, code: int = 400) -> None:
        super().__init__(error)
        self.code = code


@dataclass(eq=False)
class Call:
    """One request: who asks, over which connection; and what it changed, which the answer must tell."""

    server: Server
    connection: Connection
    key: Key
    told: list[tuple[Mailbox, Change]] = field(default_factory=list)

    @property
    def world(self) -> World:
        return self.server.world

    @property
    def account(self) -> Account:
        """Who asks. Raises `Refused` before a login."""
        if self.key.account is None:
            raise Refused("AUTH_KEY_UNREGISTERED", 401)
        return self.key.account

    def person(self, named: Any) -> Person:
        """Find whom an input peer or input user names. Raises `Refused` where the access hash is not this account's."""
        if isinstance(named, types.InputPeerSelf | types.InputUserSelf):
            return self.account
        person = self.world.people.get(named.user_id)
        if person is None or not self._may_name(person, named.access_hash):
            raise Refused("PEER_ID_INVALID")
        return person

    def chat(self, named: Any) -> Chat:
        """Find the chat that an input peer or input channel names, and that the account may see."""
        if isinstance(named, types.InputPeerChat):
            group = self.world.groups.get(named.chat_id)
        elif isinstance(named, types.InputPeerChannel | types.InputChannel):
            group = self.world.groups.get(named.channel_id)
            if group is not None and not self._may_name(group, named.access_hash):
                raise Refused("CHANNEL_INVALID")
        else:
            return self.world.private(self.account, self.person(named))
        if group is None:
            raise Refused("CHAT_ID_INVALID")
        if self.account not in group.members:
            raise Refused("CHANNEL_PRIVATE" if isinstance(group, Supergroup) else "CHAT_FORBIDDEN")
        return group

    def _may_name(self, entity: Person | Group, access_hash: int) -> bool:
        """Whether the access hash is right; a bot may leave it out."""
        return access_hash == self.account.access_hash(entity) or (self.account.is_bot and access_hash == 0)

    def updates(self, *first: Any) -> Any:
        """Answer with what this request changed, after `first`."""
        account = self.account
        shown = [show.update(change, mailbox, account) for mailbox, change in self.told]
        named = show.entities([change.post for _, change in self.told], account)
        return types.Updates([*first, *shown], **named, date=now(), seq=0)


TABLE: dict[type[Any], Answer] = {}
"""Who answers which request."""


def answers(*requests: type[Any]) -> Callable[[Answer], Answer]:
    """Enter a function into the table: it is called with the call and the request, and gives the answer or raises `Refused`."""

    def enter(answer: Answer) -> Answer:
        TABLE.update(dict.fromkeys(requests, answer))
        return answer

    return enter
