"""What tests of webhooks stand on: sources, and senders that sign as each service does."""

import base64
import hashlib
import hmac
import json
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any
from uuid import uuid4

from httpx import ASGITransport, AsyncClient, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from gateways.web.webhooks import Hooks
from gateways.webhooks import signing
from gateways.webhooks.sources import add_source, define
from jobs_core import Connection, Database, Jobs, fetch

PLAIN_SECRET = "a-secret-for-tests-only"
SIGNING_SECRET = "whsec_" + base64.b64encode(b"a key of tests, 32 bytes or more").decode()
TO_NOTE = {"input": {"text": "body.text"}}


async def a_source(conn: Connection, name: str = "shop", secret: str = SIGNING_SECRET, **changes: Any) -> None:
    """A source of Standard Webhooks that makes notes of `body.text`, unless told otherwise."""
    await add_source(conn, name, define({"job_type": "note", "mapping": TO_NOTE, **changes}), secret)


def hooks(jobs: Jobs, *, fresh_s: float = 0.0) -> Hooks:
    """The door of webhooks with nothing behind it, which looks its sources up anew each time unless told otherwise."""
    return Hooks(_nothing_else, jobs=jobs, fresh_s=fresh_s)


async def _nothing_else(scope: Scope, _receive: Receive, _send: Send) -> None:
    raise AssertionError(f"{scope['path']} was passed on")


@asynccontextmanager
async def sending(served: ASGIApp) -> AsyncIterator[AsyncClient]:
    """A program that sends events, by another name of ours than people use; what the door raises is seen as it would see it."""
    transport = ASGITransport(served, raise_app_exceptions=False)
    async with AsyncClient(transport=transport, base_url="http://hooks.example") as client:
        yield client


def standard(
    body: bytes, *, message_id: str | None = None, at: float | None = None, secret: str = SIGNING_SECRET
) -> dict[str, str]:
    """The headers of Standard Webhooks."""
    return signing.sign([secret], message_id or f"msg_{uuid4()}", int(time.time() if at is None else at), body)


def mac(body: bytes, algorithm: str = "sha256", secret: str = PLAIN_SECRET) -> str:
    """The HMAC of a body, in hex."""
    return hmac.new(secret.encode(), body, getattr(hashlib, algorithm)).hexdigest()


def told(text: str = "hello", **more: Any) -> bytes:
    """The body of an event."""
    return json.dumps({"text": text, **more}).encode()


async def post(
    client: AsyncClient, body: bytes, headers: Mapping[str, str] | None = None, source: str = "shop"
) -> Response:
    """Send an event, signed as Standard Webhooks unless with these headers."""
    return await client.post(f"/hooks/{source}", content=body, headers=standard(body) if headers is None else headers)


async def notes(database: Database) -> list[str]:
    """The texts of all notes, in the order in which they were created."""
    async with database.connection() as conn:
        rows = await fetch(conn, "SELECT input->>'text' AS text FROM jobs.jobs WHERE job_type LIKE '%note' ORDER BY id")
    return [row["text"] for row in rows]
