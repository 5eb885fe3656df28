"""Chats: say something and wait for the reply, or read what was said.

The message is in the queue when its transaction is committed. A caller that goes away, or a door that closes, loses the
wait and nothing else: the same request again, with the same `Idempotency-Key`, is the same message, and waits for its reply.
"""

from contextlib import ExitStack
from typing import Annotated, Any, Literal

from fastapi import Query, Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict

from assistant import chat_history, chats, people
from assistant.content import MAX_FILES_BYTES, Spoken, read_content
from gateways.web.body import read
from gateways.web.caller import Calling, ChatId
from gateways.web.context import Context, Here
from gateways.web.forms import is_form, read_form
from gateways.web.idempotency import IdempotencyKey
from gateways.web.parameters import Page
from gateways.web.replies import Replies, Waiting
from gateways.web.sending import came_with_files, send
from jobs_core import ConnectionFailed, KeyReused, db
from jobs_core.look import find

Patience = Annotated[float | None, Query(ge=0, allow_inf_nan=False)]
"""A route's parameter: how long to wait for the reply, in seconds; None: as long as the door waits."""
MAX_BODY_BYTES = MAX_FILES_BYTES * 4 // 3 + 1024 * 1024
"""Files come in base64."""


class Say(BaseModel):
    """What is said, and in which chat; None begins a new one. user_id: whose words they are; None: the caller's."""

    model_config = ConfigDict(extra="forbid")

    session_id: str | None = None
    message: str | list[Any]
    user_id: str | None = None


class Reply(BaseModel):
    """What came back; `response` is the answer, or why there is none, or null while `status` is waiting."""

    session_id: str
    message_id: int
    job_id: int
    status: Literal["answered", "failed", "waiting"]
    response: str | None


class Messages(BaseModel):
    """Messages, oldest first; before_id: the cursor of the page before these, null where there is none."""

    messages: list[chat_history.Message]
    before_id: int | None


async def say(
    request: Request,
    context: Here,
    caller: Calling,
    replies: Waiting,
    *,
    idempotency_key: IdempotencyKey,
    wait_s: Patience = None,
) -> JSONResponse:
    """Put a message, JSON or a form with files, through the queue: 200 with the reply, 202 where none came in time.

    wait_s: wait no longer than so; 0 is for who watches the chat (`live`).
    """
    with ExitStack() as held:

        def with_files() -> None:
            held.enter_context(request.app.state.forms.one_of(caller))

        if is_form(request):
            with_files()
            async with read_form(request, max_file_bytes=context.media.media_max_bytes) as form:
                received = await send(context, form, caller.acting_for(form.user_id), idempotency_key)
        else:
            said = await read(request, Say, max_bytes=MAX_BODY_BYTES, if_large=with_files)
            message, person = read_content(said.message, field="message"), caller.acting_for(said.user_id)
            received = await _received(context, said.session_id, message, idempotency_key, person)
            del said, message  # who waits for a reply would hold megabytes for a minute
    return await _replied(context, replies, received, wait_s)


async def try_out(
    context: Context, replies: Replies, agent: str, message: Spoken, *, user_id: str | None, wait_s: float | None
) -> JSONResponse:
    """Say something to an agent in a new chat that is marked as a trial; the reply as of `say`."""
    received = await _received(context, None, message, None, user_id, agent=agent, trial=True)
    return await _replied(context, replies, received, wait_s)


async def _replied(context: Context, replies: Replies, received: chats.Received, wait_s: float | None) -> JSONResponse:
    """200 with the reply to a message that was committed, or 202 where none came in time."""
    received.wake()
    longest_s = context.chat_wait_s if wait_s is None else min(wait_s, context.chat_wait_s)
    reply = await replies.wait(received.message_id, longest_s) or await _end_of_job(context, received.job_id)
    told = Reply(
        session_id=received.session_id,
        message_id=received.message_id,
        job_id=received.job_id,
        status=reply.state if reply else "waiting",
        response=reply.text if reply else None,
    )
    return JSONResponse(told.model_dump(), status_code=200 if reply else 202)


async def _received(
    context: Context, chat: str | None, message: Spoken, key: str | None, user_id: str | None = None, **new_chat: Any
) -> chats.Received:
    """Take a person's message in, the owner's where `user_id` is None, also where it meets a deadlock with a turn.

    Owners may speak for others: what is said so is answered with the rights of those.
    """

    async def once() -> chats.Received:
        async with context.database.transaction() as conn:
            user = await (people.owner(conn) if user_id is None else people.get(conn, user_id))
            received = await chats.receive(
                conn,
                context.jobs,
                session_id=chat,
                channel="web",
                message=message.text,
                files=message.files,
                user_id=user.id,
                idempotency_key=key,
                **new_chat,
            )
            if received.job is None and await came_with_files(conn, user.id, key):
                raise KeyReused(f"Idempotency-Key: {key!r} was given to a message with files", field="Idempotency-Key")
            return received

    return await db.retried(once)


async def messages(context: Here, session_id: ChatId, page: Annotated[Page, Query()]) -> Messages:
    """The newest messages of a chat, or those before a cursor."""
    async with context.database.connection() as conn:
        lines = await chat_history.newest(conn, session_id, limit=page.limit, before_id=page.before_id)
    return Messages(messages=lines, before_id=lines[0].id if len(lines) == page.limit else None)


async def _end_of_job(context: Context, job_id: int) -> chat_history.Reply | None:
    """The word that there will be no reply, where the message's job was ended for it; None while it goes on."""
    try:
        async with context.database.connection() as conn:
            job = await find(conn, job_id)
    except ConnectionFailed:
        return None  # the message is safe all the same, and the caller has the job's id to ask by
    return chat_history.Reply("failed", job.error or "") if job and job.state in {"failed", "cancelled"} else None
