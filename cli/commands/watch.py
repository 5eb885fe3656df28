"""`./jobs watch`: what happens to a job, as it happens."""

from typing import TYPE_CHECKING, Annotated

import typer

from cli.options import Data, JobId, Json

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jobs_core.watch import JobEvent


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(epilog="Example: ./jobs watch 42")(watch)


def watch(
    job_id: JobId,
    after: Annotated[
        str | None, typer.Option(help="Only what comes after this event: its id, as --json shows it")
    ] = None,
    as_json: Json = False,
    data: Data = None,
) -> int:
    """Follow a job until it has ended: created, claimed, started, steps, progress, lines of its log.

    The exit status says how it ended: 0 complete, 1 otherwise.
    """
    import asyncio

    return asyncio.run(_watch(job_id, after, as_json=as_json, data=data))


async def _watch(job_id: int, after: str | None, *, as_json: bool, data: Data) -> int:
    from cli.database import opened
    from cli.errors import CommandFailed
    from cli.known_errors import first_line
    from cli.printing import warn
    from cli.settings import CliSettings
    from jobs_core.watch import Cursor, Watch, follow

    watch = Watch(job_id, Cursor.parse(after, field="--after") if after else None)

    def tell_away(error: Exception) -> None:
        warn(f"the database is away ({first_line(error)}): looking again")

    async with opened(CliSettings.read(data=data)) as database:
        async with database.connection() as conn:
            first = await watch.look(conn)
        if first is None:
            raise CommandFailed(f"there is no job {job_id}, or its type keeps no history: ./jobs ls lists the newest")
        _print(first, as_json=as_json)
        async for events in follow(database, watch, on_away=tell_away):
            _print(events, as_json=as_json)
    return 0 if watch.state == "complete" else 1


def _print(events: "Sequence[JobEvent]", *, as_json: bool) -> None:
    from dataclasses import asdict

    from cli.printing import print_json, print_plain

    for event in events:
        if as_json:
            print_json(asdict(event))
        else:
            at = f"{event.at:%Y-%m-%d %H:%M:%S}" if event.at else ""
            print_plain(f"{at} {event.kind:9} {event.text}".replace("\n", f"\n{'':30}").rstrip())
