"""Deliveries: what is owed to somebody outside, recorded in the transaction that makes it owed, with the job that sends it.

    settle: answer, job's end, delivery + `deliver` job ─ commit ─▶ its lane ─▶ a sender ─▶ sent │ failed │ unknown │ blocked
                                                                      ▲                            └─────────┴────┬────┘
                                                                      └───────── resend, by a person ◀────────────┘

A delivery is owed once, whatever is repeated: `owed_for` names what for. The number by which a receiver tells a second copy is
drawn with the row, so that each try shows the same. Its job stands in the lane `out:{account}:{chat}`, so that what goes to one
chat arrives in order, and in the queue of its account, which is served where that account is held. One without a channel has no
job yet: `address` gives it both. Verbs take the connection first; what a run does to a row stands in sending.py.
"""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated, Any, Literal, NamedTuple
from uuid import UUID

from pydantic import BaseModel, ConfigDict, PlainSerializer

from assistant.errors import NoSuchDelivery
from jobs_core import Connection, JobType, NewJob, RetryPolicy, execute, fetch, fetch_one, gate, statement
from jobs_core.insert import insert
from jobs_core.new_job import row_of
from jobs_core.wake import Ready, wake_after_commit

Kind = Literal["answer", "failure", "notification", "card", "event"]
State = Literal["owed", "sent", "failed", "unknown", "blocked"]
STATES: tuple[State, ...] = ("owed", "sent", "failed", "unknown", "blocked")

_MAX_PAYLOAD_BYTES = 8 * 1024 * 1024  # of an answer of a million characters, each escaped or of four bytes
_RANDOM_BITS = 63  # what a bigint holds, and Telegram takes


class DeliverInput(BaseModel):
    """Which delivery, and the way it goes: `account` and `chat` name its lane."""

    model_config = ConfigDict(extra="forbid")

    delivery_id: int
    channel: str
    account: str
    chat: str


class DeliverResult(BaseModel):
    """What became of the delivery; `not_owed`: nothing was left to do."""

    state: Literal["sent", "failed", "unknown", "blocked", "not_owed"]


DELIVER = JobType(
    "deliver",
    DeliverInput,
    DeliverResult,
    queue="out",
    priority=1,  # somebody waits for it, and it takes no time of ours
    lane=lambda given: f"out:{given.account}:{given.chat}",
    retries=RetryPolicy(max_retries=6, first_s=2.0),  # 2 + 4 + … + 64 s
    timeout=timedelta(minutes=5),
    give_up_after=timedelta(days=3),  # a weekend: what is later is news no more
    retention="short",
    suspected=False,  # only the process that holds the account can send: there is no other to be alone in
)


@dataclass(frozen=True, slots=True)
class Delivery:
    """Something owed. `channel`: None where that is decided later; `account`: None where the channel has one only.

    chat: the chat session that it goes to; None: the person's own. user_id: whom it is owed to; None, where `chat` is too: the
    owner. random_id: by which the receiver tells a second copy. turn_id: the turn that owes it. job_id: of the job that sends
    it. unsure_since: when a try began of which nobody knows whether it arrived. receiver_id: what the receiver calls it. said:
    what the receiver said last, or why nobody knows.
    """

    id: int
    owed_for: str
    channel: str | None
    account: str | None
    chat: str | None
    user_id: str | None
    kind: Kind
    payload: Any
    random_id: Annotated[int, PlainSerializer(str, when_used="json")]  # more digits than most JSON readers keep
    state: State
    turn_id: UUID | None
    created_at: datetime
    job_id: int | None = None
    tries: int = 0
    unsure_since: datetime | None = None
    receiver_id: str | None = None
    said: str | None = None
    ended_at: datetime | None = None

    @property
    def lane(self) -> str:
        """Where it goes, as its job's lane has it."""
        account, chat = way_of(self.channel or "", self.account, self.chat, self.user_id)
        return f"out:{account}:{chat}"


class Owed(NamedTuple):
    """A delivery that is owed from now on. ready: where its job stands ready; wake workers there after the commit."""

    id: int
    ready: Sequence[Ready]


def way_of(channel: str, account: str | None, chat: str | None, user_id: str | None) -> tuple[str, str]:
    """The account and the chat that name a delivery's lane."""
    return account or channel, chat or f"user:{user_id or 'owner'}"


def queue_of(channel: str, account: str | None = None) -> str:
    """The queue of an account's deliveries: whoever holds the account serves it. account: None: the channel's only one."""
    return f"out:{account or channel}"


