"""What strangers have said, while it is kept, and on its way into their chats once they are allowed.

    kept ─┬─ words alone ─▶ chats.receive, in the transaction that allows them
          └─ a door has it, too, with its files ─▶ a job of that door's queue ─▶ in its chat, and kept no longer

Whoever is not allowed is forgotten here, and at the doors by a foreign key. held.py decides. Verbs take the connection first.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import structlog

from assistant import chats
from assistant.arrivals import FETCH_MEDIA, FetchMedia, queue_of
from assistant.errors import AssistantError
from assistant.incoming import NewChat, begin_chat
from assistant.people import User
from jobs_core import Connection, InvalidInput, Jobs, db, execute, fetch, fetch_one, statement

log = structlog.get_logger()


async def arrives(conn: Connection, held_id: int, arrival_id: int, file_ids: Sequence[int]) -> None:
    """The door keeps a message that was just held, under this number, and these files of it are expected (media.py).

    On allow a `fetch_media` job of that number takes it in.
    """
    values = {"id": held_id, "arrival_id": arrival_id, "file_ids": list(file_ids)}
    await execute(conn, statement("assistant", "held_message/arrive"), values)


async def anything_kept(conn: Connection, user_id: str) -> bool:
    """Whether anything of this person waits for an owner's word."""
    return await fetch_one(conn, statement("assistant", "held_message/any"), {"user_id": user_id}) is not None


async def forget(conn: Connection, held_ids: Sequence[int | None]) -> None:
    """Keep these no longer: they are in their chats, or were dropped; a None among them was not held."""
    if ids := [held_id for held_id in held_ids if held_id is not None]:
        await execute(conn, statement("assistant", "held_message/drop"), {"ids": ids})


async def let_go(conn: Connection, user: User, *, allowed: bool) -> Sequence[Mapping[str, Any]]:
    """What was kept of a person, and is to be taken in, or, where they are not allowed, was forgotten just now."""
    values = {"user_id": user.id}
    taken = await fetch(conn, statement("assistant", "held_message/take"), values | {"arrivals": not allowed})
    return [*taken, *(await fetch(conn, statement("assistant", "held_message/release"), values) if allowed else ())]


async def take_in(
    conn: Connection, jobs: Jobs, user: User, kept: Sequence[Mapping[str, Any]]
) -> list[Callable[[], object]]:
    """Take in what was kept: chats in the order of their names, as lanes are locked, and each one's messages as they came.

    Returns for each what wakes those who go on with it. What a door keeps is taken in by a job of its own.
    """
    received = list[Callable[[], object]]()
    for row in sorted(kept, key=lambda row: (row["session_id"], row["id"])):
        take = _receive if row["arrival_id"] is None else _fetch
        try:
            async with conn.transaction():
                received.append(await take(conn, jobs, user, row))
        except (AssistantError, InvalidInput) as error:  # one that cannot be taken in must not keep the person out
            log.warning("stranger.message_not_taken_in", user=user.id, error=db.describe(error))
    return received


async def _receive(conn: Connection, jobs: Jobs, user: User, row: Mapping[str, Any]) -> Callable[[], object]:
    given = {"session_id": row["session_id"], "channel": row["channel"], "account": row["account"], "begin": True}
    said = {"message": row["content"], "idempotency_key": row["idempotency_key"]}
    return (await chats.receive(conn, jobs, user_id=user.id, **given, **said)).wake


async def _fetch(conn: Connection, jobs: Jobs, user: User, row: Mapping[str, Any]) -> Callable[[], object]:
    new = NewChat(row["channel"], user.id, account=row["account"])
    await begin_chat(conn, new, session_id=row["session_id"])
    given = FetchMedia(account=row["account"], session_id=row["session_id"], waiting_id=row["arrival_id"])
    return (await jobs.create(FETCH_MEDIA, given, user_id=user.id, queue=queue_of(row["account"]), conn=conn)).wake
