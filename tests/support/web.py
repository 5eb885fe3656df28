"""What tests of the web door stand on: the door over ASGI with no network, and a worker reduced to the queue's verbs."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote
from uuid import uuid4

from fastapi import FastAPI
from httpx import ASGITransport, AsyncClient
from starlette.datastructures import Headers

from assistant import chats
from assistant.chats import CHAT_TURN
from cli.rooms import ROOMS
from gateways.web import Context, app, hosts_at, serve
from jobs_core import AnyJob, Complete, Connection, Database, Fail, Jobs
from jobs_core.claim import claim
from jobs_core.leases import register
from jobs_core.settle import settle
from sessions import begin_turn, end_turn

TOKEN = "a-token-for-tests-only"
HOST = "127.0.0.1:8080"
AUTHORIZED = {"Authorization": f"Bearer {TOKEN}"}


def door(jobs: Jobs, **changes: Any) -> FastAPI:
    """A door with these jobs behind it."""
    given: dict[str, Any] = {
        "token": TOKEN,
        "hosts": hosts_at(8080),
        "version": "1.2.3",
        "model": "a model",
        "rooms": ROOMS,
        "chat_wait_s": 20.0,
        **changes,
    }
    return app(Context(jobs=jobs, **given))


@asynccontextmanager
async def calling(served: FastAPI, *, token: str | None = TOKEN, host: str = HOST) -> AsyncIterator[AsyncClient]:
    """A caller of the door, with its token unless told otherwise; what the door raises is seen as the caller would see it."""
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    transport = ASGITransport(served, raise_app_exceptions=False)
    async with AsyncClient(transport=transport, base_url=f"http://{host}", headers=headers) as client:
        yield client


@asynccontextmanager
async def serving(jobs: Jobs) -> AsyncIterator[tuple[asyncio.Task[None], str]]:
    """The task that serves a door on a socket, and where; ended after the block if it has not been."""
    listener = socket.create_server(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    task = asyncio.create_task(serve(door(jobs, hosts=hosts_at(port), chat_wait_s=60.0), listener))
    try:
        yield task, f"http://127.0.0.1:{port}"
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


def error_of(response: Any, status: int) -> dict[str, Any]:
    """The error that a response of this status carries, which has the one form that errors have."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/json"
    error: dict[str, Any] = response.json()["error"]
    assert error.keys() == {"code", "message", "field"}
    assert "Traceback" not in error["message"]
    return error


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back; of a stream only its head."""

    status: int
    headers: Headers
    body: bytes

    @property
    def code(self) -> str | None:
        """The code of the error that it tells, None where it tells none."""
        return json.loads(self.body)["error"]["code"] if self.status >= 400 else None


async def asked(
    served: FastAPI, method: str, target: str, *, token: str | None = TOKEN, body: Any = None, headers: Any = ()
) -> Answer:
    """What a door answers, spoken to as a server speaks to it; a stream is left when it has begun, which httpx cannot here.

    body: bytes as they are, else JSON. headers: further ones, in place of those that are sent always.
    """
    sent = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
    over, given = asyncio.Event(), [{"type": "http.request", "body": sent}]
    head, content = dict[str, Any](), bytearray()

    async def receive() -> Any:
        if given:
            return given.pop()
        await over.wait()
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        if message["type"] == "http.response.start":
            head.update(message)
            if Headers(raw=message["headers"]).get("content-type", "").startswith("text/event-stream"):
                over.set()
        else:
            content.extend(message.get("body", b""))

    path, _, query = target.partition("?")
    always = {b"host": HOST.encode()} | ({b"authorization": f"Bearer {token}".encode()} if token else {})
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "scheme": "http",
        "method": method,
        "path": unquote(path),
        "raw_path": path.encode(),
        "query_string": query.encode(),
        "root_path": "",
        "headers": [*(always | dict(headers)).items()],
    }
    async with asyncio.timeout(30):
        await served(scope, receive, send)
    return Answer(head["status"], Headers(raw=head["headers"]), bytes(content))


class StandInWorker:
    """Claims chat turns by the queue's verbs and settles them with a given answer; no agent, no process."""

    def __init__(self, database: Database, worker_id: int) -> None:
        self._database = database
        self._worker_id = worker_id

    @classmethod
    async def registered(cls, database: Database) -> "StandInWorker":
        """One with a live worker row."""
        async with database.connection() as conn:
            worker_id = await register(conn, queues=["chat"], job_types=[CHAT_TURN.name], slots=1, lease_s=600)
        return cls(database, worker_id)

    async def claim(self) -> AnyJob | None:
        """The next chat turn, if one is ready."""
        async with self._database.connection() as conn:
            jobs = await claim(conn, worker_id=self._worker_id, queues=["chat"], job_types=[CHAT_TURN.name], slots=1)
        return jobs[0] if jobs else None

    async def work(self, answer: str, *, fails: bool = False) -> bool:
        """Answer, or fail, what the next chat turn finds unanswered; False where no job was ready."""
        job = await self.claim()
        if job is None:
            return False
        turn_id, chat = uuid4(), json.loads(job.input)["session_id"]
        async with self._database.transaction() as conn:
            said = await chats.bind(conn, chat, turn_id)
            session_id = await chats.claude_session_of(conn, chat)
            await begin_turn(conn, turn_id=turn_id, session_id=session_id, job_id=job.id)

        async def write(conn: Connection) -> None:
            if said and fails:
                await chats.fail(conn, chat, turn_id, answer)
            elif said:
                await chats.answer(conn, chat, turn_id, answer)
                await end_turn(conn, turn_id)

        outcome = Fail(answer, also=write) if fails else Complete({"status": "answered"}, also=write)
        async with self._database.connection() as conn:
            await settle(conn, job, outcome, CHAT_TURN)
        return True
