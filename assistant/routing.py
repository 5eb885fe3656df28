"""Routing: by what way a notification reaches its person, besides the web, and when.

    notify ─▶ wanted? ─▶ a way? ─▶ due? ─┬─ now ─▶ a delivery, with its job
                │ no       │ no          └─ later ─▶ waits ─▶ `tell` job ─▶ with all that is due: one delivery
                ▼          ▼
           on the web   waits for a way, for a day

It is decided in the transaction that tells, by what the person says then, and anew for what waits when it is looked at. The way
is the private chat by which they came last; a first one that comes meanwhile waits. Verbs take the connection first.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from assistant import waiting
from assistant.deliveries import Delivery, owe
from assistant.notices import Noted, alone, digest
from assistant.preferences import Preferences, Severity, hold_preferences, store_preferences
from assistant.recipients import TELEGRAM, Recipient, Way, recipient, ways_to
from assistant.waiting import KEPT_WITHOUT_A_WAY
from assistant.when import goes_at, is_wanted
from jobs_core import Connection, execute, fetch, fetch_one, statement
from jobs_core.wake import Ready


@dataclass(frozen=True, slots=True)
class News:
    """What is to be told. It must not go by the account `not_by`, nor by the way of the delivery that it tells of, `failed`."""

    id: int
    title: str
    body: str
    category: str
    severity: Severity
    created_at: datetime
    turn_id: UUID | None = None
    not_by: str | None = None
    failed: Delivery | None = None


@dataclass(slots=True)
class _Plan:
    """What becomes of all that waits for a person: where it goes now, until when it waits on, and what goes nowhere."""

    now: dict[Way, list[dict[str, Any]]] = field(default_factory=lambda: defaultdict(list))
    later: dict[datetime | None, list[int]] = field(default_factory=lambda: defaultdict(list))
    never: list[int] = field(default_factory=list)


async def route(conn: Connection, user_id: str | None, news: News) -> None:
    """Owe a notification that was just written to its person's Telegram, or have it wait, or neither, as they have said."""
    person = await recipient(conn, user_id)
    preferences = await hold_preferences(conn, person.user_id)
    if not is_wanted(preferences, news.category, news.severity):
        return
    ways = await _open_ways(conn, person, preferences)
    not_by = news.not_by or _failed_way(news.failed, person, ways)
    way = _first(ways, not_by)
    if way is None:
        if not_by is None:
            await waiting.wait(conn, news.id, person, None, None)
        return
    if await waiting.any_waits(conn, person, left_over=True):
        await waiting.look_at(conn, person)
    at = goes_at(preferences, news.severity, news.created_at, person.now)
    if at > person.now:
        await waiting.wait(conn, news.id, person, at, not_by)
    else:
        text = alone(news.id, news.title, news.body, news.severity)
        owed_for = f"notification:{news.id}"
        await _owe(conn, person, way, owed_for=owed_for, text=text, ids=[news.id], not_by=not_by, turn_id=news.turn_id)


async def send_what_is_due(conn: Connection, user_id: str | None) -> Sequence[Ready]:
    """Owe what waits for a person and is due by now, in one message a way, and make jobs for the rest.

    Returns where deliveries stand ready. Each notification goes out in one of them: its row goes in the same transaction.
    """
    person = await recipient(conn, user_id)
    preferences = await hold_preferences(conn, person.user_id)
    rows = await fetch(conn, statement("assistant", "waiting_notification/take"), person.theirs)
    plan = _plan(rows, preferences, person, await _open_ways(conn, person, preferences))
    gone = [*plan.never, *(row["id"] for rows in plan.now.values() for row in rows)]
    await execute(conn, statement("assistant", "waiting_notification/drop"), {"ids": gone})
    for due_at, ids in plan.later.items():
        await execute(conn, statement("assistant", "waiting_notification/put_off"), {"ids": ids, "due_at": due_at})
        if due_at is not None:
            await waiting.look_at(conn, person, due_at)
    ready = list[Ready]()
    for way, together in plan.now.items():
        ready += await _owe_together(conn, person, way, together, preferences.zone)
    return ready


