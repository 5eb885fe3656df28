"""An account that is held, as who takes in for it sees it: who writes there, in which chat session, and what is a command."""

import re
from dataclasses import dataclass, field

from assistant import people
from assistant.incoming import is_theirs
from assistant.people import User
from assistant.settings import AssistantSettings, MediaSettings
from gateways.telegram.accounts import CHANNEL
from gateways.telegram.commands import COMMANDS
from gateways.telegram.incoming import Incoming, Pressed
from gateways.telegram.lease import Held
from gateways.telegram.settings import TelegramSettings
from gateways.telegram.unseen import Unseen
from jobs_core import Connection, Jobs

_MOST_KNOWN = 10_000
_COMMAND = re.compile(r"/(?P<name>[a-z]+)(?:@(?P<whose>\w+))?(?:\s+(?P<rest>.*))?", re.DOTALL | re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Door:
    """An account that this process holds, and what taking its messages in needs besides."""

    held: Held
    jobs: Jobs
    settings: TelegramSettings
    people: AssistantSettings
    media: MediaSettings
    known: dict[str, str] = field(default_factory=dict, repr=False, compare=False)
    """By place: whose chat it certainly is, so that a message need not look. What is said of a person there stays true."""
    unseen: Unseen = field(default_factory=Unseen, repr=False, compare=False)


async def person(conn: Connection, door: Door, who: Incoming | Pressed) -> User:
    """Whoever sent or pressed something, by the number that Telegram vouches for."""
    return await people.contact(
        conn,
        CHANNEL,
        str(who.sender_id),
        name=who.sender_name,
        username=who.username,
        tg_user_id=who.sender_id,
        owner_tg_user_id=door.people.owner_tg_user_id,
        account=door.held.name,
    )


async def chat_of(conn: Connection, door: Door, message: Incoming, user: User) -> str:
    """The id of the chat session that a message of this person belongs to.

    It is the place's (`session_of`). Where the chat there is of somebody else, who came by this number until it was unlinked,
    they have one of their own, and neither sees the other's.
    """
    place = session_of(door.held, message)
    if door.known.get(place) == user.id:
        return place
    theirs = await is_theirs(conn, place, user.id)
    if theirs is False:
        return f"{place}.{user.id}"
    if theirs:
        _remember(door.known, place, user.id)
    return place


def session_of(held: Held, message: Incoming) -> str:
    """The id of the chat session at a place: an account, a chat, a topic and, where there are others, the sender."""
    if message.is_private:
        return f"{held.prefix}_{message.chat_id}"
    topic = f"_{message.topic_id}" if message.topic_id else ""
    return f"{held.prefix}_{message.chat_id}{topic}_{message.sender_id}"


def _remember(known: dict[str, str], place: str, user_id: str) -> None:
    if len(known) >= _MOST_KNOWN:
        known.clear()
    known[place] = user_id


def command_of(held: Held, message: Incoming) -> tuple[str, str] | None:
    """The command that a message is, and what stands behind it; None: it is none of ours. Forwarded words command nothing."""
    match = _COMMAND.fullmatch(message.text)
    if match is None or message.forwarded_from is not None or match["name"].lower() not in COMMANDS:
        return None
    if match["whose"] and match["whose"].lower() != (held.username or "").lower():
        return None
    return match["name"].lower(), (match["rest"] or "").strip()
