"""`./jobs schedule`: what is done again and again, or once later: list, look, run, pause, remove; add, change, try, apply."""

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.options import Before, Data, Json, Limit

if TYPE_CHECKING:
    from assistant.agent_schedules import Forecast
    from assistant.execution_results import Result
    from jobs_core import Connection
    from schedules import Schedule

_EXAMPLE = (
    'Example: ./jobs schedule add morning --cron "0 9 * * mon-fri" --zone Europe/Berlin --prompt "What is on today?"'
)
_PAGE = 1_000

Name = Annotated[str, typer.Argument(metavar="NAME", help="The schedule's name")]
TakeOver = Annotated[
    bool, typer.Option("--take-over", help="Though a file made it, which will no longer say how it is")
]


def register(app: typer.Typer) -> None:
    """Add the command and its verbs."""
    from cli.commands import schedule_edit

    schedule = typer.Typer(help="Run agents, and jobs of any type, at times that are set.", no_args_is_help=True)
    schedule.command("ls", epilog="Example: ./jobs schedule ls --paused")(list_all)
    schedule.command("show", epilog="Example: ./jobs schedule show morning")(show)
    schedule_edit.register(schedule, _EXAMPLE)
    schedule.command("pause", epilog='Example: ./jobs schedule pause morning --reason "on holiday"')(pause)
    schedule.command("resume", epilog="Example: ./jobs schedule resume morning")(resume)
    schedule.command("run", epilog="Example: ./jobs schedule run morning")(run_now)
    schedule.command("rm", epilog="Example: ./jobs schedule rm morning")(remove)
    schedule.command("results", epilog="Example: ./jobs schedule results morning --limit 5")(results)
    app.add_typer(schedule, name="schedule", epilog=_EXAMPLE)


def list_all(
    paused: Annotated[bool, typer.Option("--paused", help="Only those that are paused")] = False,
    job_type: Annotated[str | None, typer.Option("--type", help="Only those of this job type")] = None,
    as_json: Json = False,
    data: Data = None,
) -> None:
    """List schedules: when each is due, and who made it."""
    import schedules
    from cli.database import ask
    from cli.printing import print_json, print_plain

    async def listed(conn: "Connection") -> "list[Schedule]":
        found: list[Schedule] = []
        while page := await schedules.listed(
            conn, job_type=job_type, paused=paused or None, limit=_PAGE, after=found[-1].name if found else None
        ):
            found += page
        return found

    found = ask(listed, data)
    if as_json:
        print_json([plain_schedule(schedule) for schedule in found])
        return
    for schedule in found:
        print_plain(_line(schedule))
    if not found:
        print_plain("no schedules: ./jobs schedule add makes one")


def show(name: Name, as_json: Json = False, data: Data = None) -> None:
    """Show a schedule, its next five ticks and what a turn of it costs."""
    import schedules
    from assistant.agent_schedules import forecast
    from cli.database import ask

    async def look(conn: "Connection") -> "tuple[Schedule, Forecast]":
        found = await schedules.get(conn, name)
        return found, await forecast(conn, found)

    schedule, to_come = ask(look, data)
    print_schedule(schedule, to_come, as_json=as_json)


def pause(
    name: Name,
    reason: Annotated[str, typer.Option(help="Why; shown to whoever looks")] = "by hand",
    as_json: Json = False,
    data: Data = None,
) -> None:
    """Pause a schedule: its ticks are passed over until it is resumed; what it has begun goes on."""
    import schedules
    from cli.database import ask
    from cli.printing import tell

    paused = ask(lambda conn: schedules.pause(conn, name, why=reason), data)
    tell(plain_schedule(paused), f"{name} is paused", as_json=as_json)


def resume(name: Name, as_json: Json = False, data: Data = None) -> None:
    """Have a paused schedule go on with its next tick; its failures are forgotten."""
    import schedules
    from cli.database import ask
    from cli.printing import tell

    resumed = ask(lambda conn: schedules.resume(conn, name), data)
    tell(plain_schedule(resumed), _line(resumed), as_json=as_json)


def run_now(name: Name, as_json: Json = False, data: Data = None) -> None:
    """Create a job of a schedule now, beside its ticks, also while it is paused."""
    import asyncio

    from cli.printing import tell

    job_id = asyncio.run(_run_now(name, data))
    tell({"job_id": job_id}, f"job {job_id}: ./jobs watch {job_id} shows how it goes", as_json=as_json)


