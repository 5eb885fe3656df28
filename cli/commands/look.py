"""`./jobs ls` and `./jobs show`: what jobs there are, and all that is known of one."""

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from cli.options import SPAN_OR_TIME, Before, Data, JobId, Json, Limit

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jobs_core import Connection
    from jobs_core.look import Attempt, JobSummary, JobView
    from jobs_core.notes import Newest
    from jobs_core.pauses import Pause

_STATES = ("pending", "blocked", "waiting", "claimed", "running", "complete", "failed", "cancelled")


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
        str | None, typer.Option(help=f"Only those that ended, or, living, were created, since then: {SPAN_OR_TIME}")
    ] = None,
    until: Annotated[str | None, typer.Option(help="Likewise, only until then")] = None,
    limit: Limit = 20,
    before: Before = None,
    counted: Annotated[
        bool, typer.Option("--ended-counts", help="Instead: how many ended a day whose type keeps no history")
    ] = False,
    as_json: Json = False,
    data: Data = None,
) -> None:
    """List the newest jobs, living and ended."""
    from cli.commands.pauses import described
    from cli.database import ask
    from cli.filters import check_names, check_state, times
    from cli.printing import note, print_table
    from jobs_core.look import ended_counts, newest
    from jobs_core.pauses import pauses

    check_state(state, _STATES)
    check_names({"--type": job_type, "--queue": queue, "--user": user, "--lane": lane})
    when = times(since, until)
    if counted:
        if queue or user or lane or before:
            raise typer.BadParameter("--ended-counts knows days, types and states only: leave the other filters out")
        rows = ask(lambda conn: ended_counts(conn, state=state, job_type=job_type, **when), data)
        print_table(rows, {"day": "day", "job_type": "type", "state": "state", "n": "jobs"}, as_json=as_json)
        return
    matching = {"state": state, "job_type": job_type, "queue": queue, "user_id": user, "lane": lane, **when}

    async def found(conn: "Connection") -> "tuple[list[JobSummary], list[Pause]]":
        return await newest(conn, **matching, limit=limit, before_id=before), await pauses(conn)

    jobs, paused = ask(found, data)
    _print_list(jobs, as_json=as_json)
    for pause in paused:
        if pause.concerns(queue=queue, job_type=job_type) and not as_json:
            note(described(pause))


def show(
    job_id: JobId,
    as_json: Json = False,
    data: Data = None,
) -> None:
    """Show all that is known of one job: its attempts that did not complete, and the last of what its runs have said."""
    from cli.database import ask
    from cli.errors import CommandFailed
    from jobs_core.look import attempts_of, find
    from jobs_core.notes import newest

    async def found(conn: "Connection") -> "tuple[JobView, list[Attempt], Newest] | None":
        job = await find(conn, job_id)
        return (job, await attempts_of(conn, job), await newest(conn, job_id, job.created_at)) if job else None

    answer = ask(found, data)
    if answer is None:
        raise CommandFailed(
            f"there is no job {job_id}, or its type keeps no history: ./jobs ls lists the newest, and "
            "./jobs ls --ended-counts counts those that were not kept"
        )
    _print_one(*answer, as_json=as_json)


def _print_list(jobs: "Sequence[JobSummary]", *, as_json: bool) -> None:
    from cli.printing import print_table

    headings = {"id": "id", "job_type": "type", "queue": "queue", "state": "state", "retry_count": "retries"}
    last = {"at": "ended/created (UTC)", "error": "error"}  # the time that --since and --until look at
    rows = [asdict(job) if as_json else {**asdict(job), "at": job.ended_at or job.created_at} for job in jobs]
    print_table(rows, headings | last, as_json=as_json)


def _print_one(job: "JobView", attempts: "Sequence[Attempt]", said: "Newest", *, as_json: bool) -> None:
    import json

    from cli.printing import line, print_json, print_plain
    from jobs_core.notes import line_text, progress_text

    values = asdict(job)
    if as_json:
        print_json({**values, "attempts": [asdict(attempt) for attempt in attempts], **said._asdict()})
        return
    for name, value in values.items():
        if value is not None:
            text = json.dumps(value, ensure_ascii=False) if name in {"input", "result"} else str(value)
            print_plain(
                f"{name:14} " + text.replace("\n", f"\n{'':15}")
            )  # so that no line of a text looks like a field
    for attempt in attempts:
        where = f"worker {attempt.worker_id}{', alone' if attempt.alone else ''}"
        error = f": {line(attempt.error)}" if attempt.error else ""
        print_plain(f"{'attempt':14} {line(attempt.ended_at)} {attempt.reason}, {where}{error}")
    if said.progress:
        print_plain(f"{'progress':14} {line(said.progress['said_at'])} {line(progress_text(said.progress))}")
    for note in said.log:
        print_plain(f"{'log':14} {line(note['said_at'])} {line(line_text(note))}")
