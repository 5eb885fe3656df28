"""What waits to be told, for the quiet hours' end, a digest's time, or a way to its person, and the job that looks at it then.

    notify ─ must wait ─▶ a row, and a job for that moment ─▶ `routing.send_what_is_due` ─▶ one delivery, the rows go with it
               no way ─▶ a row ─▶ the person comes by Telegram ─▶ a job for now ─┘           └─ the rest: a job for its moment

A job a person and moment: it is a poke, and says only whose turn it is. What goes out is decided by what the person says then.
Verbs take the connection first; call them late in a transaction.
"""

from datetime import UTC, datetime, timedelta

from pydantic import BaseModel, ConfigDict

from assistant.recipients import Recipient, recipient
from jobs_core import Connection, JobType, NewJob, RetryPolicy, execute, fetch_one, statement
from jobs_core.keys import insert_or_meet
from jobs_core.new_job import row_of
from jobs_core.wake import wake_after_commit

KEPT_WITHOUT_A_WAY = timedelta(days=1)
"""What is older when its person comes by Telegram is news no more."""


class TellInput(BaseModel):
    """Whom to tell what is due by now; None: the owner, where nobody is that yet."""

    model_config = ConfigDict(extra="forbid")

    user_id: str | None


TELL = JobType(
    "tell",
    TellInput,
    unique_while="unstarted",  # what begins to wait while one runs needs another
    retries=RetryPolicy(max_retries=20),
    retention="none",  # one an hour, perhaps, for each person; those that failed are kept
)


async def wait(
    conn: Connection, notification_id: int, person: Recipient, due_at: datetime | None, not_by: str | None
) -> None:
    """Have a notification wait until then; None: until there is a way to its person. not_by: the account it may not take."""
    values = {
        "notification_id": notification_id,
        "user_id": person.user_id,
        "not_by": not_by,
        "due_at": due_at,
        "keep_s": KEPT_WITHOUT_A_WAY.total_seconds(),
    }
    await execute(conn, statement("assistant", "waiting_notification/wait"), values)
    if due_at is not None:
        await look_at(conn, person, due_at)


async def look_at(conn: Connection, person: Recipient, due_at: datetime | None = None) -> None:
    """Make a job that looks at what waits for this person, then or now; one for the same moment that has not begun will do."""
    key = f"{person.user_id or ''}@{due_at.astimezone(UTC).isoformat() if due_at else 'now'}"
    new = NewJob(TELL, TellInput(user_id=person.user_id), user_id=person.user_id, scheduled_for=due_at, unique_key=key)
    made = await insert_or_meet(conn, [row_of(new, TELL)])
    wake_after_commit(conn, made.ready)


async def any_waits(conn: Connection, person: Recipient, *, left_over: bool) -> bool:
    """Whether anything waits for this person.

    left_over: that no job will look at: there was no way when it was written, or its job has failed for good.
    """
    values = {**person.theirs, "left_over": left_over}
    row = await fetch_one(conn, statement("assistant", "waiting_notification/is_one"), values)
    return bool(row and row["waits"])


async def way_came(conn: Connection, user_id: str) -> None:
    """There is a way to a person now: a first private chat, or they turned out to be somebody who has one.

    Whoever tells them something just now has not seen it: they are waited for, and what they have written is seen.
    """
    await take_up_old(conn)
    person = await recipient(conn, user_id)
    for whose in ["", user_id] if person.is_owner else [user_id]:
        await execute(conn, statement("assistant", "waiting_notification/hold_way"), {"person": whose})
    if await any_waits(conn, person, left_over=True):
        await look_at(conn, person)


async def look_for_way(conn: Connection, person: Recipient) -> None:
    """Before something is to wait for a way to them: return when nobody is making one; look once more then."""
    values = {"person": person.user_id or ""}
    await execute(conn, statement("assistant", "waiting_notification/look_for_way"), values)


async def take_up_old(conn: Connection) -> None:
    """Have wait what an older version has owed to nowhere, if it is younger than a day; the rest is on the web."""
    keep_s = KEPT_WITHOUT_A_WAY.total_seconds()
    await execute(conn, statement("assistant", "waiting_notification/take_up"), {"keep_s": keep_s})


async def give(conn: Connection, user_id: str, into: str) -> None:
    """One person turned out to be another, under the lock of those who change who is who."""
    await execute(conn, statement("assistant", "waiting_notification/give"), {"user_id": user_id, "into": into})
    await way_came(conn, into)
