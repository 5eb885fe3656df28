"""The Telegram door as one process, put together: settings, database, job types, and for each account a worker that sends."""

import asyncio
import gc
from collections.abc import Sequence

import structlog

from assistant import arrivals
from assistant.senders import Senders
from assistant.settings import AssistantSettings, MediaSettings
from cli.run import stopped_by_signals
from cli.settings import CliSettings
from cli.table import build_table
from gateways.telegram import fetching
from gateways.telegram.accounts import CHANNEL
from gateways.telegram.client import Client
from gateways.telegram.egress.progress import Progress
from gateways.telegram.egress.sender import TelegramSender
from gateways.telegram.gateway import Gateway
from gateways.telegram.lease import Held
from gateways.telegram.settings import TelegramSettings
from handlers import deliver
from jobs_core import Database, Jobs
from jobs_core.log import set_up_logs
from jobs_core.settings import CoreSettings
from workers.settings import WorkerSettings
from workers.worker import Worker

_IDLE_IN_TRANSACTION_S = 3.0
"""Half a lease: a process that froze inside a transaction holds up whoever takes its account over no longer."""
_SEND_WITHIN_S = 5.0
"""What sends may take to end when this process is to."""


async def run_telegram(database_url: str, names: Sequence[str] | None) -> None:
    """Hold these accounts, or all, until SIGTERM or SIGINT."""
    core = CoreSettings.read()
    set_up_logs(core)
    structlog.contextvars.bind_contextvars(process="telegram")
    async with (
        Database(
            database_url,
            name="jobs telegram",
            max_connections=core.database_connections,
            idle_in_transaction_s=_IDLE_IN_TRANSACTION_S,
            direct_dsn=core.database_direct_url,
        ) as database,
        Jobs(database, build_table(CliSettings.read().handlers)) as jobs,
    ):
        settings, people, media = TelegramSettings.read(), AssistantSettings.read(), MediaSettings.read()
        sending = Sending(database, media)
        gateway = Gateway(database, jobs, settings, people, media, serve=sending.serve, names=names)
        await sending.progress.start()
        gc.collect()
        gc.freeze()  # as a worker's process does: what is imported by now is never garbage
        try:
            await stopped_by_signals(gateway.run())
        finally:
            await sending.progress.stop()


class Sending:
    """Runs a worker beside each account that is held, for what is owed by it, and what is to be fetched by it.

    progress: shows in chats how turns go.
    """

    def __init__(self, database: Database, media: MediaSettings) -> None:
        self._database = database
        self._media = media
        self._clients = dict[str, Client]()
        self.progress = Progress(database, self.client)

    def client(self, account: str) -> Client | None:
        """The client of an account; None: this process does not hold it now."""
        return self._clients.get(account)

    async def serve(self, held: Held, client: Client) -> None:
        """Send and fetch until cancelled; what is being sent may end then, unless the account is lost."""
        table = build_table(CliSettings.read().handlers)
        senders = Senders()
        sender = TelegramSender(self._database, self.client, self.progress)
        nameless = {CHANNEL} if held.prefix == CHANNEL else set()  # what names no account goes by the first one
        senders.register(CHANNEL, sender, accounts=sorted({held.name} | nameless))
        deliver.register(table, database=self._database, senders=senders)
        settings = WorkerSettings.read(drain_s=_SEND_WITHIN_S)
        async with Jobs(self._database, table) as jobs:
            fetching.register(table, database=self._database, jobs=jobs, client_of=self.client, settings=self._media)
            queues = [*senders.queues, arrivals.queue_of(held.name)]
            worker = Worker(jobs, queues=queues, settings=settings, leaves_nothing=True)
            working = asyncio.create_task(worker.run())
            self._clients[held.name] = client
            try:
                await asyncio.wait({working})
            finally:
                del self._clients[held.name]
                worker.drain()
                if not held.may_send():
                    worker.drain()  # at once
                await asyncio.wait({working})
            working.result()
