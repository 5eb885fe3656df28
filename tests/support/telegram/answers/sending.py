"""What an account sends: texts, files, albums and forwards, each item once for its random id."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from telethon import functions, types

from tests.support.telegram.answers.files import file_of
from tests.support.telegram.call import Call, Refused, answers
from tests.support.telegram.chats import Chat, Private, Supergroup, Topic
from tests.support.telegram.posts import Post

if TYPE_CHECKING:
    from collections.abc import Iterable

MAX_TEXT = 4096
MAX_CAPTION = 1024
"""In characters; core.telegram.org/api/config names them."""
NOT_DONE_HERE = ("schedule_date", "send_as", "quick_reply_shortcut", "suggested_post", "rich_message", "top_msg_id")
"""Fields of a request that would change what is sent. A client that sets one must not pass its test."""


@answers(functions.messages.SendMessageRequest)
def send_message(call: Call, request: Any) -> Any:
    """Send a text."""
    if not request.message.strip():
        raise Refused("MESSAGE_EMPTY")
    check_length(request.message, MAX_TEXT)
    return _send(call, request, [(request.random_id, {"text": request.message, **_dress(request)})])


@answers(functions.messages.SendMediaRequest)
def send_media(call: Call, request: Any) -> Any:
    """Send a file with a caption."""
    check_length(request.message, MAX_CAPTION)
    _refuse_twice(call, [request.random_id])
    file = file_of(call, request.media)
    return _send(call, request, [(request.random_id, {"text": request.message, "file": file, **_dress(request)})])


@answers(functions.messages.SendMultiMediaRequest)
def send_album(call: Call, request: Any) -> Any:
    """Send an album: several messages, each with a random id of its own."""
    album = call.world.draw()
    items = []
    for item in request.multi_media:
        check_length(item.message, MAX_CAPTION)
        made = {
            "text": item.message,
            "file": file_of(call, item.media),
            "entities": item.entities or [],
            "album": album,
        }
        items.append((item.random_id, made))
    return _send(call, request, items)


@answers(functions.messages.ForwardMessagesRequest)
def forward(call: Call, request: Any) -> Any:
    """Forward messages."""
    source = call.chat(request.from_peer)
    mailbox = call.world.mailbox(source, call.account)
    found = [mailbox.find(number) for number in request.id]
    items = [
        (random_id, {"text": post.text, "entities": post.entities, "file": post.file, "forward_of": post})
        for random_id, post in zip(request.random_id, found, strict=True)
        if post is not None and post.chat == source
    ]
    if not items:
        raise Refused("MESSAGE_ID_INVALID")
    return _send(call, request, items, to=request.to_peer)


def check_length(text: str, most: int) -> None:
    """Refuse a text that is too long, counted as Telegram does: in UTF-16 units."""
    if len(text.encode("utf-16-le")) // 2 > most:
        raise Refused("MESSAGE_TOO_LONG" if most == MAX_TEXT else "MEDIA_CAPTION_TOO_LONG")


def _send(call: Call, request: Any, items: list[tuple[int, dict[str, Any]]], to: Any = None) -> Any:
    """Say some things, all or none of them, and answer with their ids."""
    asked = [name for name in NOT_DONE_HERE if getattr(request, name, None) is not None]
    assert not asked, f"the Telegram server for tests does not do {asked}"
    account, chat = call.account, call.chat(to or request.peer)
    _refuse_twice(call, [random_id for random_id, _ in items])
    if isinstance(chat, Private) and chat.other_than(account) in account.blocked_by:
        raise Refused("USER_IS_BLOCKED", 403)
    reply_to, topic = _place(call, chat, request)
    ids = []
    for random_id, made in items:
        post = Post(sender=account, chat=chat, reply_to=reply_to, topic=topic, random_id=random_id, **made)
        call.world.add(post)
        account.sent[random_id] = post
        ids.append(types.UpdateMessageID(call.world.mailbox(chat, account).ids[post], random_id))
    return call.updates(*ids)


def _refuse_twice(call: Call, random_ids: Iterable[int]) -> None:
    if not call.account.sent.keys().isdisjoint(random_ids):
        raise Refused("RANDOM_ID_DUPLICATE", 500)


def _dress(request: Any) -> dict[str, Any]:
    return {"entities": request.entities or [], "buttons": request.reply_markup}


def _place(call: Call, chat: Chat, request: Any) -> tuple[Post | None, Topic | None]:
    """Find what is answered, and in which topic: to answer a topic's first message is to write in that topic."""
    if request.reply_to is None:
        return None, None
    post = call.world.mailbox(chat, call.account).find(request.reply_to.reply_to_msg_id)
    top = request.reply_to.top_msg_id
    topics = {topic.id: topic for topic in chat.topics} if isinstance(chat, Supergroup) else {}
    topic = topics.get(top or request.reply_to.reply_to_msg_id) or (post.topic if post else None)
    if topic is not None and topic.is_deleted:
        raise Refused("TOPIC_DELETED")
    if post is None or post.chat != chat:
        raise Refused("REPLY_MESSAGE_ID_INVALID")
    return (None if post.opens else post), topic
