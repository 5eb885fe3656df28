"""`./jobs explain`: why a job does not run."""

from typing import TYPE_CHECKING

import typer

from cli.options import Data, JobId, Json

if TYPE_CHECKING:
    from jobs_core.explain import Why


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(epilog="Example: ./jobs explain 42")(explain)


def explain(
    job_id: JobId,
    as_json: Json = False,
    data: Data = None,
) -> None:
    """Say why a job does not run, one reason a line, the nearest first; or that it does, or how it ended."""
    import asyncio
    from dataclasses import asdict

    from cli.printing import print_json, print_plain

    reasons = asyncio.run(_explain(job_id, data))
    if as_json:
        print_json([asdict(why) for why in reasons])
        return
    for why in reasons:
        print_plain(why.text.replace("\n", " "))


async def _explain(job_id: int, data: Data) -> "list[Why]":
    from cli.database import opened
    from cli.errors import CommandFailed
    from cli.settings import CliSettings
    from jobs_core.explain import explain

    async with opened(CliSettings.read(data=data)) as database, database.connection() as conn:
        reasons = await explain(conn, job_id)
    if reasons is None:
        raise CommandFailed(f"there is no job {job_id}, or its type keeps no history: ./jobs ls lists the newest")
    return reasons
