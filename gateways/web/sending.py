"""A message with files on its way into its chat: kept as what comes by Telegram is (assistant/media.py), voice heard first.

form ─▶ came before under its key? ─▶ that message
          └▶ each file: kept in pieces, its type looked at ─▶ voice: `transcribe`, waited for ─▶ into the chat, one transaction

What is not taken, of a type or a size that is not, fails the request and says so: nothing is in the chat then, and nothing of
what came with it is kept, or counts. Until the last transaction nothing was acknowledged; a caller that hears nothing sends it
again, under its key.
"""

import asyncio
import hmac
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from assistant import chats, media, people
from assistant.bringing import shown_at_once, words_of
from assistant.chats import MAX_MESSAGE_BYTES, Received
from assistant.content import File
from assistant.errors import AssistantError
from assistant.incoming import is_open
from assistant.media import Claim, Media
from assistant.transcription import TRANSCRIBE, TranscribeInput
from gateways.web.context import Context
from gateways.web.errors import Refused
from gateways.web.forms import Form, Upload
from jobs_core import Connection, InvalidInput, KeyReused, db, execute, fetch_one, statement
from jobs_core.db import Row
from jobs_core.look import find
from jobs_core.steps import Child

HEARD_WITHIN_S = 120.0
"""So long a voice message waits for its words; then it is taken without them."""
_LOOK_S, _LONGEST_LOOK_S = 0.1, 1.0
_ENDED = {"complete", "failed", "cancelled"}


@dataclass(frozen=True, slots=True)
class _Brought:
    """What goes into the chat: its words, the files that are shown at once, ids of the others."""

    text: str
    shown: Sequence[File]
    attached: Sequence[int]


async def send(context: Context, form: Form, user_id: str | None, key: str | None) -> Received:
    """Take a message with files in, once under a key; returns it as `chats.receive` does, to `wake()`.

    user_id: whose it is; None: the owner's. Raises Refused, InvalidInput, NoSuchChat, ChatClosed, NoSuchUser, KeyReused.
    """
    async with context.database.transaction() as conn:
        user = await (people.owner(conn) if user_id is None else people.get(conn, user_id))
        if before := await _came_before(conn, user.id, key, form):
            return before
        if form.session_id is not None:
            await is_open(conn, form.session_id, "web", user.id)
    kept = list[Media]()
    try:
        for upload in form.uploads:
            kept.append(await _keep(context, user.id, upload))
        heard = await _heard(context, user.id, [file for file in kept if file.kind == "voice"])
        async with context.database.connection() as conn:
            brought = await _put_together(conn, form.message, kept, heard)
        return await db.retried(lambda: _into_the_chat(context, form, brought, user.id, key))
    except (
        Refused,
        InvalidInput,
        AssistantError,
    ) as error:  # nothing of it is in a chat; of what else fails nobody knows
        async with context.database.connection() as conn:
            await media.drop(conn, [file.id for file in kept], "their message was not taken")
            # The same at the same time, perhaps, whose voice was heard a little otherwise.
            if isinstance(error, KeyReused) and (before := await _came_before(conn, user.id, key, form)):
                return before
        raise


async def came_with_files(conn: Connection, user_id: str, key: str | None) -> bool:
    """Whether a message with files came under this key."""
    return key is not None and await _find(conn, user_id, key) is not None


async def _into_the_chat(context: Context, form: Form, brought: _Brought, user_id: str, key: str | None) -> Received:
    async with context.database.transaction() as conn:
        received = await chats.receive(
            conn,
            context.jobs,
            session_id=form.session_id,
            channel="web",
            message=brought.text,
            files=brought.shown,
            media=brought.attached,
            user_id=user_id,
            idempotency_key=key,
        )
        if key is not None:
            if received.job is None:
                raise KeyReused(f"Idempotency-Key: {key!r} was given to another message", field="Idempotency-Key")
            values = {
                "user_id": user_id,
                "key": key,
                "digest": form.digest,
                "session_id": received.session_id,
                "message_id": received.message_id,
                "job_id": received.job_id,
            }
            await execute(conn, statement("gateways", "api_send/add"), values)
        return received


async def _came_before(conn: Connection, user_id: str, key: str | None, form: Form) -> Received | None:
    row = await _find(conn, user_id, key) if key is not None else None
    if row is None:
        return None
    if not hmac.compare_digest(bytes(row["digest"]), form.digest):
        raise KeyReused(
            f"Idempotency-Key: {key!r} was given to message {row['message_id']}, with another text or other files; repeat "
            "that one, or take a new key",
            field="Idempotency-Key",
        )
    return Received(row["session_id"], row["message_id"], row["job_id"])


async def _find(conn: Connection, user_id: str, key: str) -> Row | None:
    return await fetch_one(conn, statement("gateways", "api_send/find"), {"user_id": user_id, "key": key})


async def _keep(context: Context, user_id: str, upload: Upload) -> Media:
    """A file as it is kept; no connection is held between two of its pieces. Raises Refused where it is not taken."""
    database, settings = context.database, context.media
    async with database.connection() as conn:
        file_id = await media.expect(conn, user_id, Claim(upload.kind, upload.name, upload.size), settings)
        file = await _taken(conn, file_id)
    nth = 0
    async for piece in upload.pieces():
        async with database.connection() as conn:
            await media.add_piece(conn, file_id, nth, piece)
        nth += 1
    async with database.transaction() as conn:
        await media.arrive(conn, file, settings)
    async with database.connection() as conn:
        return await _taken(conn, file_id)


async def _taken(conn: Connection, file_id: int) -> Media:
    (file,) = await media.find(conn, [file_id])
    if file.state == "refused":
        raise Refused(422, "file_not_taken", f"A file is not taken: it is {file.said}. Nothing was said", field="file")
    return file


async def _heard(context: Context, user_id: str, clips: Sequence[Media]) -> Mapping[int, Child]:
    """How the transcription of each clip ended, by file; one that is not in it took too long."""
    if not clips:
        return {}
    waiting = dict[int, int]()
    for clip in clips:
        created = await context.jobs.create(TRANSCRIBE, TranscribeInput(file_id=clip.id), user_id=user_id)
        waiting[created.id] = clip.id
    heard, until_s, pause_s = dict[int, Child](), time.monotonic() + HEARD_WITHIN_S, _LOOK_S
    while waiting and time.monotonic() < until_s:
        await asyncio.sleep(pause_s)
        pause_s = min(pause_s * 1.5, _LONGEST_LOOK_S)
        async with context.database.connection() as conn:
            for job_id in list(waiting):
                job = await find(conn, job_id)
                if job is None or job.state in _ENDED:
                    state, result = (job.state, job.result) if job else ("unknown", None)
                    heard[waiting.pop(job_id)] = Child(job_id, state, result)
    for job_id in waiting:
        await context.jobs.cancel(job_id, reason="its message was taken without its words: it took too long")
    return heard


async def _put_together(conn: Connection, message: str, files: Sequence[Media], heard: Mapping[int, Child]) -> _Brought:
    before, shown, attached = list[str](), list[File](), list[int]()
    for file in files:
        if file.kind == "voice":
            head, words = words_of(file, heard.get(file.id))
            before.append(f"{head}, transcribed:] {words}\n" if words else f"{head}\n")
        elif picture := await shown_at_once(conn, file, shown):
            shown.append(picture)
        else:
            attached.append(file.id)
    text = "".join(before) + message
    if len(text.encode()) > MAX_MESSAGE_BYTES:
        raise InvalidInput(f"message: more than {MAX_MESSAGE_BYTES} bytes, with what was heard", field="message")
    return _Brought(text, shown, attached)