def remove(name: Name, take_over: TakeOver = False, as_json: Json = False, data: Data = None) -> None:
    """Remove a schedule for good; what it has begun goes on, and the results stay."""
    import schedules
    from assistant.agent_schedules import check_open
    from cli.database import ask
    from cli.printing import tell

    async def gone(conn: "Connection") -> None:
        async with conn.transaction():
            if not take_over:
                await check_open(conn, name)
            await schedules.remove(conn, name)

    ask(gone, data)
    tell({"removed": name}, f"removed: {name}", as_json=as_json)


def results(
    name: Annotated[str | None, typer.Argument(metavar="NAME", help="The schedule's [default: all]")] = None,
    agent: Annotated[str | None, typer.Option(help="Only those of this agent")] = None,
    limit: Limit = 20,
    before: Before = None,
    as_json: Json = False,
    data: Data = None,
) -> None:
    """List what came of turns that agents were run for, the newest first: outcome, cost, and the answer's first line."""
    import schedules
    from assistant.execution_results import list_results
    from cli.database import ask
    from cli.printing import line, print_table

    async def listed(conn: "Connection") -> "list[Result]":
        schedule_id = (await schedules.get(conn, name)).id if name else None
        return await list_results(conn, schedule_id=schedule_id, agent=agent, before_id=before, limit=limit)

    rows = [asdict(result) for result in ask(listed, data)]
    if not as_json:
        rows = [row | {"result_content": line(row["result_content"])[:80]} for row in rows]
    headings = {
        "id": "id",
        "schedule_name": "schedule",
        "due_at": "due (UTC)",
        "status": "status",
        "cost_usd": "cost ($)",
    }
    print_table(rows, headings | {"result_content": "result"}, as_json=as_json)


def plain_schedule(schedule: "Schedule", to_come: "Forecast | None" = None) -> dict[str, Any]:
    """A schedule as --json shows it."""
    values = {name: getattr(schedule, name) for name in type(schedule).__slots__}
    values["rule"] = schedule.rule.model_dump(mode="json")
    return values | ({"forecast": asdict(to_come)} if to_come else {})


def print_schedule(schedule: "Schedule", to_come: "Forecast", *, as_json: bool) -> None:
    """A schedule, and what is to come of it."""
    from assistant.schedule_words import local, shown_cost
    from assistant.scheduled_turns import SCHEDULED_TURN
    from cli.printing import print_json, print_plain

    if as_json:
        print_json(plain_schedule(schedule, to_come))
        return
    print_plain(_line(schedule))
    for key, value in schedule.input.items():
        if value is not None:
            print_plain(f"  {key:10}" + str(value).replace("\n", f"\n{'':12}"))
    rule = schedule.rule
    print_plain(f"  {'missed':10}{rule.missed} · overlap {rule.overlap} · jitter {rule.jitter_s} s")
    for at in to_come.ticks:
        print_plain(f"  {'due':10}{local(at, rule.zone)}")
    if schedule.job_type == SCHEDULED_TURN.name:
        print_plain(f"  {'cost':10}{shown_cost(to_come)}")


async def _run_now(name: str, data: Data) -> int | None:
    import schedules
    from cli.database import opened
    from cli.settings import CliSettings
    from cli.table import build_table
    from jobs_core import Jobs

    settings = CliSettings.read(data=data)
    async with opened(settings) as database, Jobs(database, build_table(settings.handlers)) as jobs:
        async with database.transaction() as conn:
            ran = await schedules.run_now(conn, jobs, name)
        if ran.created:
            ran.created.wake()
    return ran.job_id


def _line(schedule: "Schedule") -> str:
    from assistant.schedule_words import local, timing_of

    whose = f" for {schedule.user_id}" if schedule.user_id else ""
    state = f"next {local(schedule.next_at, schedule.rule.zone)}" if schedule.next_at else "no tick is left"
    if schedule.paused_at:
        state = f"paused since {schedule.paused_at:%Y-%m-%d %H:%M} UTC: {schedule.paused_why}"
    failures = f" · {schedule.failures} failures in a row" if schedule.failures else ""
    when = timing_of(schedule.rule)
    text = f"{schedule.name}: {when} · {state}{failures} · {schedule.job_type}{whose} · by {schedule.source}"
    return text.replace("\n", " ")