async def owe(
    conn: Connection,
    *,
    owed_for: str,
    kind: Kind,
    payload: dict[str, Any],
    user_id: str | None,
    channel: str | None = None,
    account: str | None = None,
    chat: str | None = None,
    turn_id: UUID | None = None,
) -> Owed | None:
    """Record what is owed, with its job where the channel is known; None where it was recorded before.

    Call it late in a transaction: the job locks its lane. Raises InvalidInput for a payload that JSON or Postgres cannot hold.
    """
    values = {
        "owed_for": owed_for,
        "channel": channel,
        "account": account,
        "chat": chat,
        "user_id": user_id,
        "kind": kind,
        **_sealed(payload),
        "turn_id": turn_id,
    }
    async with conn.transaction():
        row = await fetch_one(conn, statement("assistant", "delivery/owe"), values)
        return await send_by_job(conn, row) if row else None


async def owe_reply(conn: Connection, session_id: str, turn_id: UUID, kind: Kind, text: str) -> Sequence[Ready]:
    """Owe what a turn ended with to its chat, once; nothing where the chat is on the web, which reads its history.

    Returns where its job stands ready.
    """
    values = {"session_id": session_id, "turn_id": turn_id, "kind": kind, **_sealed({"text": text})}
    async with conn.transaction():
        row = await fetch_one(conn, statement("assistant", "delivery/owe_reply"), values)
        return (await send_by_job(conn, row)).ready if row else ()


async def owe_remark(conn: Connection, session_id: str, message_id: int, text: str) -> Sequence[Ready]:
    """Owe a line of a chat that ended no turn; nothing where the chat is on the web. Returns where its job stands ready."""
    values = {"session_id": session_id, "message_id": message_id, **_sealed({"text": gate.clean_text(text)})}
    async with conn.transaction():
        row = await fetch_one(conn, statement("assistant", "delivery/owe_remark"), values)
        return (await send_by_job(conn, row)).ready if row else ()


async def owe_file(conn: Connection, session_id: str, message_id: int, text: str, file_id: str) -> Owed | None:
    """Owe a line of a chat that is a file, with a word to it or none; None where the chat is on the web."""
    payload = {"text": text, "files": [{"file_id": file_id}]}
    values = {"session_id": session_id, "message_id": message_id, **_sealed(payload)}
    async with conn.transaction():
        row = await fetch_one(conn, statement("assistant", "delivery/owe_remark"), values)
        return await send_by_job(conn, row) if row else None


async def address(
    conn: Connection, delivery_id: int, *, channel: str, account: str | None = None, chat: str | None = None
) -> Owed | None:
    """Say by what way a delivery goes that was owed without a channel; None where it has one, or has ended.

    account: the sender's; None: the channel's only one. chat: the chat session that it goes to; None: the person's own.
    """
    values = {"id": delivery_id, "channel": channel, "account": account, "chat": chat}
    async with conn.transaction():
        row = await fetch_one(conn, statement("assistant", "delivery/address"), values)
        return await send_by_job(conn, row) if row else None


async def send_by_job(conn: Connection, row: dict[str, Any]) -> Owed:
    """Create the job of a delivery whose row was written in this transaction, where its channel is known.

    Whoever idles is told when that commits, whatever becomes of `ready`.
    """
    if row["channel"] is None:
        return Owed(row["id"], ())
    account, chat = way_of(row["channel"], row["account"], row["chat"], row["user_id"])
    given = DeliverInput(delivery_id=row["id"], channel=row["channel"], account=account, chat=chat)
    new = NewJob(DELIVER, given, user_id=row["user_id"], queue=queue_of(row["channel"], row["account"]))
    made = await insert(conn, [row_of(new, DELIVER)])
    values = {"id": row["id"], "job_id": made.ids[0]}
    await execute(conn, statement("assistant", "delivery/give_job"), values)
    wake_after_commit(conn, made.ready)
    return Owed(row["id"], tuple(made.ready))


async def find_delivery(conn: Connection, delivery_id: int) -> Delivery:
    """The delivery. Raises NoSuchDelivery."""
    row = await fetch_one(conn, statement("assistant", "delivery/find"), {"id": delivery_id})
    if row is None:
        raise NoSuchDelivery(f"There is no delivery {delivery_id}: ./jobs deliveries ls lists them")
    return Delivery(**row)


async def list_deliveries(
    conn: Connection, *, states: Sequence[State] = (), before_id: int | None = None, limit: int = 50
) -> list[Delivery]:
    """The newest deliveries in these states (none: in any), newest first; page on with the last one's id as `before_id`."""
    values = {"states": list(states) or None, "before_id": before_id, "limit": limit}
    return [Delivery(**row) for row in await fetch(conn, statement("assistant", "delivery/list"), values)]


def payload_text(payload: dict[str, Any]) -> str:
    """What is sent, as it is stored. Raises InvalidInput."""
    return gate.to_json(payload, field="payload", max_bytes=_MAX_PAYLOAD_BYTES)


def _sealed(payload: dict[str, Any]) -> dict[str, Any]:
    """What is sent, and the number that it is known by."""
    return {"payload": payload_text(payload), "random_id": secrets.randbits(_RANDOM_BITS)}
