"""Strangers: what is said by people whom no owner has allowed is kept, and an owner is asked about them, once.

    hold ─┬─ may come in ─▶ None: the door takes it in
          └─ else ─▶ kept, within bounds, or counted ─ the first ─▶ card: allow, deny, block
                                                                      │
    answer ─ allow ─▶ all that was kept is taken in, in order ◀───────┤
             deny ──▶ forgotten; whoever comes again after a day is asked about again
             block ─▶ dropped from now on, without a word

Of one stranger 20 messages are kept and one counter, and of strangers a hundred, so that those who say a lot keep nobody else
from being heard. What a person may do follows from their role; this only says whether they are heard. Verbs take the
connection first.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Literal

import structlog

from assistant import contact_cards, people
from assistant.contact_cards import FIRST_WORDS_CHARS
from assistant.errors import NotDecided, RoleFixed
from assistant.incoming import Channel
from assistant.kept import let_go, take_in
from assistant.notifications import notify
from assistant.people import User
from jobs_core import Connection, Jobs, execute, fetch, fetch_one, gate, statement
from jobs_core.wake import Ready

log = structlog.get_logger()

Verdict = Literal["allowed", "denied", "blocked"]
VERBS: Mapping[str, Verdict] = {"allow": "allowed", "deny": "denied", "block": "blocked"}
MAX_MESSAGES, MAX_BYTES = 20, 64 * 1024
"""Kept of one stranger; a person has said by then who they are."""
MAX_STRANGERS = 100
"""Asked about at a time; more of them at once are an attack, and a list that nobody reads."""
ASKS_AGAIN_AFTER = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Stranger:
    """A message of somebody, with what is needed to take it in.

    address: their id on the channel. session_id: of the chat, which is begun when the message is taken in.
    """

    address: str
    session_id: str
    content: str
    channel: Channel = "telegram"
    account: str | None = None
    idempotency_key: str | None = None


@dataclass(frozen=True, slots=True)
class Kept:
    """A message that is not taken in now. ready: where the jobs of cards stand; wake them after the commit.

    held_id: by what it is kept; None: it is dropped. A door that keeps its files, and its changes, tells so by `kept.arrives`.
    """

    what: Literal["asked", "kept", "dropped"]
    ready: Sequence[Ready] = ()
    held_id: int | None = None


@dataclass(frozen=True, slots=True)
class Answered:
    """What was decided about a person. taken: how many of their messages were taken in. Call `wake()` after the commit."""

    user: User
    text: str
    taken: int
    wake: Callable[[], object]


async def hold(conn: Connection, user: User, message: Stranger, *, hold_unknown: bool) -> Kept | None:
    """See to a message of somebody who may not be heard; None: they may, and the door takes it in.

    hold_unknown: of the settings, whether an owner is asked about people nobody has decided about. Of whoever was blocked
    nothing is read or written. Call it where `chats.receive` would be called.
    """
    if is_heard(user, hold_unknown=hold_unknown):
        return None
    if user.admission == "blocked":
        return Kept("dropped")
    user = await _hold_person(conn, user.id)
    if user.is_owner or user.admission == "allowed":  # just now, by somebody else
        return None
    now = await _look(conn, user)
    if now["id"] is not None:
        return await _keep(conn, user, now, message)
    if now["admission"] == "unknown" or now["asks_again"]:
        return await _ask(conn, user, message)
    return Kept("dropped")


def is_heard(user: User, *, hold_unknown: bool) -> bool:
    """Whether what they say is taken in. hold_unknown: as for `hold`."""
    return user.is_owner or user.admission == "allowed" or (user.admission == "unknown" and not hold_unknown)


async def is_blocked(conn: Connection, channel: Channel, address: str) -> bool:
    """Whether whoever comes by this is dropped without a word, also where others would tell us what they say."""
    row = await fetch_one(conn, statement("assistant", "user/of_channel"), {"channel": channel, "address": address})
    return row is not None and not (user := User(**row)).is_owner and user.admission == "blocked"


async def answer(conn: Connection, jobs: Jobs, user_id: str, verdict: Verdict, by: str) -> Answered:
    """Decide about a person, whatever was decided before. by: who does. Raises NoSuchUser, RoleFixed for an owner."""
    user = await _hold_person(conn, user_id)
    if user.is_owner and verdict != "allowed":
        raise RoleFixed(f"{user.id} is an owner, who is heard in any case: take the role first")
    await execute(conn, statement("assistant", "user/admit"), {"id": user.id, "admission": verdict})
    kept = await let_go(conn, user, allowed=verdict == "allowed")
    values = {"user_id": user.id, "state": verdict, "decided_by": gate.clean_text(by, max_chars=gate.MAX_NAME_CHARS)}
    requests = await fetch(conn, statement("assistant", "contact_request/close"), values)
    received = await take_in(conn, jobs, user, kept) if verdict == "allowed" else []
    ready = list[Ready]()
    for request in requests:
        ready += await contact_cards.decided(conn, user, request, (await people.named(conn, [by]))[by])

    def wake() -> None:
        jobs.notifier.wake(ready)
        for wake_one in received:
            wake_one()

    text = f"{verdict.capitalize()}." + (f" Messages taken in: {len(received)}." if received else "")
    return Answered(await people.get(conn, user.id), text, len(received), wake)


async def answer_request(conn: Connection, jobs: Jobs, user_id: str, verdict: Verdict, by: str) -> Answered:
    """Decide about a stranger, once, as a card asks. Raises as `answer`, and NotDecided where nobody is asked any more."""
    user = await _hold_person(conn, user_id)
    now = await _look(conn, user)
    if now["id"] is None:
        raise NotDecided(f"{user.id} is {now['admission']} already: ./jobs user changes that")
    return await answer(conn, jobs, user.id, verdict, by)


async def asked_about(conn: Connection, request_id: int) -> str | None:
    """Whom a request is about."""
    row = await fetch_one(conn, statement("assistant", "contact_request/find"), {"id": request_id})
    return row["user_id"] if row else None


async def _hold_person(conn: Connection, user_id: str) -> User:
    """The person, or whom they turned out to be, while one waited, too; until the caller's transaction ends nobody else decides
    about them, and they become nobody else. Raises NoSuchUser.
    """
    while True:
        await execute(conn, statement("assistant", "user/hold"), {"id": user_id})
        user = await people.get(conn, user_id)
        if user.id == user_id:
            return user
        user_id = user.id


async def _look(conn: Connection, user: User) -> dict[str, Any]:
    """How it stands with a person, who is held."""
    values = {"user_id": user.id, "pause_s": ASKS_AGAIN_AFTER.total_seconds()}
    row = await fetch_one(conn, statement("assistant", "contact_request/look"), values)
    assert row is not None, "people are never deleted"
    return row


async def _ask(conn: Connection, user: User, message: Stranger) -> Kept:
    values = {
        "user_id": user.id,
        "channel": message.channel,
        "address": message.address,
        "first_words": gate.clean_text(message.content, max_chars=FIRST_WORDS_CHARS),
        "most": MAX_STRANGERS,
    }
    opened = await fetch_one(conn, statement("assistant", "contact_request/open"), values)
    if opened is None:
        return Kept("dropped")
    await execute(conn, statement("assistant", "user/admit"), {"id": user.id, "admission": "held"})
    request, held_id = await _count(conn, opened["id"], user, message, opened | {"kept": 0, "kept_bytes": 0})
    if opened["waiting"] + 1 == MAX_STRANGERS:
        await _tell_that_no_more_are_heard(conn)
    return Kept("asked", await contact_cards.asked(conn, user, request), held_id)


async def _keep(conn: Connection, user: User, now: Mapping[str, Any], message: Stranger) -> Kept:
    request, held_id = await _count(conn, now["id"], user, message, now)
    if held_id is not None:
        return Kept("kept", held_id=held_id)
    if _is_power_of_ten(request["dropped"]):
        return Kept("dropped", await contact_cards.counted(conn, user, request))
    return Kept("dropped")


async def _count(
    conn: Connection, request_id: int, user: User, message: Stranger, now: Mapping[str, Any]
) -> tuple[dict[str, Any], int | None]:
    """Keep a message if there is room for it, and count it; the request as it is then, and by what the message is kept."""
    size = len(message.content.encode(errors="surrogatepass"))
    room = now["kept"] < MAX_MESSAGES and now["kept_bytes"] + size <= MAX_BYTES
    held_id = None
    if room:
        values = {
            "user_id": user.id,
            "channel": message.channel,
            "account": message.account,
            "session_id": message.session_id,
            "content": gate.clean_text(message.content, max_chars=MAX_BYTES),
            "idempotency_key": message.idempotency_key,
        }
        kept = await fetch_one(conn, statement("assistant", "held_message/keep"), values)
        assert kept is not None, "an insert without a condition returns its row"
        held_id = kept["id"]
    counts = {"id": request_id, "kept": int(room), "bytes": size * room, "dropped": int(not room)}
    row = await fetch_one(conn, statement("assistant", "contact_request/count"), counts)
    assert row is not None, "the request is open, and the person locked"
    return row, held_id


async def _tell_that_no_more_are_heard(conn: Connection) -> None:
    await notify(
        conn,
        user_id=None,
        title=f"{MAX_STRANGERS} strangers wait for your word",
        body="Until you have decided about some of them nobody else who is unknown is heard: "
        "./jobs user list --admission held, then ./jobs user allow ID, deny or block",
        category="contact",
        severity="warning",
    )


def _is_power_of_ten(count: int) -> bool:
    """Whether a counter is told: a card would else be edited a thousand times a minute."""
    return str(count).strip("0") == "1"
