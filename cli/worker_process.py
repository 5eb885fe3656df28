"""One worker process, put together: settings, database, job types, what agents need, and the worker or alone runner itself."""

from collections.abc import Sequence

import structlog

from assistant.media_keeper import MediaKeeper
from assistant.settings import AssistantSettings, MediaSettings, VoiceSettings
from cli.settings import CliSettings
from cli.table import bind_agents, bind_senders, build_table
from gateways.webhooks.taking import prune as prune_webhook_events
from handlers import transcribe
from jobs_core import Database, HandlerTable, Jobs, Resource
from jobs_core.log import set_up_logs
from jobs_core.settings import CoreSettings, HistorySettings
from sessions.settings import SessionSettings
from workers.alone import AloneRunner
from workers.forks import keep_forks_apart
from workers.guard_link import GuardLink
from workers.housekeeping import Housekeeping
from workers.settings import WorkerSettings
from workers.worker import Worker, open_database


async def run_worker(queues: Sequence[str], link: GuardLink | None, *, alone: bool = False) -> None:
    """Work on DATABASE_URL until drained by a signal; `queues` empty: all that the job types here name.

    alone: run jobs whose run was lost, one at a time, until there are none.
    """
    keep_forks_apart()
    core = CoreSettings.read()
    set_up_logs(core)
    structlog.contextvars.bind_contextvars(process="alone" if alone else "worker")
    table = build_table(CliSettings.read().handlers)
    settings = WorkerSettings.read()
    async with (
        open_database(core, settings) as database,
        Jobs(database, table) as jobs,
    ):
        resources = _agents(database, table, jobs)  # before the queues are asked for: it binds handlers
        transcribe.register(table, database=database, settings=VoiceSettings.read())
        out = bind_senders(CliSettings.read().handlers, table, database=database)
        if not alone:
            resources += [
                Housekeeping(database, HistorySettings.read(), also=[prune_webhook_events]),
                MediaKeeper(database, MediaSettings.read()),
            ]
        worker = (AloneRunner if alone else Worker)(
            jobs,
            queues=queues or [*table.queues(), *out],
            settings=settings,
            resources=resources,
            link=link,
        )
        await worker.run_process()


def _agents(database: Database, table: HandlerTable, jobs: Jobs) -> list[Resource]:
    """Bind the handlers that talk to Claude, where there are credentials to do so, and return what they run on."""
    settings = SessionSettings.read()
    if not settings.has_credentials:
        return []
    from assistant.workspaces import Workspaces
    from handlers import chat_turn, scheduled_turn
    from sessions.budget_keeper import BudgetKeeper
    from sessions.runner import ClaudeSessions

    sessions = ClaudeSessions(database, settings)
    root = AssistantSettings.read().workspaces or CliSettings.read().data / "workspaces"
    wake = jobs.notifier.wake
    for turns in (chat_turn, scheduled_turn):
        turns.register(table, database=database, sessions=sessions, workspaces=Workspaces(root), wake=wake)
    bind_agents(CliSettings.read().handlers, table, database=database, sessions=sessions, wake=wake)
    return [sessions, BudgetKeeper(database, settings, wake)]
