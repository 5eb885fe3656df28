"""What an account sees of the world, in Telethon's own types, so that the layer always fits.

A post, a person or a group is one thing here; ids, access hashes, `out` and `mentioned` depend on who looks.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from telethon import types

from tests.support.telegram.chats import Chat, Group, Private, Supergroup
from tests.support.telegram.people import Account, Person

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tests.support.telegram.mailbox import Change, Mailbox
    from tests.support.telegram.posts import File, Post

DC = 2
"""The one data centre there is."""
MENTION = re.compile(r"@\w+")


def user(person: Person, to: Account) -> Any:
    """Show a person."""
    is_bot = isinstance(person, Account) and person.is_bot
    return types.User(
        id=person.id,
        access_hash=to.access_hash(person),
        first_name=person.name,
        username=person.username,
        is_self=person is to,
        bot=is_bot,
        bot_info_version=1 if is_bot else None,
        phone=person.phone if person is to and isinstance(person, Account) else None,
    )


def group(group: Group, to: Account) -> Any:
    """Show a group; as its member, or as somebody who left."""
    left, count, photo = to not in group.members, len(group.members), types.ChatPhotoEmpty()
    if not isinstance(group, Supergroup):
        return types.Chat(group.id, group.title, photo, count, None, version=1, left=left)
    hashed = to.access_hash(group)
    return types.Channel(
        group.id, group.title, photo, None, megagroup=True, forum=group.is_forum, left=left, access_hash=hashed
    )


def peer(chat: Chat, to: Account) -> Any:
    """Name a chat."""
    if isinstance(chat, Private):
        return types.PeerUser(chat.other_than(to).id)
    return types.PeerChannel(chat.id) if isinstance(chat, Supergroup) else types.PeerChat(chat.id)


def message(post: Post, mailbox: Mailbox, to: Account) -> Any:
    """Show a post as the message it is in a mailbox."""
    number = mailbox.ids[post]
    out = post.sender is to
    sender = types.PeerUser(post.sender.id) if out or not isinstance(post.chat, Private) else None
    if post.topic is not None and post.opens:
        action = types.MessageActionTopicCreate(post.topic.title, icon_color=0)
        return types.MessageService(
            number, peer(post.chat, to), post.date, action=action, out=out, from_id=types.PeerUser(post.sender.id)
        )
    return types.Message(
        id=number,
        peer_id=peer(post.chat, to),
        date=post.date,
        message=post.text,
        out=out,
        mentioned=not out and _is_mentioned(to, post),
        from_id=sender,
        fwd_from=None if post.forward_of is None else _origin(post.forward_of),
        reply_to=_reply(post, mailbox),
        media=None if post.file is None else media(post.file),
        reply_markup=post.buttons,
        entities=post.entities or None,
        edit_date=post.edited,
        grouped_id=post.album,
    )


def media(file: File) -> Any:
    """Show a file as what a message carries."""
    size, date, reference = len(file.data), None, b"reference"
    if file.is_photo:
        sizes = [types.PhotoSize("x", 800, 600, size)]
        return types.MessageMediaPhoto(photo=types.Photo(file.id, file.id, reference, date, sizes, DC))
    document = types.Document(file.id, file.id, reference, date, file.mime_type, size, DC, file.attributes)
    return types.MessageMediaDocument(document=document, voice=file.is_voice)


def update(change: Change, mailbox: Mailbox, to: Account) -> Any:
    """Show a change as the update that tells of it."""
    chat = change.post.chat
    if change.kind == "delete":
        if isinstance(chat, Supergroup):
            return types.UpdateDeleteChannelMessages(chat.id, [change.id], change.pts, 1)
        return types.UpdateDeleteMessages([change.id], change.pts, 1)
    kinds = {
        ("new", True): types.UpdateNewChannelMessage,
        ("new", False): types.UpdateNewMessage,
        ("edit", True): types.UpdateEditChannelMessage,
        ("edit", False): types.UpdateEditMessage,
    }
    return kinds[change.kind, isinstance(chat, Supergroup)](message(change.post, mailbox, to), change.pts, 1)


def entities(posts: Iterable[Post], to: Account) -> dict[str, list[Any]]:
    """Show the people and groups that some posts speak of, as the arguments `users` and `chats`."""
    people: set[Person] = {to}
    groups: set[Group] = set()
    for post in posts:
        people |= {post.sender} | ({post.forward_of.sender} if post.forward_of else set())
        if isinstance(post.chat, Private):
            people |= post.chat.members
        else:
            groups.add(post.chat)
    return {"users": [user(person, to) for person in people], "chats": [group(one, to) for one in groups]}


def _origin(post: Post) -> Any:
    first = post
    while first.forward_of is not None:
        first = first.forward_of
    return types.MessageFwdHeader(first.date, from_id=types.PeerUser(first.sender.id))


def _reply(post: Post, mailbox: Mailbox) -> Any:
    """Show what a post answers, and in which topic it stands: there, what answers no post answers the topic."""
    if post.reply_to in mailbox.ids:
        top = post.topic.id if post.topic else None
        return types.MessageReplyHeader(
            forum_topic=bool(top), reply_to_msg_id=mailbox.ids[post.reply_to], reply_to_top_id=top
        )
    return types.MessageReplyHeader(forum_topic=True, reply_to_msg_id=post.topic.id) if post.topic else None


def _is_mentioned(account: Account, post: Post) -> bool:
    named = account.username is not None and f"@{account.username}" in MENTION.findall(post.text)
    return named or (post.reply_to is not None and post.reply_to.sender is account)
