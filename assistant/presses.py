"""What people do with cards: press a button, or reply. Whatever way a card was shown, it is decided about here.

    press ─ approve:31:9f3a61c2 ─────┐                      ┌─▶ approvals: a tool's call
    reply ─ "reject, use staging" ───┴─▶ may they? ── yes ──┴─▶ held: a stranger
                                             └─ no ─▶ the same words, whatever it is about and whether there is such a thing

Who decides is who the channel says has pressed, never whose chat it is in. What a button says may be guessed, or old: a
decision names the digest that its card has shown. Both verbs are called in the transaction in which a door records the press:
after a crash it comes again, and decides what was not decided. Verbs take the connection first.
"""

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import partial

from assistant import action_cards, actions, approvals, cards, contact_cards, held
from assistant.action import Action
from assistant.actions import MAX_ARGUMENTS_BYTES
from assistant.approvals import Decided, Decider
from assistant.errors import AssistantError, NotDecided
from assistant.people import User
from jobs_core import Connection, InvalidInput, Jobs, gate

MAX_SHOWN_CHARS = 200
"""Of what whoever pressed is shown: Telegram takes no more."""
NOT_YOURS = "This is not yours to decide."
_UNCHANGED = "Nothing was changed."
_ACTION = re.compile(r"(approve|reject|always):([1-9][0-9]{0,17}):([0-9a-f]{8})")
_CONTACT = re.compile(r"(allow|deny|block):(u_[0-9a-f]{16})")
_REJECT = re.compile(r"reject\b[\s:,.]*(.*)", re.IGNORECASE | re.DOTALL)
_ASSENT = frozenset({"ok", "okay", "yes", "y"})
"""No reason to reject a call for, and not plain enough to run one."""

Decide = Callable[[Connection, Action, Decider], Awaitable[tuple[str, Decided]]]


@dataclass(frozen=True, slots=True)
class Pressed:
    """What came of it: `text` is for whoever pressed, 200 characters at most. Call `wake()` after the commit."""

    text: str
    wake: Callable[[], object] = field(default=lambda: None, repr=False, compare=False)


async def press(conn: Connection, jobs: Jobs, presser: User, data: str) -> Pressed:
    """Do what a button says that this person has pressed; whatever people can send is answered, and never raises."""
    if given := _ACTION.fullmatch(data):
        verb, action_id, check = given.groups()
        return await _on_action(conn, jobs, presser, int(action_id), _BY_BUTTON[verb], check=check)
    if given := _CONTACT.fullmatch(data):
        return await _on_contact(conn, jobs, presser, given[2], given[1])
    return Pressed(f"This is no button of ours. {_UNCHANGED}")


async def reply(conn: Connection, jobs: Jobs, person: User, delivery_id: int, text: str) -> Pressed | None:
    """Do what this person replies to a card; None: it is an ordinary message, to no card, or not of one who may decide.

    To a tool's call: `approve`, `always`, `reject` with or without a reason, arguments as a JSON object to run it with; other
    words reject it for that reason. To a stranger's: `allow`, `deny`, `block`.
    """
    about = await cards.about(conn, delivery_id)
    if about is None:
        return None
    kind, _, its_id = about.partition(":")
    said = text.strip()
    if kind == contact_cards.ABOUT:
        if not person.is_owner:
            return None
        user_id, word = await held.asked_about(conn, int(its_id)), said.lower()
        if user_id is None or word not in held.VERBS:
            return Pressed(f"Reply with allow, deny or block. {_UNCHANGED}")
        return await _on_contact(conn, jobs, person, user_id, word)
    done = await _on_action(conn, jobs, person, int(its_id), partial(_as_replied, said))
    return None if done.text == NOT_YOURS else done


async def _on_action(
    conn: Connection, jobs: Jobs, presser: User, action_id: int, decide: Decide, *, check: str = ""
) -> Pressed:
    by = Decider(presser.id, presser.role)
    try:
        action = await actions.find(conn, action_id)
    except AssistantError:
        return Pressed(NOT_YOURS)
    if not by.may_decide(action):
        return Pressed(NOT_YOURS)
    if not action.digest.startswith(check):
        return Pressed(f"This card does not show the call as it is. {_UNCHANGED}")
    try:
        text, decided = await decide(conn, action, by)
    except NotDecided as error:
        return _refused(await _why_not(conn, action_id, error))
    except (AssistantError, InvalidInput) as error:
        return _refused(f"{_UNCHANGED} {error}")
    return Pressed(text, partial(jobs.notifier.wake, decided.ready))


async def _on_contact(conn: Connection, jobs: Jobs, presser: User, user_id: str, verb: str) -> Pressed:
    if not presser.is_owner:
        return Pressed(NOT_YOURS)
    try:
        decided = await held.answer_request(conn, jobs, user_id, held.VERBS[verb], presser.id)
    except AssistantError as error:
        return _refused(f"{_UNCHANGED} {error}")
    return Pressed(decided.text, decided.wake)


async def _approve(conn: Connection, action: Action, by: Decider) -> tuple[str, Decided]:
    return "Approved.", await approvals.approve(conn, action.id, by, digest=action.digest)


async def _always(conn: Connection, action: Action, by: Decider) -> tuple[str, Decided]:
    if not action_cards.is_whole(action):
        raise InvalidInput(
            f"Not all of it was shown: ./jobs approvals approve {action.id} --always, once you have read it"
        )
    decided = await approvals.approve(conn, action.id, by, digest=action.digest, always=True)
    return "Approved, and just such calls from now on.", decided


async def _reject(conn: Connection, action: Action, by: Decider, reason: str = "") -> tuple[str, Decided]:
    return "Rejected.", await approvals.reject(conn, action.id, by, digest=action.digest, reason=reason or None)


async def _as_replied(said: str, conn: Connection, action: Action, by: Decider) -> tuple[str, Decided]:
    """What was replied, as a decision. Raises InvalidInput for what is none."""
    if said.lower() in {"approve", "always"}:
        return await _BY_BUTTON[said.lower()](conn, action, by)
    if said.startswith("{"):
        edited = gate.from_json(said, field="arguments", max_bytes=MAX_ARGUMENTS_BYTES)
        decided = await approvals.approve(conn, action.id, by, digest=action.digest, edited=edited)
        return "Approved, with your arguments.", decided
    if not said or said.lower() in _ASSENT:
        raise InvalidInput("Reply with approve, reject REASON, or the arguments to run it with as JSON")
    rejected = _REJECT.fullmatch(said)
    return await _reject(conn, action, by, rejected[1] if rejected else said)


async def _why_not(conn: Connection, action_id: int, error: NotDecided) -> str:
    action = await actions.find(conn, action_id)
    if action.state == "pending":  # its time is over, or its digest is another one
        return str(error)
    return f"Already decided. {await action_cards.title(conn, action)}. {_UNCHANGED}"


def _refused(text: str) -> Pressed:
    return Pressed(gate.clean_text(text, max_chars=MAX_SHOWN_CHARS))


_BY_BUTTON: dict[str, Decide] = {"approve": _approve, "always": _always, "reject": _reject}
