"""What an account does to messages that are there: edits and deletions."""

from __future__ import annotations

from typing import Any

from telethon import functions, types

from tests.support.telegram.answers.sending import MAX_CAPTION, MAX_TEXT, check_length
from tests.support.telegram.call import Call, Refused, answers
from tests.support.telegram.chats import Supergroup


@answers(functions.messages.EditMessageRequest)
def edit(call: Call, request: Any) -> Any:
    """Change a message of one's own: its text, its buttons, or both."""
    chat = call.chat(request.peer)
    post = call.world.mailbox(chat, call.account).find(request.id)
    if post is None or post.chat != chat:
        raise Refused("MESSAGE_ID_INVALID")
    if post.sender is not call.account:
        raise Refused("MESSAGE_AUTHOR_REQUIRED", 403)
    text = post.text if request.message is None else request.message
    check_length(text, MAX_CAPTION if post.file else MAX_TEXT)
    if text == post.text and bytes_of(request.reply_markup) == bytes_of(post.buttons):
        raise Refused("MESSAGE_NOT_MODIFIED")
    if request.message is not None:
        post.entities = request.entities or []
    post.buttons = request.reply_markup
    call.world.edit(post, text)
    return call.updates()


@answers(functions.messages.DeleteMessagesRequest, functions.channels.DeleteMessagesRequest)
def delete(call: Call, request: Any) -> Any:
    """Delete messages for everybody; ids that are not there are passed over."""
    chat = call.chat(request.channel) if hasattr(request, "channel") else None
    mailbox = chat.mailbox if isinstance(chat, Supergroup) else call.account.mailbox
    for number in request.id:
        post = mailbox.find(number)
        if post is not None:
            call.world.delete(post)
    return types.messages.AffectedMessages(mailbox.pts, len(call.told))


def bytes_of(markup: Any) -> bytes:
    """Give what tells two keyboards apart."""
    return b"" if markup is None else bytes(markup)
