"""Plain words in private chats, taken in together: most of what comes, and all of it in a few statements.

    plain by what it says ─▶ new, nothing of its chat waits ─▶ a person known and heard ─▶ in a chat of theirs ─▶ taken in
          └ else ───────────────────┴────────────────────────────┴───────────────────────────────┴─▶ taking.py, one by one

A chat goes one way or the other with all that is taken in of it now, so that it keeps its order.
"""

from collections.abc import Callable, Iterable, Sequence

from assistant.held import is_heard
from assistant.people import User, seen, tidy
from assistant.together import Words, open_chats, receive_all
from gateways.telegram import taken
from gateways.telegram.accounts import CHANNEL
from gateways.telegram.after import After
from gateways.telegram.door import Door, command_of, session_of
from gateways.telegram.incoming import Incoming, Pressed
from gateways.telegram.media import describe
from gateways.telegram.words import words_of
from jobs_core import Connection


def is_plain(door: Door, said: Incoming | Pressed) -> bool:
    """Whether it is words in a private chat, and is about nothing else."""
    if not isinstance(said, Incoming) or not said.is_private or said.topic_id:
        return False
    about = (said.edited_at, said.reply_to, said.quote, said.album)
    return about == (None, None, None, None) and describe(said.message) is None and command_of(door.held, said) is None


async def take_plain(conn: Connection, door: Door, said: Sequence[Incoming]) -> tuple[After, set[int]]:
    """Take in what can be of plain messages; returns the chats of which all was. Do what is returned after the commit.

    Raises UniqueViolation where another process took one meanwhile: roll back, and call it again.
    """
    if not said:
        return After(), set()
    sessions = {one.chat_id: session_of(door.held, one) for one in said}
    new = await taken.are_new(conn, door.held.name, said, sessions)
    left = _whole_chats(said, lambda one: (one.chat_id, one.message_id) in new)
    people = await _people(conn, door, left)
    left = _whole_chats(left, lambda one: one.sender_id in people)
    whose = {sessions[one.chat_id]: people[one.sender_id].id for one in left}
    chats = await open_chats(conn, CHANNEL, list(whose.items()))
    left = [one for one in left if sessions[one.chat_id] in chats]
    if not left:
        return After(), set()
    words = [Words(sessions[one.chat_id], people[one.sender_id].id, words_of(one)) for one in left]
    received = await receive_all(conn, door.jobs, words)
    lines = [taken.Line(one.session_id, one.user_id, n) for one, n in zip(words, received.ids, strict=True)]
    await taken.note_all(conn, door.held.name, left, lines)
    return After(wake=[received.wake]), {one.chat_id for one in left}


def _whole_chats(said: Iterable[Incoming], goes_on: Callable[[Incoming], bool]) -> list[Incoming]:
    """What was said in those chats of which all goes on."""
    said = list(said)
    ends = {one.chat_id for one in said if not goes_on(one)}
    return [one for one in said if one.chat_id not in ends]


async def _people(conn: Connection, door: Door, said: Sequence[Incoming]) -> dict[int, User]:
    """Who of those who say it is known, came by this account before, and is heard; noted as seen now."""
    names = {str(one.sender_id): (tidy(one.sender_name), tidy(one.username)) for one in said}
    owner, hold_unknown = door.people.owner_tg_user_id, door.people.unknown_senders == "hold"
    found = await seen(conn, CHANNEL, [(address, *name) for address, name in names.items()])
    return {
        int(one.address): one.user
        for one in found
        if one.account == door.held.name
        and (one.user.is_owner or int(one.address) != owner)  # else this is when they become it
        and is_heard(one.user, hold_unknown=hold_unknown)
        and one.user.admission != "held"  # of an owner what was kept is taken in first
    }
