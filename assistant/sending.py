"""What the run of a `deliver` job writes, and what a person does about a delivery that did not arrive.

    begin: a try is on record ─▶ the sender ─┬─ answered ─▶ end, or put_off as if there had been no try
                                             └─ nobody knows ─▶ put_off, and the next try knows since when

A try is on record before anything is sent: whoever comes after a crash sees that a copy may be out. Verbs take the connection
first.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from assistant.deliveries import Delivery, Owed, State, find_delivery, send_by_job
from assistant.errors import NotResent
from assistant.undelivered import note_end
from assistant.waiting import take_up_old
from jobs_core import AnyJob, Connection, execute, fence, fetch, fetch_one, gate, statement

MAX_SAID_CHARS = 500
"""Of what a receiver says: it stands in lists and in prompts."""
_LEFT = "its job ended without a word: it was cancelled, or gave up"


@dataclass(frozen=True, slots=True)
class Try:
    """A try that has begun. delivery.unsure_since: as it was before. unsure_for: how long that is ago; None: nothing is."""

    delivery: Delivery
    unsure_for: timedelta | None


async def begin(conn: Connection, job: AnyJob, delivery_id: int) -> Try | None:
    """Put on record that a try begins; None where the delivery is owed no longer. Raises LeaseLost: then send nothing."""
    async with conn.transaction():
        await fence(conn, job)
        values = {"id": delivery_id, "job_id": job.id}
        row = await fetch_one(conn, statement("assistant", "delivery/begin"), values)
    if row is None:
        return None
    unsure_for = row.pop("unsure_for")
    return Try(Delivery(**row), unsure_for)


async def put_off(
    conn: Connection, delivery_id: int, said: str, *, arrived_not: bool, unsure_since: datetime | None
) -> None:
    """Note why a try did not end it, in the settling transaction.

    arrived_not: the receiver took nothing of this try. unsure_since: as it was before the try.
    """
    values = {"id": delivery_id, "said": _short(said), "arrived_not": arrived_not, "unsure_since": unsure_since}
    await execute(conn, statement("assistant", "delivery/put_off"), values)


async def end(
    conn: Connection, delivery_id: int, state: State, *, said: str | None = None, receiver_id: str | None = None
) -> None:
    """End a delivery, in the settling transaction, and tell the owner where that is news."""
    values = {
        "id": delivery_id,
        "state": state,
        "said": said and _short(said),
        "receiver_id": receiver_id and _short(receiver_id),
    }
    row = await fetch_one(conn, statement("assistant", "delivery/end"), values)
    if row:
        await note_end(conn, Delivery(**row))


async def end_left(conn: Connection) -> None:
    """End what jobs left owed that ended without a word; whoever lists deliveries does this first."""
    async with conn.transaction():
        await take_up_old(conn)
        for row in await fetch(conn, statement("assistant", "delivery/end_left"), {"said": _LEFT}):
            await note_end(conn, Delivery(**row))


async def resend(conn: Connection, delivery_id: int) -> Owed:
    """Owe a delivery once more that is failed, unknown or blocked, behind all that wait in its lane, under the same number.

    Of an unknown one the receiver may have a copy, and drops the second only as long as it remembers the first: that is for
    whoever calls this to know. Raises NoSuchDelivery, NotResent.
    """
    await end_left(conn)
    async with conn.transaction():
        row = await fetch_one(conn, statement("assistant", "delivery/reopen"), {"id": delivery_id})
        if row:
            return await send_by_job(conn, row)
    found = await find_delivery(conn, delivery_id)
    why = "has no channel yet" if found.channel is None else f"is {found.state}"
    raise NotResent(f"Delivery {delivery_id} {why}: only what is failed, unknown or blocked is sent again")


def _short(text: str) -> str:
    return gate.clean_text(text, max_chars=MAX_SAID_CHARS)
