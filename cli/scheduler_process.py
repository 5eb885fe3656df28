"""The scheduler as one process, put together: settings, database, job types, the schedules of files, and an evaluator."""

from pathlib import Path

import structlog

from assistant.agent_schedules import tell_paused
from cli.errors import CommandFailed
from cli.run import stopped_by_signals
from cli.schedule_files import Applied, apply, read_folder
from cli.settings import CliSettings
from cli.table import build_table
from jobs_core import Database, Jobs, db
from jobs_core.log import set_up_logs
from jobs_core.settings import CoreSettings
from schedules.evaluator import Evaluator

log = structlog.get_logger()

_IDLE_IN_TRANSACTION_S = 5.0
"""A process that froze inside a batch keeps its schedules from the others no longer."""


async def run_scheduler(database_url: str, folder: Path) -> None:
    """Create the jobs of schedules that are due until SIGTERM or SIGINT; the batch in hand is committed.

    folder: whose `schedules/*.toml` are applied first. What is wrong in them is logged; schedules are then as they were.
    """
    core = CoreSettings.read()
    set_up_logs(core)
    structlog.contextvars.bind_contextvars(process="scheduler")
    async with (
        Database(
            database_url, name="jobs scheduler", max_connections=3, idle_in_transaction_s=_IDLE_IN_TRANSACTION_S
        ) as database,
        Jobs(database, build_table(CliSettings.read().handlers)) as jobs,
    ):
        evaluator = Evaluator(database, jobs, on_paused=tell_paused)

        async def run() -> None:
            await _apply_files(jobs, folder)
            await evaluator.run()

        await stopped_by_signals(run(), lambda _: evaluator.drain())


async def _apply_files(jobs: Jobs, folder: Path) -> None:
    async def once() -> Applied:
        async with jobs.database.connection() as conn:
            return await apply(conn, jobs.table, entries, prune=False, dry_run=False)

    try:
        entries = read_folder(folder)
        applied = await db.retried(once)
    except CommandFailed as error:
        log.warning("schedule_files.not_applied", error=str(error), meaning="schedules are as they were")
        return
    except Exception as error:
        if not db.will_pass(error):
            raise
        log.warning("schedule_files.not_applied", error=db.describe(error), meaning="schedules are as they were")
        return
    changed = [saved.schedule.name for saved in applied.saved if saved.did != "nothing"]
    log.info("schedule_files.applied", schedules=len(entries), changed=changed)
    for schedule in applied.left:
        log.warning("schedule_files.left", schedule=schedule.name, meaning="./jobs schedule apply --prune removes it")
