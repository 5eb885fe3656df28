"""The scheduler as one process, put together: settings, database, job types, and an evaluator."""

import structlog

from cli.run import stopped_by_signals
from cli.settings import CliSettings
from cli.table import build_table
from jobs_core import Database, Jobs
from jobs_core.log import set_up_logs
from jobs_core.settings import CoreSettings
from schedules.evaluator import Evaluator

_IDLE_IN_TRANSACTION_S = 5.0
"""A process that froze inside a batch keeps its schedules from the others no longer."""


async def run_scheduler(database_url: str) -> None:
    """Create the jobs of schedules that are due until SIGTERM or SIGINT; the batch in hand is committed."""
    core = CoreSettings.read()
    set_up_logs(core)
    structlog.contextvars.bind_contextvars(process="scheduler")
    async with (
        Database(
            database_url, name="jobs scheduler", max_connections=3, idle_in_transaction_s=_IDLE_IN_TRANSACTION_S
        ) as database,
        Jobs(database, build_table(CliSettings.read().handlers)) as jobs,
    ):
        evaluator = Evaluator(database, jobs)
        await stopped_by_signals(evaluator.run(), lambda _: evaluator.drain())
