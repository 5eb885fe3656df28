"""What an account reads: messages by id, history, dialogs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from telethon import functions, types

from tests.support.telegram import show
from tests.support.telegram.call import Call, Refused, answers
from tests.support.telegram.chats import Supergroup

if TYPE_CHECKING:
    from tests.support.telegram.mailbox import Mailbox

MOST = 100
"""Messages in one answer."""


@answers(functions.messages.GetMessagesRequest)
def get_messages(call: Call, request: Any) -> Any:
    """Give messages of the account's own mailbox by id: bots may, too."""
    messages, named = _by_ids(call, call.account.mailbox, request.id)
    return types.messages.Messages(messages, topics=[], **named)


@answers(functions.channels.GetMessagesRequest)
def get_channel_messages(call: Call, request: Any) -> Any:
    """Give messages of a supergroup by id."""
    group = call.chat(request.channel)
    if not isinstance(group, Supergroup):
        raise Refused("CHANNEL_INVALID")
    messages, named = _by_ids(call, group.mailbox, request.id)
    return types.messages.ChannelMessages(group.mailbox.pts, len(messages), messages, topics=[], **named)


@answers(functions.messages.GetHistoryRequest)
def get_history(call: Call, request: Any) -> Any:
    """Give a chat's messages, newest first. Bots may not."""
    _refuse_bots(call)
    chat = call.chat(request.peer)
    mailbox = call.world.mailbox(chat, call.account)
    found = [
        (number, post)
        for number, post in mailbox.history(chat)
        if number > request.min_id and (not request.max_id or number < request.max_id)
    ]
    begin = sum(number >= request.offset_id for number, _ in found) if request.offset_id else 0
    begin += request.add_offset
    end = begin + min(request.limit, MOST)
    posts = [post for _, post in found[max(begin, 0) : max(end, 0)]]
    messages = [show.message(post, mailbox, call.account) for post in posts]
    return types.messages.MessagesSlice(len(found), messages, topics=[], **show.entities(posts, call.account))


@answers(functions.messages.GetDialogsRequest)
def get_dialogs(call: Call, request: Any) -> Any:
    """Give the chats in which something was said, all at once. Bots may not."""
    _refuse_bots(call)
    account, dialogs, posts, messages = call.account, [], [], []
    for chat in [] if request.offset_id else call.world.chats(account):
        mailbox = call.world.mailbox(chat, account)
        number, post = mailbox.history(chat)[0]
        counts = dict.fromkeys(COUNTS, 0)
        pts = mailbox.pts if isinstance(chat, Supergroup) else None
        settings = types.PeerNotifySettings()
        dialogs.append(types.Dialog(show.peer(chat, account), number, notify_settings=settings, pts=pts, **counts))
        posts.append(post)
        messages.append(show.message(post, mailbox, account))
    return types.messages.Dialogs(dialogs, messages, **show.entities(posts, account))


COUNTS = (
    "read_inbox_max_id",
    "read_outbox_max_id",
    "unread_count",
    "unread_mentions_count",
    "unread_reactions_count",
    "unread_poll_votes_count",
)


@answers(functions.messages.ReadHistoryRequest)
def read_history(call: Call, request: Any) -> Any:
    """Mark a chat read."""
    call.chat(request.peer)
    return types.messages.AffectedMessages(call.account.mailbox.pts, 0)


@answers(functions.channels.ReadHistoryRequest)
def read_channel_history(call: Call, request: Any) -> Any:
    """Mark a supergroup read."""
    call.chat(request.channel)
    return True


def _by_ids(call: Call, mailbox: Mailbox, ids: list[Any]) -> tuple[list[Any], dict[str, list[Any]]]:
    """Show messages in the order asked for, and an empty one where there is none."""
    numbers = [getattr(one, "id", one) for one in ids]
    found = [mailbox.find(number) for number in numbers]
    shown = [
        types.MessageEmpty(number, None) if post is None else show.message(post, mailbox, call.account)
        for number, post in zip(numbers, found, strict=True)
    ]
    return shown, show.entities([post for post in found if post is not None], call.account)


def _refuse_bots(call: Call) -> None:
    if call.account.is_bot:
        raise Refused("BOT_METHOD_INVALID")
