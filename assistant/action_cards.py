"""Cards of pending actions: what they say of a call, before somebody decides about it and after.

    ask ─▶ asked ─▶ cards with buttons          a decision, or what came of the call ─▶ changed ─▶ the same cards say so

Both are called in the transaction that writes the action's state, after it: that has the action locked.
"""

from collections.abc import Sequence

from assistant import cards, people
from assistant.action import Action
from assistant.cards import Buttons
from assistant.shown import cut, escaped, outline, what_was_read
from jobs_core import Connection, fetch, statement
from jobs_core.wake import Ready

CHECK_CHARS = 8
"""Of a digest, in a button's data: a press of an old card does not decide about another call."""
_MOST_ARGUMENT_UNITS, _MOST_FIELD_UNITS = 2_200, 300
_MOST_OPEN = 50
"""Cards of what waits already, for one who comes by: what is older is in the list."""
_TOLD = frozenset({"approved", "rejected", "expired", "superseded", "cancelled", "executed", "unknown"})
"""States that a card is changed for: not for `executing`, which is over soon."""
_HOW = "Reply with arguments as JSON to run it with those, or with words to reject it for that reason."


def about(action_id: int) -> str:
    """What an action's cards are about."""
    return f"action:{action_id}"


async def asked(conn: Connection, action: Action) -> tuple[Sequence[cards.Receiver], Sequence[Ready]]:
    """Owe cards to those who may decide and can be shown one; returns them, and where jobs stand ready."""
    to = await cards.receivers(conn, action.may_decide, session_id=action.session_id)
    if not to:
        return (), ()
    text, buttons = await _card(conn, action)
    return to, await cards.show(conn, about(action.id), to, text, buttons)


async def changed(conn: Connection, action: Action) -> Sequence[Ready]:
    """Have the action's cards say what became of it; returns where jobs stand ready."""
    if action.state not in _TOLD or not await cards.is_shown(conn, about(action.id)):
        return ()
    text, buttons = await _card(conn, action)
    return await cards.change(conn, about(action.id), action.state, text, buttons, may_decide=action.may_decide)


async def show_open(conn: Connection, *, user_id: str | None = None, anew: str | None = None) -> Sequence[Ready]:
    """Owe cards of what waits already to those who may decide and can be shown one only now, as they came, or otherwise.

    user_id: to this person alone. anew: in their own chat, though they were shown one elsewhere; a name for why, once each.
    Returns where jobs stand ready. Locks the actions: call it before anything that locks lanes.
    """
    ready, values = list[Ready](), {"user_id": user_id, "limit": _MOST_OPEN}
    rows = await fetch(conn, statement("assistant", "action/hold_pending"), values)
    for action in [Action(**row) for row in rows]:
        found = await cards.receivers(conn, action.may_decide, session_id=None if anew else action.session_id)
        text, buttons = await _card(conn, action)
        ready += await cards.show_open(conn, about(action.id), found, text, buttons, user_id=user_id, anew=anew)
    return ready


def is_whole(action: Action) -> bool:
    """Whether its cards show all of a call, to the letter."""
    return outline(action.arguments, _MOST_ARGUMENT_UNITS)[1]


async def title(conn: Connection, action: Action) -> str:
    """What became of an action, on one line."""
    return _heading(action, await _names(conn, action))[0]


async def _card(conn: Connection, action: Action) -> tuple[str, Buttons]:
    """What an action's cards say now, and their buttons."""
    names = await _names(conn, action)
    call, whole = outline(action.runs_with[0], _MOST_ARGUMENT_UNITS)
    read = _field(what_was_read(action.has_read))
    lines = [
        *_heading(action, names),
        "",
        f"{_field(action.tool)} (digest {action.runs_with[1][:CHECK_CHARS]})",
        call,
        *([] if whole else [f"Not all of it is shown: ./jobs approvals show {action.id} --json"]),
        "",
        f"Agent {_field(action.agent)}, for {_field(names[action.user_id])}, in chat {_field(action.session_id)}",
        f"Asked by: {_field(action.asked_by)}",
        f"Had read: {read}",
    ]
    if action.state != "pending":
        return "\n".join(lines), ()
    lines += [f"Until {action.expires_at:%Y-%m-%d %H:%M} UTC", "", _HOW]
    return "\n".join(lines), _buttons(action, whole=whole)


def _heading(action: Action, names: dict[str, str]) -> list[str]:
    by = f" by {_field(names[action.decided_by])}" if action.decided_by else ""
    when = f", {action.decided_at:%Y-%m-%d %H:%M} UTC" if action.decided_at else ""
    edited = ", with other arguments" if action.edited_arguments is not None else ""
    title, approved = f"Action {action.id}", f"Action {action.id} approved{by}{when}{edited}"
    why = [f"Reason: {_field(action.reason)}"] if action.reason else []
    match action.state:
        case "pending":
            return [f"{title} waits for approval"]
        case "approved":
            return [approved]
        case "executed":
            return [approved, "It ran, and failed." if action.failed else "It ran.", *why]
        case "unknown":
            return [approved, "It was begun, and nobody knows whether it took effect: somebody should look."]
        case "cancelled":
            off = (
                "called off: it does not run" if action.executing_at is None else "It did not run."
            )  # closed by an owner
            return [approved, off, *why] if action.decided_by else [f"{title} {off}", *why]
    return [f"{title} {action.state}{by}{when}: it does not run", *why]


def _buttons(action: Action, *, whole: bool) -> Buttons:
    """Such calls may be allowed for good by whoever has seen the whole of one."""

    def data(verb: str) -> str:
        return f"{verb}:{action.id}:{action.digest[:CHECK_CHARS]}"

    first = [("Approve", data("approve")), ("Reject", data("reject"))]
    return [first, [("Always", data("always"))]] if whole else [first]


async def _names(conn: Connection, action: Action) -> dict[str, str]:
    """Who the people of an action are, by the ids that it has."""
    return await people.named(conn, [action.user_id, *([action.decided_by] if action.decided_by else [])])


def _field(text: str) -> str:
    return cut(escaped(text), _MOST_FIELD_UNITS)
