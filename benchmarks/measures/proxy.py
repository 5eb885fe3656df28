"""What the model proxy adds to a call: one request to the simulator, by turns directly and through a proxy with its ledger."""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import uuid4

import httpx

import simulator
from benchmarks.plan import Plan
from benchmarks.server import Server
from jobs_core import Database
from sessions import RunAccount, SessionSettings, create_session, take_session
from sessions.model_proxy.proxy import ModelProxy
from simulator.client import SimulatorControl

KEY = "sk-simulated"
_MODEL = "claude-sonnet-5"
_BODY = {
    "model": _MODEL,
    "max_tokens": 64_000,
    "stream": True,
    "system": "x" * 20_000,  # the CLI's first request of an agent with a shell has 25 kB
    "messages": [{"role": "user", "content": "[[text Hello.]]"}],
}
_WARM_UP, _TURN = 20, 20


async def first_events(server: Server, plan: Plan) -> tuple[list[float], list[float]]:
    """Milliseconds from the request to the first bytes of the stream, through the proxy and directly.

    In turns of twenty, of which the first is not counted: what the other way left to be done is done beside it.
    """
    through, past = list[float](), list[float]()
    with simulator.running(api_key=KEY) as sim:
        async with server.fresh() as dsn, _through_proxy(dsn, sim) as proxied, _client(sim.url, KEY) as direct:
            for _ in range(_WARM_UP):
                await _first_event_ms(proxied)
                await _first_event_ms(direct)
            for _ in range(plan.calls // _TURN):
                for client, seen in ((proxied, through), (direct, past)):
                    seen.extend([await _first_event_ms(client) for _ in range(_TURN)][1:])
    return through, past


@asynccontextmanager
async def _through_proxy(dsn: str, sim: SimulatorControl) -> AsyncIterator[httpx.AsyncClient]:
    settings = SessionSettings(ANTHROPIC_BASE_URL=sim.url, ANTHROPIC_API_KEY=KEY, CLAUDE_CODE_OAUTH_TOKEN="")
    async with Database(dsn, name="jobs bench") as database:
        async with database.transaction() as conn:
            await create_session(conn, session_id := uuid4())
            epoch = await take_session(conn, session_id)
        proxy = ModelProxy(settings, database)
        try:
            async with (
                proxy.run(RunAccount(uuid4(), token=1), session_id, epoch) as (run, url),
                _client(url, run.credential) as client,
            ):
                yield client
        finally:
            await proxy.stop()


@asynccontextmanager
async def _client(url: str, key: str) -> AsyncIterator[httpx.AsyncClient]:
    headers = {"x-api-key": key, "anthropic-version": "2023-06-01"}
    async with httpx.AsyncClient(base_url=url, headers=headers, trust_env=False, timeout=30) as client:
        yield client


async def _first_event_ms(client: httpx.AsyncClient) -> float:
    began = time.perf_counter()
    async with client.stream("POST", "/v1/messages", json=_BODY) as answer:
        answer.raise_for_status()
        chunks = answer.aiter_raw()
        await anext(chunks)
        took_ms = (time.perf_counter() - began) * 1000
        async for _ in chunks:
            pass
    return took_ms
