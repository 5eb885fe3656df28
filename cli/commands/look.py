"""`./jobs ls` and `./jobs show`: what jobs there are, and all that is known of one."""

from collections.abc import Callable, Coroutine, Iterable, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from cli.options import Data, Json

if TYPE_CHECKING:
    from jobs_core import Connection
    from jobs_core.look import Attempt, JobSummary, JobView
    from jobs_core.pauses import Pause

_STATES = ("pending", "blocked", "waiting", "claimed", "running", "complete", "failed", "cancelled")
_BIGGEST_ID = 2**63 - 1
_WIDTH = 200  # where stdout is no terminal: whoever reads it further wants whole lines
_SPAN_OR_TIME = "30s, 5m, 2h, 1d ago, or a time such as 2030-01-31T09:00Z"

T = TypeVar("T")


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("ls", epilog="Example: ./jobs ls --state failed --since 2h --limit 10")(list_jobs)
    app.command("show", epilog="Example: ./jobs show 42 --json")(show)


def list_jobs(
    state: Annotated[str | None, typer.Option(help=f"Only those that are {', '.join(_STATES)}")] = None,
    job_type: Annotated[str | None, typer.Option("--type", help="Only those of this job type")] = None,
    queue: Annotated[str | None, typer.Option(help="Only those of this queue")] = None,
    user: Annotated[str | None, typer.Option(help="Only those done for this user")] = None,
    lane: Annotated[str | None, typer.Option(help="Only those of this lane")] = None,
    since: Annotated[
        str | None, typer.Option(help=f"Only those that ended, or, living, were created, since then: {_SPAN_OR_TIME}")
    ] = None,
    until: Annotated[str | None, typer.Option(help="Likewise, only until then")] = None,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="At most so many")] = 20,
    before: Annotated[
        int | None, typer.Option(min=1, max=_BIGGEST_ID, help="Only those older than this id: the next page")
    ] = None,
    counted: Annotated[
        bool, typer.Option("--ended-counts", help="Instead: how many ended a day whose type keeps no history")
    ] = False,
    as_json: Json = False,
    data: Data = None,
) -> None:
    """List the newest jobs, living and ended."""
    from cli.commands.pauses import described
    from cli.printing import note
    from jobs_core.look import ended_counts, newest
    from jobs_core.pauses import pauses

    _check(state, {"--type": job_type, "--queue": queue, "--user": user, "--lane": lane})
    when = _times(since, until)
    if counted:
        if queue or user or lane or before:
            raise typer.BadParameter("--ended-counts knows days, types and states only: leave the other filters out")
        rows = _ask(lambda conn: ended_counts(conn, state=state, job_type=job_type, **when), data)
        _print_table(rows, {"day": "day", "job_type": "type", "state": "state", "n": "jobs"}, as_json=as_json)
        return
    matching = {"state": state, "job_type": job_type, "queue": queue, "user_id": user, "lane": lane, **when}

    async def found(conn: "Connection") -> "tuple[list[JobSummary], list[Pause]]":
        return await newest(conn, **matching, limit=limit, before_id=before), await pauses(conn)

    jobs, paused = _ask(found, data)
    _print_list(jobs, as_json=as_json)
    for pause in paused:
        if pause.concerns(queue=queue, job_type=job_type) and not as_json:
            note(described(pause))


def show(
    job_id: Annotated[int, typer.Argument(metavar="ID", min=1, max=_BIGGEST_ID, help="The job's id")],
    as_json: Json = False,
    data: Data = None,
) -> None:
    """Show all that is known of one job, and its attempts that did not complete."""
    from cli.errors import CommandFailed
    from jobs_core.look import attempts_of, find

    async def found(conn: "Connection") -> "tuple[JobView, list[Attempt]] | None":
        job = await find(conn, job_id)
        return (job, await attempts_of(conn, job)) if job else None

    answer = _ask(found, data)
    if answer is None:
        raise CommandFailed(
            f"there is no job {job_id}, or its type keeps no history: ./jobs ls lists the newest, and "
            "./jobs ls --ended-counts counts those that were not kept"
        )
    _print_one(*answer, as_json=as_json)


def _check(state: str | None, names: dict[str, str | None]) -> None:
    from jobs_core import gate

    if state is not None and state not in _STATES:
        raise typer.BadParameter(f"{state!r} is no state; choose one of {', '.join(_STATES)}")
    for option, name in names.items():
        if name is not None:
            gate.check_text(name, field=option, max_chars=gate.MAX_NAME_CHARS)


def _times(since: str | None, until: str | None) -> dict[str, Any]:
    from cli.durations import parse_moment

    first = parse_moment(since, option="--since") if since is not None else None
    last = parse_moment(until, option="--until") if until is not None else None
    if first and last and first >= last:
        raise typer.BadParameter(
            f"--since ({first:%Y-%m-%d %H:%M:%S}) is not before --until ({last:%Y-%m-%d %H:%M:%S})"
        )
    return {"since": first, "until": last}


def _ask(question: "Callable[[Connection], Coroutine[Any, Any, T]]", data: Data) -> T:
    import asyncio

    from cli.database import opened
    from cli.settings import CliSettings

    async def answer() -> T:
        async with opened(CliSettings.read(data=data)) as database, database.connection() as conn:
            return await question(conn)

    return asyncio.run(answer())


def _print_list(jobs: "Sequence[JobSummary]", *, as_json: bool) -> None:
    headings = {"id": "id", "job_type": "type", "queue": "queue", "state": "state", "retry_count": "retries"}
    last = {"at": "ended/created (UTC)", "error": "error"}  # the time that --since and --until look at
    rows = [asdict(job) if as_json else {**asdict(job), "at": job.ended_at or job.created_at} for job in jobs]
    _print_table(rows, headings | last, as_json=as_json)


def _print_table(rows: Iterable[dict[str, Any]], headings: dict[str, str], *, as_json: bool) -> None:
    """Rows as a table of the columns that `headings` names, or all of them as JSON."""
    import sys

    from cli.printing import print_json

    if as_json:
        print_json(list(rows))
        return
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False)
    for heading in headings.values():
        table.add_column(heading, no_wrap=True, overflow="ellipsis")
    for row in rows:
        table.add_row(*(Text(_line(row[name])) for name in headings))
    Console(width=None if sys.stdout.isatty() else _WIDTH).print(table)


def _print_one(job: "JobView", attempts: "Sequence[Attempt]", *, as_json: bool) -> None:
    import json

    from cli.printing import print_json, print_plain

    values = asdict(job)
    if as_json:
        print_json({**values, "attempts": [asdict(attempt) for attempt in attempts]})
        return
    for name, value in values.items():
        if value is not None:
            text = json.dumps(value, ensure_ascii=False) if name in {"input", "result"} else str(value)
            print_plain(
                f"{name:14} " + text.replace("\n", f"\n{'':15}")
            )  # so that no line of a text looks like a field
    for attempt in attempts:
        where = f"worker {attempt.worker_id}{', alone' if attempt.alone else ''}"
        error = f": {_line(attempt.error)}" if attempt.error else ""
        print_plain(f"{'attempt':14} {_line(attempt.ended_at)} {attempt.reason}, {where}{error}")


def _line(value: Any) -> str:
    """A value as one line that is safe for a terminal."""
    from datetime import datetime

    from cli.printing import plain

    if value is None:
        return ""
    return f"{value:%Y-%m-%d %H:%M:%S}" if isinstance(value, datetime) else plain(str(value)).replace("\n", " ")