async def set_preferences(conn: Connection, user_id: str, preferences: Preferences) -> None:
    """Say how a person is told from now on, of what waits, too; call it inside a transaction."""
    await store_preferences(conn, user_id, preferences)
    person = await recipient(conn, user_id)
    if await waiting.any_waits(conn, person, left_over=False):
        await waiting.look_at(conn, person)


def _plan(rows: Sequence[dict[str, Any]], preferences: Preferences, person: Recipient, ways: Sequence[Way]) -> _Plan:
    plan = _Plan()
    for row in rows:
        way = _first(ways, row["not_by"])
        is_old = not row["had_way"] and person.now - row["created_at"] > KEPT_WITHOUT_A_WAY
        wanted = is_wanted(preferences, row["category"], row["severity"]) and not row["read"]
        if is_old or not wanted or (ways and way is None):
            plan.never.append(row["id"])
        elif way is None:
            plan.later[None].append(row["id"])
        elif (at := goes_at(preferences, row["severity"], row["created_at"], person.now)) > person.now:
            plan.later[at].append(row["id"])
        else:
            plan.now[way].append(row)
    return plan


async def _owe_together(
    conn: Connection, person: Recipient, way: Way, rows: Sequence[dict[str, Any]], zone: str
) -> Sequence[Ready]:
    """One message of all of these; one of them alone looks as if it had not waited."""
    first, ids = rows[0], [row["id"] for row in rows]
    if len(rows) == 1:
        found = await fetch_one(conn, statement("assistant", "notification/body"), {"id": first["id"]})
        body = found["body"] if found else ""
        text, owed_for = alone(first["id"], first["title"], body, first["severity"]), f"notification:{first['id']}"
    else:
        noted = [Noted(row["id"], row["title"], row["severity"], row["created_at"]) for row in rows]
        text, owed_for = digest(noted, zone), f"digest:{first['id']}"
    not_by = next(filter(None, (row["not_by"] for row in rows)), None)
    return await _owe(conn, person, way, owed_for=owed_for, text=text, ids=ids, not_by=not_by)


async def _owe(
    conn: Connection,
    person: Recipient,
    way: Way,
    *,
    owed_for: str,
    text: str,
    ids: Sequence[int],
    not_by: str | None,
    turn_id: UUID | None = None,
) -> Sequence[Ready]:
    """not_by: stands there for who takes it back from the account (out_of_use.py)."""
    owed = await owe(
        conn,
        owed_for=owed_for,
        kind="notification",
        payload={"text": text, "notification_ids": list(ids)} | ({"not_by": not_by} if not_by else {}),
        user_id=person.user_id,
        channel=TELEGRAM,
        account=way.account,
        turn_id=turn_id,
    )
    return owed.ready if owed else ()


async def _open_ways(conn: Connection, person: Recipient, preferences: Preferences) -> list[Way]:
    """The ways that they want used; where none is to be seen, one that is just being made is waited for."""
    off = {name for name, on in preferences.telegram.accounts.items() if not on}
    ways = await ways_to(conn, person)
    if not ways:
        await waiting.look_for_way(conn, person)
        ways = await ways_to(conn, person)
    return [way for way in ways if way.name not in off]


def _first(ways: Sequence[Way], not_by: str | None) -> Way | None:
    return next((way for way in ways if way.name != not_by), None)


def _failed_way(failed: Delivery | None, person: Recipient, ways: Sequence[Way]) -> str | None:
    """The account by which nothing came to this person, as the notification tells: to another's chat is another way."""
    if failed is None or failed.channel != TELEGRAM:
        return None
    for way in ways:
        to_them = failed.chat == way.chat or (failed.chat is None and failed.user_id in (person.user_id, None))
        if to_them and (failed.account or TELEGRAM) == way.name:
            return way.name
    return None
