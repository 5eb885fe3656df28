"""What tests of the model proxy stand on: a proxy with runs, callers that stand in for CLIs, and an API of raw bytes."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

import httpx

from jobs_core import Connection, Database, execute
from sessions import RunAccount, SessionSettings, Usage, create_session, take_session
from sessions.model_proxy.news import ProviderWatch
from sessions.model_proxy.proxy import ModelProxy
from sessions.model_proxy.run import ProxyRun
from sessions.usage import usage_of_turn
from tests.support.sessions import KEY

MODEL = "claude-sonnet-5"


def proxy_settings(url: str, **changes: Any) -> SessionSettings:
    """Settings whose API is at `url`."""
    given = {"ANTHROPIC_BASE_URL": url, "ANTHROPIC_API_KEY": KEY, "CLAUDE_CODE_OAUTH_TOKEN": "", **changes}
    return SessionSettings(**given)


def body(prompt: str = "Hello.", *, stream: bool = True, max_tokens: int = 1_000, **more: Any) -> dict[str, Any]:
    """A request."""
    message = {"role": "user", "content": prompt}
    return {"model": MODEL, "max_tokens": max_tokens, "stream": stream, "messages": [message], **more}


@dataclass
class Caller:
    """A stand-in for the CLI of one run."""

    database: Database
    account: RunAccount
    session_id: UUID
    epoch: int
    run: ProxyRun
    client: httpx.AsyncClient

    async def ask(self, prompt: str = "Hello.", **how: Any) -> httpx.Response:
        """Send one request and read its whole answer."""
        return await self.client.post("/v1/messages", json=body(prompt, **how))

    async def used(self) -> Usage:
        """What the ledger says of the turn."""
        async with self.database.connection() as conn:
            return await usage_of_turn(conn, self.account.turn_id)

    async def recorded(self, what: Callable[[Usage], bool]) -> Usage:
        """Wait until the ledger says so: what follows a call is written in the background."""
        async with asyncio.timeout(30):
            while not what(used := await self.used()):
                await asyncio.sleep(0.01)
        return used


@asynccontextmanager
async def proxied(
    database: Database, url: str, watch: ProviderWatch | None = None, **changes: Any
) -> AsyncIterator[ModelProxy]:
    """The proxy of one worker process before the API at `url`."""
    proxy = ModelProxy(proxy_settings(url, **changes), database, watch)
    try:
        yield proxy
    finally:
        await proxy.stop()


@asynccontextmanager
async def calling(
    proxy: ModelProxy,
    database: Database,
    *,
    turn_id: UUID | None = None,
    session_id: UUID | None = None,
    **account: Any,
) -> AsyncIterator[Caller]:
    """One run of a turn, of a new session unless one is given, and its CLI."""
    async with database.transaction() as conn:
        if session_id is None:
            await create_session(conn, session_id := uuid4())
        epoch = await take_session(conn, session_id)
    whose = RunAccount(turn_id or uuid4(), **{"token": 1, **account})
    async with proxy.run(whose, session_id, epoch) as (run, url):
        headers = {"x-api-key": run.credential, "anthropic-version": "2023-06-01"}
        async with httpx.AsyncClient(base_url=url, headers=headers, trust_env=False, timeout=30) as client:
            yield Caller(database, whose, session_id, epoch, run, client)


@asynccontextmanager
async def one_run(database: Database, url: str, **account: Any) -> AsyncIterator[Caller]:
    """One run behind a proxy of its own."""
    async with proxied(database, url) as proxy, calling(proxy, database, **account) as caller:
        yield caller


def usd(text: str) -> Decimal:
    """US dollars."""
    return Decimal(text)


async def age_calls(conn: Connection, by_s: float) -> None:
    """Let all open calls have begun so much earlier."""
    sql = """
        UPDATE jobs.usage SET changed_at = changed_at - make_interval(secs => %(by_s)s), open_calls = (
            SELECT jsonb_object_agg(key, value || jsonb_build_object(
                'began_at', (value ->> 'began_at')::timestamptz - make_interval(secs => %(by_s)s)
            ))
            FROM jsonb_each(open_calls)
        )
        WHERE open_calls <> '{}'
    """
    await execute(conn, sql, {"by_s": by_s})


Answer = Callable[[asyncio.StreamWriter], Awaitable[None]]


class RawApi:
    """An API that answers each request with bytes as a test writes them, and keeps what it was sent."""

    def __init__(self, answer: bytes | Answer) -> None:
        self.heads: list[str] = []
        self.url = ""
        self._answer = answer

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one request of a connection."""
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            self.heads.append(head)
            length = next((line for line in head.split("\r\n") if line.lower().startswith("content-length:")), ":0")
            await reader.readexactly(int(length.partition(":")[2]))
            if isinstance(self._answer, bytes):
                writer.write(self._answer)
            else:
                await self._answer(writer)
            await writer.drain()
        writer.close()


@asynccontextmanager
async def raw_api(answer: bytes | Answer) -> AsyncIterator[RawApi]:
    """Such an API, served."""
    api = RawApi(answer)
    server = await asyncio.start_server(api.serve, "127.0.0.1", 0)
    api.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield api
    finally:
        server.close()
