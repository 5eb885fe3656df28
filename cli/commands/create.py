"""`./jobs create`: one job, by hand."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.options import Data, Json

if TYPE_CHECKING:
    from jobs_core import Created, Database, JobType
    from jobs_core.look import JobView

_FIRST_LOOK_S, _LONGEST_LOOK_S = 0.05, 0.5


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(epilog="""Example: ./jobs create hello --input '{"name": "Ada"}' --wait""")(create)


def create(
    job_type: Annotated[str, typer.Argument(help="Name of the job type")],
    input_text: Annotated[str, typer.Option("--input", help="JSON; - reads stdin, @FILE reads a file")] = "{}",
    in_: Annotated[str | None, typer.Option("--in", help="Run it after this time: 30s, 5m, 2h, 1d")] = None,
    at: Annotated[str | None, typer.Option("--at", help="Run it at this ISO 8601 time, zone included")] = None,
    queue: Annotated[str | None, typer.Option(help="Queue [default: the type's]")] = None,
    priority: Annotated[int | None, typer.Option(help="0 (first) to 4 (last) [default: the type's]")] = None,
    user: Annotated[str | None, typer.Option(help="The user it is done for")] = None,
    idempotency_key: Annotated[
        str | None, typer.Option(help="Names the event it is for: the same key again is the same job, ended or not")
    ] = None,
    unique_key: Annotated[str | None, typer.Option(help="One job a key at a time [default: the type's]")] = None,
    unique_while: Annotated[
        str | None, typer.Option(help="How long it holds its unique key: unstarted, unfinished [default: the type's]")
    ] = None,
    debounce: Annotated[
        str | None, typer.Option(help="Start when no create of this unique key has come for so long: 5s, 2m")
    ] = None,
    debounce_at_most: Annotated[
        str | None, typer.Option(help="But start no later than so long after the first of them")
    ] = None,
    wait: Annotated[bool, typer.Option("--wait", help="Wait for its end; the exit status says how it ended")] = False,
    as_json: Json = False,
    data: Data = None,
) -> int:
    """Create a job and print its id, or that of the job that has its key."""
    import asyncio

    from cli.given import json_of

    if in_ and at:
        raise typer.BadParameter("give --in or --at, not both")
    new = {
        "queue": queue,
        "priority": priority,
        "user_id": user,
        "scheduled_for": _due(in_, at),
        "idempotency_key": idempotency_key,
        "unique_key": unique_key,
        "unique_while": unique_while,
        "debounce": _span(debounce, "--debounce"),
        "debounce_at_most": _span(debounce_at_most, "--debounce-at-most"),
    }
    return asyncio.run(_create(job_type, json_of(input_text, "input"), new, wait=wait, as_json=as_json, data=data))


def _due(in_: str | None, at: str | None) -> Any:
    from cli.durations import parse_duration, parse_time

    return parse_duration(in_) if in_ else parse_time(at) if at else None


def _span(text: str | None, option: str) -> Any:
    from cli.durations import parse_duration

    return None if text is None else parse_duration(text, option=option)


async def _create(name: str, job_input: Any, new: Any, *, wait: bool, as_json: bool, data: Any) -> int:
    from cli.database import opened
    from cli.settings import CliSettings
    from cli.table import build_table
    from jobs_core import Jobs

    settings = CliSettings.read(data=data)
    table = build_table(settings.handlers)
    job_type = table.job_type(name)
    async with opened(settings) as database:
        async with Jobs(database, table) as jobs:
            created = await jobs.create(job_type, job_input, **new)
        if not created.met:
            await _warn_if_it_will_wait(database, job_type, new["queue"] or job_type.queue)
        if wait:
            return _show_end(await _end_of(database, created.id), as_json=as_json)
    _show(created, as_json=as_json)
    return 0


def _show(created: "Created", *, as_json: bool) -> None:
    from cli.printing import note, print_json

    if as_json:
        met, merged = bool(created.met), bool(created.merged)
        print_json({"id": created.id, "met": met, "merged": merged, "due_at": created.due.get(created.id)})
        return
    print(created.id)
    if created.met:
        what = "it takes this input in" if created.merged else "nothing was created"
        note(f"job {created.id} has this key: {what}")
    for due_at in created.due.values():
        note(f"it starts at {due_at:%Y-%m-%d %H:%M:%S} UTC, unless a next create puts it off")


async def _warn_if_it_will_wait(database: "Database", job_type: "JobType[Any]", queue: str) -> None:
    from cli.commands.pauses import described
    from cli.printing import warn
    from jobs_core.leases import live_workers
    from jobs_core.pauses import pauses

    async with database.connection() as conn:
        workers = await live_workers(conn)
        paused = await pauses(conn)
    for pause in paused:
        if pause.concerns(queue=queue, job_type=job_type.name):
            warn(described(pause))
    if not any(queue in worker["queues"] and job_type.name in worker["job_types"] for worker in workers):
        warn(f"no live worker serves {job_type.name} on queue {queue}: it waits until one does (./jobs worker)")


async def _end_of(database: "Database", job_id: int) -> "JobView":
    import asyncio

    from cli.errors import CommandFailed
    from jobs_core.look import find

    look_s = _FIRST_LOOK_S
    while True:
        async with database.connection() as conn:
            job = await find(conn, job_id)
        if job is None:
            raise CommandFailed(f"job {job_id} ended and was not kept: how it ended is not known")
        if job.ended_at:
            return job
        await asyncio.sleep(look_s)
        look_s = min(look_s * 1.5, _LONGEST_LOOK_S)


def _show_end(job: "JobView", *, as_json: bool) -> int:
    import json

    from cli.printing import as_json as shown
    from cli.printing import print_json, print_plain, warn

    complete = job.state == "complete"
    if as_json:
        print_json(shown(job))
    elif complete:
        print_plain(json.dumps(job.result, ensure_ascii=False))
    else:
        warn(f"job {job.id} ended as {job.state}: {job.error or 'no reason was given'}")
    return 0 if complete else 1
