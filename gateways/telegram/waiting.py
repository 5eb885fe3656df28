"""Messages that wait to be taken into their chats: a file is fetched first, and what is said meanwhile waits behind it.

    a message ─┬─ no file, and nothing of its chat waits ─▶ into the chat at once
               └─ else ─▶ a row here + a `fetch_media` job, in the ingress's transaction
                             lane in:{account}:{chat session}, one after another ─▶ fetching.py ─▶ into the chat

So a chat keeps its order, and only where something is fetched does a message pay for it. Verbs take the connection first.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from assistant.media import Claim, expect
from assistant.settings import MediaSettings
from jobs_core import Connection, Created, Jobs, JobType, Limit, RetryPolicy, execute, fetch, fetch_one, statement

AT_ONCE = 3
"""Downloads of one account at a time: deliveries go out by the same connection."""


class FetchMedia(BaseModel):
    """Which message is to be taken in, with its files, or behind some."""

    model_config = ConfigDict(extra="forbid")

    account: str
    session_id: str
    waiting_id: int


class Fetched(BaseModel):
    """What became of it; nothing to do: it was taken in with an earlier part of its album."""

    status: Literal["taken_in", "nothing_to_do"]


FETCH_MEDIA = JobType(
    "fetch_media",
    FetchMedia,
    Fetched,
    queue="in",  # of an account: queue_of
    lane=lambda fetch: f"in:{fetch.account}:{fetch.session_id}",
    limits=lambda fetch: [Limit(f"in:{fetch.account}", slots=AT_ONCE)],
    retries=RetryPolicy(max_retries=5, first_s=2.0),
    suspected=False,  # only the process that holds the account can fetch
)


def queue_of(account: str) -> str:
    """The queue that the process which holds the account serves, besides the one of what goes out."""
    return f"in:{account}"


@dataclass(frozen=True, slots=True)
class Described:
    """A file that a message brings: what is claimed of it, and what Telegram is asked for."""

    claim: Claim
    location: bytes
    dc_id: int | None


@dataclass(frozen=True, slots=True)
class Arrival:
    """A person's message to one of our accounts. edit_date: None: its first version. album: the number that its parts share."""

    account: str
    chat_id: int
    message_id: int
    session_id: str
    user_id: str
    content: str
    edit_date: datetime | None = None
    album: int | None = None


@dataclass(frozen=True, slots=True)
class Waiting:
    """A message that waits; age_s: since when."""

    id: int
    account: str
    chat_id: int
    message_id: int
    session_id: str
    user_id: str
    content: str
    file_id: int | None
    dc_id: int | None
    location: bytes | None
    of_album: bool
    age_s: float


async def hold(
    conn: Connection, jobs: Jobs, arrival: Arrival, media: Described | None, settings: MediaSettings
) -> Created | None:
    """Have a message wait, if it must: its job, to `wake()` after the commit; None: take it in at once.

    Its chat is there already. Call it last in the transaction that notes the message as received: the job locks its lane.
    """
    if media is None and not await _anything_waits(conn, arrival.session_id):
        return None
    values: dict[str, Any] = {
        "account": arrival.account,
        "chat_id": arrival.chat_id,
        "message_id": arrival.message_id,
        "edit_date": arrival.edit_date,
        "session_id": arrival.session_id,
        "user_id": arrival.user_id,
        "grouped_id": arrival.album,
        "content": arrival.content,
        "file_id": await expect(conn, arrival.user_id, media.claim, settings) if media else None,
        "dc_id": media.dc_id if media else None,
        "location": media.location if media else None,
    }
    row = await fetch_one(conn, statement("gateways", "waiting/add"), values)
    assert row is not None, "an insert without a condition returns its row"
    given = FetchMedia(account=arrival.account, session_id=arrival.session_id, waiting_id=row["id"])
    queue = queue_of(arrival.account)
    return await jobs.create(FETCH_MEDIA, given, user_id=arrival.user_id, queue=queue, conn=conn)


async def waiting(conn: Connection, waiting_id: int) -> list[Waiting]:
    """The message and, of an album, all parts of it that have come; [] where it was taken in before."""
    rows = await fetch(conn, statement("gateways", "waiting/of_job"), {"id": waiting_id})
    return [Waiting(**row) for row in rows]


async def move(conn: Connection, waiting_id: int, media: Described) -> None:
    """Note where Telegram keeps the file now."""
    values = {"id": waiting_id, "dc_id": media.dc_id, "location": media.location}
    await execute(conn, statement("gateways", "waiting/move"), values)


async def take(conn: Connection, waiting_ids: Sequence[int], history_id: int | None) -> None:
    """These wait no longer; history_id: the message in the chat that was made of them, if any."""
    await execute(conn, statement("gateways", "waiting/take"), {"ids": list(waiting_ids), "history_id": history_id})


async def drop_left(conn: Connection, session_id: str, before_id: int) -> int:
    """Drop what waits in a chat before this message, and say how much: its jobs stood before this one's, and have ended."""
    values = {"session_id": session_id, "before_id": before_id}
    return await execute(conn, statement("gateways", "waiting/drop_left"), values)


async def _anything_waits(conn: Connection, session_id: str) -> bool:
    return await fetch_one(conn, statement("gateways", "waiting/any"), {"session_id": session_id}) is not None
