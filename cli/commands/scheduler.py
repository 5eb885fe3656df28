"""`./jobs scheduler`: an evaluator of schedules; and the hidden command by which `up` runs it."""

import typer

from cli.options import Data, JsonLogs


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command(epilog="Example: ./jobs scheduler, on as many machines as you like")(scheduler)
    app.command("scheduler-process", hidden=True)(process)


def scheduler(data: Data = None, as_json: JsonLogs = False) -> None:
    """Create the jobs of schedules when they are due, on the database of ./jobs up or DATABASE_URL.

    Any number of them share the work, and each tick has one job. ./jobs up runs one. What stands in DATA/schedules/*.toml is
    applied first, as by ./jobs schedule apply.
    """
    from cli.by_hand import run_by_hand
    from cli.scheduler_process import run_scheduler

    run_by_hand(lambda database_url, settings: run_scheduler(database_url, settings.data), data, as_json=as_json)


def process() -> None:
    """Evaluate schedules, for `up`."""
    from cli.parent import end_with_parent

    end_with_parent()
    import asyncio

    from cli.scheduler_process import run_scheduler
    from cli.settings import CliSettings
    from jobs_core.settings import CoreSettings

    asyncio.run(run_scheduler(CoreSettings.read().database_url, CliSettings.read().data))
