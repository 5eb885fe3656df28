"""Who is who: people and groups by id or name; and signs of life."""

from __future__ import annotations

from typing import Any

from telethon import functions, types

from tests.support.telegram import show
from tests.support.telegram.call import Call, Refused, answers
from tests.support.telegram.chats import Group


@answers(functions.users.GetUsersRequest)
def get_users(call: Call, request: Any) -> Any:
    """Give people by id; those whom the account may not name are left out."""
    found = []
    for named in request.id:
        try:
            found.append(show.user(call.person(named), call.account))
        except Refused:
            if call.key.account is None:
                raise
    return found


@answers(functions.messages.GetChatsRequest)
def get_chats(call: Call, request: Any) -> Any:
    """Give basic groups by id."""
    return types.messages.Chats([_group(call, types.InputPeerChat(number)) for number in request.id])


@answers(functions.channels.GetChannelsRequest)
def get_channels(call: Call, request: Any) -> Any:
    """Give supergroups by id."""
    return types.messages.Chats([_group(call, named) for named in request.id])


@answers(functions.contacts.ResolveUsernameRequest)
def resolve(call: Call, request: Any) -> Any:
    """Give whoever has that name."""
    for person in call.world.people.values():
        if person.username is not None and person.username.lower() == request.username.lower():
            return types.contacts.ResolvedPeer(types.PeerUser(person.id), [], [show.user(person, call.account)])
    raise Refused("USERNAME_NOT_OCCUPIED")


@answers(functions.messages.SetTypingRequest)
def set_typing(call: Call, request: Any) -> Any:
    """Show that the account types. Nobody looks."""
    call.chat(request.peer)
    return True


def _group(call: Call, named: Any) -> Any:
    group = call.chat(named)
    assert isinstance(group, Group), "only groups are asked for here"
    return show.group(group, call.account)
