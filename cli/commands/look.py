"""`./jobs ls` and `./jobs show`: what jobs there are, and all that is known of one."""

from typing import TYPE_CHECKING, Annotated

import typer

from cli.options import Data, Json

if TYPE_CHECKING:
    from jobs_core.look import JobView

_STATES = ("pending", "blocked", "waiting", "claimed", "running", "complete", "failed", "cancelled")


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("ls", epilog="Example: ./jobs ls --state failed --limit 10")(list_jobs)
    app.command("show", epilog="Example: ./jobs show 42 --json")(show)


def list_jobs(
    state: Annotated[str | None, typer.Option(help=f"Only those that are {', '.join(_STATES)}")] = None,
    job_type: Annotated[str | None, typer.Option("--type", help="Only those of this job type")] = None,
    queue: Annotated[str | None, typer.Option(help="Only those of this queue")] = None,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="At most so many")] = 20,
    before: Annotated[int | None, typer.Option(help="Only those older than this id: the next page")] = None,
    as_json: Json = False,
    data: Data = None,
) -> None:
    """List the newest jobs, living and ended."""
    import asyncio

    from cli.database import opened
    from cli.settings import CliSettings
    from jobs_core.look import newest

    if state is not None and state not in _STATES:
        raise typer.BadParameter(f"{state!r} is no state; choose one of {', '.join(_STATES)}")

    async def found() -> "list[JobView]":
        async with opened(CliSettings.read(data=data)) as database, database.connection() as conn:
            return await newest(conn, state=state, job_type=job_type, queue=queue, limit=limit, before_id=before)

    _print_list(asyncio.run(found()), as_json=as_json)


def show(
    job_id: Annotated[int, typer.Argument(metavar="ID", help="The job's id")],
    as_json: Json = False,
    data: Data = None,
) -> None:
    """Show all that is known of one job."""
    import asyncio

    from cli.database import opened
    from cli.errors import CommandFailed
    from cli.settings import CliSettings
    from jobs_core.look import find

    async def found() -> "JobView | None":
        async with opened(CliSettings.read(data=data)) as database, database.connection() as conn:
            return await find(conn, job_id)

    job = asyncio.run(found())
    if job is None:
        raise CommandFailed(f"there is no job {job_id}: ./jobs ls lists the newest")
    _print_one(job, as_json=as_json)


def _print_list(jobs: "list[JobView]", *, as_json: bool) -> None:
    from cli.printing import as_json as shown
    from cli.printing import plain, print_json

    if as_json:
        print_json([shown(job) for job in jobs])
        return
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False)
    for heading in ("id", "type", "queue", "state", "retries", "created (UTC)", "error"):
        table.add_column(heading, no_wrap=True, overflow="ellipsis")
    for job in jobs:
        created = f"{job.created_at:%Y-%m-%d %H:%M:%S}"
        cells = (job.id, job.job_type, job.queue, job.state, job.retry_count, created, job.error or "")
        table.add_row(*(Text(plain(str(cell)).replace("\n", " ")) for cell in cells))
    Console().print(table)


def _print_one(job: "JobView", *, as_json: bool) -> None:
    import json

    from cli.printing import as_json as shown
    from cli.printing import print_json, print_plain

    values = shown(job)
    if as_json:
        print_json(values)
        return
    for name, value in values.items():
        if value is not None:
            text = json.dumps(value, ensure_ascii=False) if name in {"input", "result"} else str(value)
            print_plain(f"{name:14} {text}")
