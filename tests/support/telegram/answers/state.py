"""Where an account stands in its updates, and what it missed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from telethon import functions, types

from tests.support.telegram import show
from tests.support.telegram.call import Call, Refused, answers
from tests.support.telegram.chats import Supergroup
from tests.support.telegram.posts import now

if TYPE_CHECKING:
    from tests.support.telegram.mailbox import Change, Mailbox

SLICE = 100
"""The most changes in one answer: more come in slices."""


@answers(functions.updates.GetStateRequest)
def get_state(call: Call, _request: Any) -> Any:
    """Say where the account's own mailbox stands now."""
    return _state(call.account.mailbox.pts)


@answers(functions.updates.GetDifferenceRequest)
def get_difference(call: Call, request: Any) -> Any:
    """Give what happened in the account's own mailbox since a pts."""
    mailbox = call.account.mailbox
    missed = mailbox.since(request.pts, SLICE)
    if not missed:
        return types.updates.DifferenceEmpty(now(), seq=0)
    state, shown = _state(missed[-1].pts), _shown(call, mailbox, missed)
    if missed[-1].pts < mailbox.pts:
        return types.updates.DifferenceSlice(**shown, new_encrypted_messages=[], intermediate_state=state)
    return types.updates.Difference(**shown, new_encrypted_messages=[], state=state)


@answers(functions.updates.GetChannelDifferenceRequest)
def get_channel_difference(call: Call, request: Any) -> Any:
    """Give what happened in a supergroup since a pts."""
    group = call.chat(request.channel)
    if not isinstance(group, Supergroup):
        raise Refused("CHANNEL_INVALID")
    missed = group.mailbox.since(request.pts, min(request.limit, SLICE))
    if not missed:
        return types.updates.ChannelDifferenceEmpty(group.mailbox.pts, final=True)
    final = missed[-1].pts == group.mailbox.pts
    return types.updates.ChannelDifference(pts=missed[-1].pts, **_shown(call, group.mailbox, missed), final=final)


def _state(pts: int) -> Any:
    return types.updates.State(pts, qts=0, date=now(), seq=0, unread_count=0)


def _shown(call: Call, mailbox: Mailbox, changes: list[Change]) -> dict[str, Any]:
    """Show new messages as they stand now, and other changes as updates. A new one that was deleted since is not shown."""
    new = [change.post for change in changes if change.kind == "new" and not change.post.is_deleted]
    other = [
        change
        for change in changes
        if change.kind == "delete" or (change.kind == "edit" and not change.post.is_deleted)
    ]
    return {
        "new_messages": [show.message(post, mailbox, call.account) for post in new],
        "other_updates": [show.update(change, mailbox, call.account) for change in other],
        **show.entities([change.post for change in changes], call.account),
    }
