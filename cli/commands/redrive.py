"""`./jobs redrive`: what failed is done again by new jobs; a preview first."""

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.options import BIGGEST_ID, SPAN_OR_TIME, Data, Json

if TYPE_CHECKING:
    from jobs_core.dead_letters import Left, Letters, Preview

_MOST_IDS = 1_000
_MOST_LINES = 20  # about jobs that were left, of a redrive that named none


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(epilog="Example: ./jobs redrive --type hello --since 2h, and then the same with --go")(redrive)


def redrive(
    ids: Annotated[
        list[int] | None, typer.Argument(metavar="ID", min=1, max=BIGGEST_ID, help="These jobs only")
    ] = None,
    job_type: Annotated[str | None, typer.Option("--type", help="Only those of this job type")] = None,
    queue: Annotated[str | None, typer.Option(help="Only those of this queue")] = None,
    user: Annotated[str | None, typer.Option(help="Only those done for this user")] = None,
    lane: Annotated[str | None, typer.Option(help="Only those of this lane")] = None,
    since: Annotated[str | None, typer.Option(help=f"Only those that ended since then: {SPAN_OR_TIME}")] = None,
    until: Annotated[str | None, typer.Option(help="Likewise, only until then")] = None,
    cancelled: Annotated[bool, typer.Option("--cancelled", help="Those that were cancelled, too")] = False,
    again: Annotated[bool, typer.Option("--again", help="Those that were redriven before, too")] = False,
    go: Annotated[bool, typer.Option("--go/--dry-run", help="Do it, or only tell what it would come to")] = False,
    rate: Annotated[float | None, typer.Option(min=0.01, max=10_000, help="At most so many a second")] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="At most so many, those that ended first")] = None,
    as_json: Json = False,
    data: Data = None,
) -> None:
    """Do failed jobs again: new jobs with the same input. Without --go nothing is changed."""
    import asyncio

    from cli.filters import check_names, times
    from jobs_core.dead_letters import DEAD, Letters

    names = {"--type": job_type, "--queue": queue, "--user": user, "--lane": lane}
    filtered = any(value is not None for value in (*names.values(), since, until))
    if ids and (filtered or len(ids) > _MOST_IDS):
        raise typer.BadParameter(f"give ids, {_MOST_IDS} at most, or filters, not both")
    if go and not (ids or filtered):
        raise typer.BadParameter(
            "--go needs ids or a filter, such as --type or --since: this would redrive all that failed"
        )
    check_names(names)
    letters = Letters(
        states=DEAD if cancelled else DEAD[:1],
        job_type=job_type,
        queue=queue,
        user_id=user,
        lane=lane,
        **times(since, until),
        ids=tuple(ids) if ids else None,
        again=again,
    )
    if go:
        asyncio.run(_go(letters, limit, rate, as_json=as_json, data=data))
    else:
        _preview(letters, as_json=as_json, data=data)


def _preview(letters: "Letters", *, as_json: bool, data: Data) -> None:
    from cli.database import ask
    from cli.printing import print_json
    from jobs_core.dead_letters import preview

    found = ask(lambda conn: preview(conn, letters), data)
    if as_json:
        print_json({"jobs": found.n, "redriven_before": found.redriven, **asdict(found)})
    else:
        _print_preview(found)


def _print_preview(found: "Preview") -> None:
    from cli.printing import note, print_table

    before = f"; {found.redriven} more were redriven before (--again)" if found.redriven else ""
    print(f"{found.n} jobs would be redriven{before}")
    _print_left(found.left, all_of_them=True)
    if not found.n:
        return
    print()
    print_table(map(asdict, found.types), {"n": "jobs", "job_type": "type", "redriven": "redriven before"})
    print("\nmost frequent errors")
    print_table(map(asdict, found.errors), {"n": "jobs", "job_type": "type", "error": "error"})
    print("\nthe first of them")
    columns = {"id": "id", "job_type": "type", "state": "state", "ended_at": "ended (UTC)", "error": "error"}
    print_table(map(asdict, found.examples), columns)
    note("\nNothing was changed: add --go to redrive them.")


async def _go(letters: "Letters", limit: int | None, rate: float | None, *, as_json: bool, data: Any) -> None:
    from cli.database import opened
    from cli.printing import note, print_json
    from cli.settings import CliSettings
    from cli.table import build_table
    from jobs_core import Jobs
    from jobs_core.redrive import redrive as redriven_in_batches

    settings = CliSettings.read(data=data)
    redriven, left = dict[int, int](), list["Left"]()
    async with (
        opened(settings) as database,
        Jobs(database, build_table(settings.handlers)) as jobs,
        database.connection() as conn,
    ):
        async for batch in redriven_in_batches(conn, jobs.table, letters, limit=limit, rate_per_s=rate):
            jobs.notifier.wake(batch.ready)
            redriven |= batch.redriven
            left += batch.left
            if batch.redriven:
                note(f"{len(redriven)} redriven")
    if as_json:
        new = [{"id": job_id, "retry_of": old} for old, job_id in redriven.items()]
        print_json({"redriven": new, "left": [asdict(one) for one in left]})
        return
    if letters.ids is not None:
        for old, job_id in redriven.items():
            print(f"job {old} is redriven as job {job_id}")
    _print_left(left, all_of_them=letters.ids is not None)
    print(f"{len(redriven)} jobs redriven, {len(left)} left as they are")


def _print_left(left: "list[Left]", *, all_of_them: bool) -> None:
    from cli.printing import print_plain

    shown = left if all_of_them else left[:_MOST_LINES]
    for one in shown:
        print_plain(str(one).replace("\n", " "))
    if len(shown) < len(left):
        print(f"… and {len(left) - len(shown)} more (--json tells all)")
