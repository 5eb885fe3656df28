"""What an update says, in our words: a person's message, or the press of a button. What is nobody's to answer is not read on.

A person is told by the numeric id of who sent it, which Telegram vouches for. What comes from a channel, an anonymous
administrator, a bot (two that answer one another never end) or Telegram itself (whose messages hold login codes) is left alone,
and so is what this account says from another device.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from telethon import types, utils

from gateways.telegram.attachments import attachment_of
from gateways.telegram.lease import Held
from gateways.telegram.session import OWN

TELEGRAM_ITSELF = 777000
"""The account by which Telegram tells login codes."""
ELSEWHERE = "(a message of another chat)"
"""What stands for one that is answered here, where nothing of it is quoted."""


@dataclass(frozen=True, slots=True)
class Incoming:
    """A person's message, or a version of it. chat_id: marked. topic_id: 0 where there is none. edited_at: None: the first one.

    mentioned: Telegram says that it is for us. reply_to: the message of this chat that it answers. quote: the part of that it
    is about, or of one of another chat.
    forwarded_from: whose words they are, where they are not the sender's. attachment: a line that names what came with it.
    message: as Telegram sent it.
    """

    chat_id: int
    message_id: int
    sender_id: int
    sender_name: str | None
    username: str | None
    text: str
    topic_id: int = 0
    edited_at: datetime | None = None
    is_private: bool = True
    mentioned: bool = False
    reply_to: int | None = None
    quote: str | None = None
    forwarded_from: str | None = None
    attachment: str | None = None
    album: int | None = None
    message: Any = field(default=None, repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class Pressed:
    """A button that somebody pressed; chat_id and message_id: of ours, which has it."""

    query_id: int
    chat_id: int
    message_id: int
    sender_id: int
    sender_name: str | None
    username: str | None
    data: str


EDITS = (types.UpdateEditMessage, types.UpdateEditChannelMessage)

Entities = Mapping[int, Any]
"""Users and chats that came with an update, by marked id."""


def read(update: Any, held: Held) -> Incoming | Pressed | None:
    """What an update says to an account; None where there is nothing to do about it."""
    entities = getattr(update, "_entities", {})
    if isinstance(update, types.UpdateNewMessage | types.UpdateNewChannelMessage):
        return read_message(update.message, entities, is_edit=False)
    if isinstance(update, EDITS):
        return read_message(update.message, entities, is_edit=True)
    if isinstance(update, types.UpdateShortMessage | types.UpdateShortChatMessage):
        return read_message(_whole(update, held.tg_user_id), entities, is_edit=False)
    if isinstance(update, types.UpdateBotCallbackQuery) and update.data is not None:
        return _read_press(update, entities)
    return None


def place_of(update: Any) -> tuple[int, int] | None:
    """The mailbox and the id of the message that an update tells of: a supergroup's marked id, or OWN; None: of no message."""
    if isinstance(update, types.UpdateShortMessage | types.UpdateShortChatMessage):
        return OWN, update.id
    message: Any = getattr(update, "message", None)
    peer = getattr(message, "peer_id", None)
    if peer is None or (isinstance(update, EDITS) and _is_a_move(message)):
        return None
    return (utils.get_peer_id(peer) if isinstance(peer, types.PeerChannel) else OWN), message.id


def read_message(message: Any, entities: Entities, *, is_edit: bool) -> Incoming | None:
    """A message of a person; None for all others, and for what only says that something happened."""
    if not isinstance(message, types.Message) or message.out or message.post or (is_edit and _is_a_move(message)):
        return None
    sender_id = utils.get_peer_id(message.from_id or message.peer_id)
    sender = entities.get(sender_id)
    if sender_id <= 0 or sender_id == TELEGRAM_ITSELF or getattr(sender, "bot", False):
        return None
    header = message.reply_to if isinstance(message.reply_to, types.MessageReplyHeader) else None
    is_elsewhere = header is not None and header.reply_to_peer_id not in (None, message.peer_id)
    topic_id, reply_to = _topic_and_reply(header, is_elsewhere=is_elsewhere)
    return Incoming(
        chat_id=utils.get_peer_id(message.peer_id),
        message_id=message.id,
        sender_id=sender_id,
        sender_name=utils.get_display_name(sender) or None,
        username=getattr(sender, "username", None),
        text=message.message or "",
        topic_id=topic_id,
        edited_at=(message.edit_date or message.date) if is_edit else None,
        is_private=isinstance(message.peer_id, types.PeerUser),
        mentioned=bool(message.mentioned),
        reply_to=reply_to,
        quote=(header.quote_text or (ELSEWHERE if is_elsewhere else None)) if header else None,
        forwarded_from=_origin(message.fwd_from, entities),
        attachment=attachment_of(message.media),
        album=message.grouped_id,
        message=message,
    )


def _is_a_move(edited: Any) -> bool:
    """Whether an edit only says where somebody is now who shares their place for a while: each would be a turn."""
    return isinstance(getattr(edited, "media", None), types.MessageMediaGeoLive)


def _read_press(update: Any, entities: Entities) -> Pressed:
    sender = entities.get(update.user_id)
    return Pressed(
        query_id=update.query_id,
        chat_id=utils.get_peer_id(update.peer),
        message_id=update.msg_id,
        sender_id=update.user_id,
        sender_name=utils.get_display_name(sender) or None,
        username=getattr(sender, "username", None),
        data=update.data.decode("utf-8", errors="replace"),
    )


def _topic_and_reply(header: Any, *, is_elsewhere: bool) -> tuple[int, int | None]:
    """In a forum, what answers no message answers the topic's first one.

    is_elsewhere: it answers a message of another chat, whose number is another message's here: a card's, perhaps.
    """
    if header is None:
        return 0, None
    answered = None if is_elsewhere else header.reply_to_msg_id
    if not header.forum_topic:
        return 0, answered
    if header.reply_to_top_id is None:
        return answered or 0, None
    return header.reply_to_top_id, answered


def _origin(header: Any, entities: Entities) -> str | None:
    """Whose words a forwarded message holds, as Telegram says it; of who hides their account, only a name is left."""
    if header is None:
        return None
    known = utils.get_display_name(entities.get(utils.get_peer_id(header.from_id))) if header.from_id else ""
    return known or header.from_name or header.post_author or "somebody"


def _whole(short: Any, own_id: int) -> Any:
    """The message that a short update stands for."""
    if isinstance(short, types.UpdateShortMessage):
        peer, sender = types.PeerUser(short.user_id), short.user_id
    else:
        peer, sender = types.PeerChat(short.chat_id), short.from_id
    return types.Message(
        id=short.id,
        peer_id=peer,
        date=short.date,
        message=short.message,
        out=short.out,
        mentioned=short.mentioned,
        from_id=types.PeerUser(own_id if short.out else sender),
        fwd_from=short.fwd_from,
        reply_to=short.reply_to,
        entities=short.entities,
    )
