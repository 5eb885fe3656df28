"""`./jobs cancel`: end a job, in whatever state, and all that its runs have created."""

from typing import TYPE_CHECKING, Annotated

import typer

from cli.options import Data, JobId, Json

if TYPE_CHECKING:
    from jobs_core.cancel import Cancelled


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(epilog="Example: ./jobs cancel 42 --reason 'wrong address'")(cancel)


def cancel(
    job_id: JobId,
    reason: Annotated[str | None, typer.Option(help="Why; it becomes the job's error")] = None,
    as_json: Json = False,
    data: Data = None,
) -> None:
    """End a job and its children; one that runs is told within a second, and is complete if it completes first."""
    import asyncio

    from cli.printing import note, print_json

    cancelled = asyncio.run(_cancel(job_id, reason, data))
    if as_json:
        print_json({"ended": sorted(cancelled.ended), "asked": sorted(cancelled.asked)})
        return
    for ended in sorted(cancelled.ended):
        print(ended)
    if cancelled.asked:
        ids = ", ".join(map(str, sorted(cancelled.asked)))
        note(f"asked to end, as a worker runs it: {ids} (./jobs show ID says how it ended)")


async def _cancel(job_id: int, reason: str | None, data: Data) -> "Cancelled":
    from cli.database import opened
    from cli.errors import CommandFailed
    from cli.settings import CliSettings
    from cli.table import build_table
    from jobs_core import Jobs

    settings = CliSettings.read(data=data)
    async with opened(settings) as database, Jobs(database, build_table(settings.handlers)) as jobs:
        cancelled = await jobs.cancel(job_id, reason=reason)
    if cancelled is None:
        raise CommandFailed(f"job {job_id} has ended, or was never there: ./jobs show {job_id} says which")
    return cancelled
