"""Events that other programs can be told of, and the telling: a delivery for each callback that wants one.

Call it in the transaction in which the thing happens, late, as each delivery's job locks a lane: then who is told and what
happened are one fact. Each callback is owed an event once, whatever is repeated.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Literal
from uuid import UUID

from assistant.action import Action
from assistant.deliveries import Owed, owe
from assistant.preferences import SEVERITIES
from jobs_core import Connection, InvalidInput, fetch, fetch_one, gate, statement
from jobs_core.wake import Ready

CHANNEL = "webhook"
JOB_ENDED, TURN_ENDED, APPROVAL_WAITING, NOTIFIED = (
    "job.ended",
    "turn.ended",
    "approval.waiting",
    "notification.created",
)
EVENTS: Mapping[str, frozenset[str]] = {
    JOB_ENDED: frozenset({"job_type", "state", "user_id"}),
    TURN_ENDED: frozenset({"agent", "state", "user_id", "channel"}),
    APPROVAL_WAITING: frozenset({"agent", "tool", "user_id"}),
    NOTIFIED: frozenset({"user_id", "category", "severity"}),
}
"""Each event, and by which fields of its data some of them may be chosen."""
_VALUES: Mapping[tuple[str, str], tuple[str, ...]] = {
    (JOB_ENDED, "state"): ("complete", "failed", "cancelled"),
    (TURN_ENDED, "state"): ("answered", "failed", "stopped"),
    (NOTIFIED, "severity"): SEVERITIES,
}
"""Of the fields that have no others."""
MAX_TEXT_CHARS = 100_000
"""Of an answer: receivers bound what they take."""
_TEST = "callback.test"

Data = Mapping[str, Any]


def check_events(wanted: Mapping[str, Mapping[str, Sequence[str]]]) -> None:
    """Raises InvalidInput for an event that there is not, a field that it cannot be chosen by, or what would choose none."""
    for event, fields in wanted.items():
        known = EVENTS.get(event)
        if known is None:
            raise InvalidInput(f"events: there is no {event!r}; there are {', '.join(EVENTS)}", field="events")
        for name, values in fields.items():
            if name not in known:
                raise InvalidInput(
                    f"events.{event}: is not chosen by {name!r}, but by {', '.join(sorted(known))}", field="events"
                )
            _check_values(event, name, values)


def _check_values(event: str, name: str, values: Sequence[str]) -> None:
    if not values:
        raise InvalidInput(f"events.{event}.{name}: names no value, and would choose no event", field="events")
    there_are = _VALUES.get((event, name))
    for value in values:
        if there_are and value not in there_are:
            raise InvalidInput(
                f"events.{event}.{name}: is never {value!r}; there are {', '.join(there_are)}", field="events"
            )


async def turn_ended(
    conn: Connection, session_id: str, turn_id: UUID, state: Literal["answered", "failed", "stopped"], text: str
) -> Sequence[Ready]:
    """Tell that a turn of a chat ended; of trials of agents nobody is told. Returns where jobs stand ready."""

    async def data() -> Data | None:
        chat = await fetch_one(conn, statement("assistant", "callback/turn"), {"session_id": session_id})
        if chat is None or chat.pop("trial"):
            return None
        shown = gate.clean_text(text, max_chars=MAX_TEXT_CHARS)
        return {"turn_id": str(turn_id), "session_id": session_id, **chat, "state": state, "text": shown}

    return await _tell(conn, TURN_ENDED, str(turn_id), data)


async def approval_waits(conn: Connection, action: Action) -> Sequence[Ready]:
    """Tell that a call waits for a person, but not what it is made with: that is for who may decide."""

    async def data() -> Data:
        names = ("session_id", "turn_id", "user_id", "agent", "tool", "digest", "may_decide", "expires_at")
        return {"action_id": action.id, **{name: _plain(getattr(action, name)) for name in names}}

    return await _tell(conn, APPROVAL_WAITING, str(action.id), data)


async def notified(conn: Connection, notification_id: int, said: Mapping[str, str | None]) -> Sequence[Ready]:
    """Tell of a notification: its user_id (None: the owner), title, body, category, severity."""

    async def data() -> Data:
        return {"notification_id": notification_id, **said}

    return await _tell(conn, NOTIFIED, str(notification_id), data)


async def job_ended(conn: Connection, job_id: int, data: Data) -> Sequence[Ready]:
    """Tell that a job ended whose creator asked for it (`report_end`)."""

    async def given() -> Data:
        return {"job_id": job_id, **data}

    return await _tell(conn, JOB_ENDED, str(job_id), given)


async def owe_test(conn: Connection, name: str, key: str) -> Owed | None:
    """Owe a callback an event that tells nothing, whichever it wants, and though it is off; it is sent as all others."""
    return await _owe(conn, name, _TEST, key, {"callback": name})


async def _tell(
    conn: Connection,
    event: str,
    key: str,
    data_of: Callable[[], Awaitable[Data | None]],
) -> list[Ready]:
    callbacks = await fetch(conn, statement("assistant", "callback/wanting"), {"event": event})
    data = await data_of() if callbacks else None
    ready = list[Ready]()
    for callback in callbacks if data is not None else ():
        if _is_wanted(data or {}, callback["wanted"]):
            owed = await _owe(conn, callback["name"], event, key, data or {})
            ready += owed.ready if owed else ()
    return ready


def _is_wanted(data: Data, wanted: Mapping[str, Sequence[str]]) -> bool:
    return all((data.get(name) or "") in values for name, values in wanted.items())


async def _owe(conn: Connection, name: str, event: str, key: str, data: Data) -> Owed | None:
    return await owe(
        conn,
        owed_for=f"event:{event}:{key}:{name}",
        kind="event",
        payload={"event": event, "data": dict(data)},
        user_id=None,
        channel=CHANNEL,
        chat=name,
    )


def _plain(value: Any) -> Any:
    return value if isinstance(value, (str, list)) else value.isoformat() if hasattr(value, "isoformat") else str(value)
