"""`./jobs pause`, `./jobs resume`, `./jobs pauses`: what claims leave alone for now."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.options import Data, Json

if TYPE_CHECKING:
    from datetime import datetime, timedelta

    from jobs_core import Database
    from jobs_core.pauses import Pause

Queue = Annotated[str | None, typer.Argument(help="The queue")]
Type = Annotated[str | None, typer.Option("--type", help="The job type; with a queue: only in that queue")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command(epilog='Example: ./jobs pause mail --for 2h --reason "the mail server moves"')(pause)
    app.command(epilog="Example: ./jobs resume mail")(resume)
    app.command(epilog="Example: ./jobs pauses --json")(pauses)


def pause(
    queue: Queue = None,
    job_type: Type = None,
    for_: Annotated[str | None, typer.Option("--for", help="For so long: 30s, 5m, 2h, 1d [default: for good]")] = None,
    until: Annotated[str | None, typer.Option("--until", help="Until this ISO 8601 time, zone included")] = None,
    reason: Annotated[str | None, typer.Option(help="Why; shown to whoever looks")] = None,
    as_json: Json = False,
    data: Data = None,
) -> None:
    """Leave the jobs of a queue, a type, or a type in a queue unclaimed; those that run go on."""
    import asyncio

    _check(queue, job_type)
    asyncio.run(_pause(queue, job_type, _end(for_, until), reason, as_json=as_json, data=data))


def resume(queue: Queue = None, job_type: Type = None, as_json: Json = False, data: Data = None) -> None:
    """Lift the pauses of just this queue, type, or type in that queue, whoever set them."""
    import asyncio

    _check(queue, job_type)
    asyncio.run(_resume(queue, job_type, as_json=as_json, data=data))


def pauses(as_json: Json = False, data: Data = None) -> None:
    """List what is paused, by whom, why and until when."""
    import asyncio

    asyncio.run(_pauses(as_json=as_json, data=data))


def described(pause: "Pause") -> str:
    """A pause in one line: `queue mail is paused by ada@host since … until …: the mail server moves`."""
    until = f" until {pause.until:%Y-%m-%d %H:%M:%S} UTC" if pause.until else ""
    because = "" if pause.because == "operator" else f" ({pause.because})"
    reason = f": {pause.reason}" if pause.reason else ""
    since = f"{pause.started_at:%Y-%m-%d %H:%M:%S} UTC"
    target = _target(pause.queue, pause.job_type)
    return f"{target} is paused by {pause.set_by}{because} since {since}{until}{reason}".replace("\n", " ")


async def _pause(
    queue: str | None,
    job_type: str | None,
    end: "datetime | timedelta | None",
    reason: str | None,
    *,
    as_json: bool,
    data: Data,
) -> None:
    from cli.database import opened
    from cli.printing import print_plain
    from cli.settings import CliSettings
    from jobs_core.pauses import pause

    async with opened(CliSettings.read(data=data)) as database:
        async with database.connection() as conn:
            new = await pause(conn, queue=queue, job_type=job_type, until=end, reason=reason, set_by=person())
        if as_json:
            _print_json(new)
        else:
            print_plain(described(new))
        await _warn_if_nobody_serves(database, queue, job_type)


async def _resume(queue: str | None, job_type: str | None, *, as_json: bool, data: Data) -> None:
    from cli.database import opened
    from cli.errors import CommandFailed
    from cli.printing import note
    from cli.settings import CliSettings
    from jobs_core.pauses import pauses, resume
    from jobs_core.wake import Notifier

    async with opened(CliSettings.read(data=data)) as database, Notifier(database) as notifier:
        async with database.connection() as conn:
            lifted = await resume(conn, queue=queue, job_type=job_type)
            left = await pauses(conn)
        if not lifted:
            raise CommandFailed(f"{_target(queue, job_type)} is not paused: ./jobs pauses lists what is")
        notifier.wake_all()
    if as_json:
        _print_json(lifted)
        return
    print(f"{_target(queue, job_type)} is resumed")
    for other in left:
        if other.concerns(queue=queue, job_type=job_type):
            note(f"still: {described(other)}")


async def _pauses(*, as_json: bool, data: Data) -> None:
    from cli.database import opened
    from cli.printing import print_plain
    from cli.settings import CliSettings
    from jobs_core.pauses import pauses

    async with opened(CliSettings.read(data=data)) as database, database.connection() as conn:
        found = await pauses(conn)
    if as_json:
        _print_json(found)
        return
    for one in found:
        print_plain(described(one))


def _check(queue: str | None, job_type: str | None) -> None:
    if queue is None and job_type is None:
        raise typer.BadParameter("name a queue, a --type, or both")


def _end(for_: str | None, until: str | None) -> "datetime | timedelta | None":
    from cli.durations import parse_duration, parse_time

    if for_ is not None and until is not None:
        raise typer.BadParameter("give --for or --until, not both")
    if until is not None:
        return parse_time(until, option="--until")
    return None if for_ is None else parse_duration(for_, option="--for")


def person() -> str:
    """Who types this, as far as the machine knows."""
    import getpass
    import os
    import socket

    try:
        user = getpass.getuser()
    except (OSError, KeyError):  # a container's user may have no name
        user = f"user {os.getuid()}"
    return f"{user}@{socket.gethostname()}"


def _target(queue: str | None, job_type: str | None) -> str:
    if job_type is None:
        return f"queue {queue}"
    return f"type {job_type}" if queue is None else f"type {job_type} in queue {queue}"


async def _warn_if_nobody_serves(database: "Database", queue: str | None, job_type: str | None) -> None:
    """A misspelt name would be paused, and nothing else."""
    from cli.printing import warn
    from jobs_core.leases import live_workers

    async with database.connection() as conn:
        workers = await live_workers(conn)
    if not any(
        (queue is None or queue in worker["queues"]) and (job_type is None or job_type in worker["job_types"])
        for worker in workers
    ):
        warn(f"no live worker serves {_target(queue, job_type)}: see that it is spelt right")


def _print_json(found: Any) -> None:
    from dataclasses import asdict

    from cli.printing import print_json

    print_json([asdict(one) for one in found] if isinstance(found, list) else asdict(found))
