"""The proxy of one process: started with its first run, stopped with the process' agents."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from decimal import Decimal
from uuid import UUID

from jobs_core import Database
from sessions.account import RunAccount
from sessions.model_proxy.ledger import Ledger
from sessions.model_proxy.listener import Listener
from sessions.model_proxy.news import News, ProviderWatch
from sessions.model_proxy.relay import Relay
from sessions.model_proxy.run import ProxyRun
from sessions.model_proxy.upstream import Upstream
from sessions.settings import SessionSettings


@dataclass(frozen=True, slots=True)
class Serving:
    """What a started proxy is made of."""

    upstream: Upstream
    listener: Listener


class ModelProxy:
    """The way of this process' CLIs to the API. database None: nothing is recorded, for a call that is nobody's turn."""

    def __init__(
        self, settings: SessionSettings, database: Database | None, watch: ProviderWatch | None = None
    ) -> None:
        self._settings = settings
        self._watch = watch
        self._ledger = Ledger(database) if database else None
        self._runs: dict[str, ProxyRun] = {}
        self._starting = asyncio.Lock()
        self._serving: Serving | None = None

    @asynccontextmanager
    async def run(self, account: RunAccount, session_id: UUID, epoch: int) -> AsyncIterator[tuple[ProxyRun, str]]:
        """A run that may call the API under its credential until the block ends, and the proxy's URL.

        Raises LeaseLost where another run has taken the session, ConfigurationError where there is no way to the API, and what
        the database raises. After the block all its calls have ended, and those of a ledger that is there are recorded.
        """
        url = (await self._started()).listener.url
        ledger = self._ledger
        spent = await ledger.begin_run(account, session_id, epoch) if ledger else Decimal(0)
        run = ProxyRun(account, session_id, epoch, ledger, spent)
        self._runs[run.credential] = run
        try:
            yield run, url
        finally:
            self._runs.pop(run.credential, None)
            await run.close()

    def cut_runs(self) -> None:
        """End all calls at once and let no more begin: the runs are not this process' any more."""
        for run in self._runs.values():
            run.cut()

    async def stop(self) -> None:
        """Stop serving."""
        if self._serving:
            await self._serving.listener.stop()
            await self._serving.upstream.client.aclose()
            self._serving = None
        if self._ledger:
            await self._ledger.stop()

    async def _started(self) -> Serving:
        async with self._starting:
            if self._serving is None:
                if self._ledger:
                    await self._ledger.sweep()
                upstream = Upstream(self._settings)
                listener = Listener(Relay(self._runs, upstream, News(self._watch)))
                await listener.start()
                self._serving = Serving(upstream, listener)
        return self._serving
