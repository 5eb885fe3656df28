"""`./jobs schedule add`, `change`, `try` and `apply`: how schedules come to be as they are."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.options import Data, Json

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from assistant.agent_schedules import Forecast
    from jobs_core import Connection, HandlerTable
    from schedules import Put

Name = Annotated[str, typer.Argument(metavar="NAME", help="The schedule's name: lower-case letters, digits, - and _")]
Cron = Annotated[str | None, typer.Option(help='Five fields, as "0 9 * * mon-fri", or a name such as @daily')]
Every = Annotated[str | None, typer.Option(help="A span: 15m, 2h, 1d")]
At = Annotated[str | None, typer.Option(help="One moment, ISO 8601; without a zone in it, --zone's")]
Zone = Annotated[str | None, typer.Option(help="The IANA zone that cron means [default: UTC]")]
Agent = Annotated[str | None, typer.Option(help="The agent that is asked [default: assistant]")]
Prompt = Annotated[str | None, typer.Option(help="What it is asked; @FILE reads a file")]
Approvals = Annotated[str | None, typer.Option(help="Of calls that need approval: reject, ask, wait [default: reject]")]
JobType = Annotated[str | None, typer.Option("--type", help="Instead of an agent: the job type")]
Input = Annotated[str | None, typer.Option("--input", help="And its input, JSON; @FILE reads a file")]
User = Annotated[str | None, typer.Option(help="For whom, by id [default: the owner]")]
Missed = Annotated[str | None, typer.Option(help="Of ticks that nobody saw to: skip, once, all [default: once]")]
MissedMax = Annotated[int | None, typer.Option(help="Of all, the last so many [default: 10]")]
MissedWindow = Annotated[str | None, typer.Option(help="None that is older than this: 1h, 2d")]
Overlap = Annotated[
    str | None, typer.Option(help="Where the last one has not ended: skip, queue, cancel [default: skip]")
]
Jitter = Annotated[str | None, typer.Option(help="Begin up to so much later: 30s, 5m")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Show what would come of it, and save nothing")]


def register(schedule: typer.Typer, example: str) -> None:
    """Add the verbs."""
    schedule.command("add", epilog=example)(add)
    schedule.command("change", epilog='Example: ./jobs schedule change morning --cron "30 8 * * *" --dry-run')(change)
    schedule.command("try", epilog='Example: ./jobs schedule try --cron "0 9 * * mon-fri" --zone Europe/Berlin')(
        try_out
    )
    schedule.command("apply", epilog="Example: ./jobs schedule apply . --dry-run")(apply)


def add(
    name: Name,
    cron: Cron = None,
    every: Every = None,
    at: At = None,
    zone: Zone = None,
    agent: Agent = None,
    prompt: Prompt = None,
    approvals: Approvals = None,
    job_type: JobType = None,
    input_text: Input = None,
    user: User = None,
    missed: Missed = None,
    missed_max: MissedMax = None,
    missed_window: MissedWindow = None,
    overlap: Overlap = None,
    jitter: Jitter = None,
    dry_run: DryRun = False,
    as_json: Json = False,
    data: Data = None,
) -> None:
    """Add a schedule, and show its next five ticks and what a turn of it may cost."""
    from assistant.agent_schedules import save
    from assistant.schedule_drafts import read

    fields = _fields(locals())
    draft = read(fields | {"name": name})

    async def made(conn: "Connection", table: "HandlerTable") -> "Put":
        return await save(conn, table, draft, source="cli", new=True)

    _show(*_done(made, data, dry_run=dry_run), as_json=as_json, dry_run=dry_run)


def change(
    name: Name,
    cron: Cron = None,
    every: Every = None,
    at: At = None,
    zone: Zone = None,
    agent: Agent = None,
    prompt: Prompt = None,
    approvals: Approvals = None,
    job_type: JobType = None,
    input_text: Input = None,
    user: User = None,
    missed: Missed = None,
    missed_max: MissedMax = None,
    missed_window: MissedWindow = None,
    overlap: Overlap = None,
    jitter: Jitter = None,
    take_over: Annotated[
        bool, typer.Option("--take-over", help="Though a file made it, which will no longer say how it is")
    ] = False,
    dry_run: DryRun = False,
    as_json: Json = False,
    data: Data = None,
) -> None:
    """Change what is given of a schedule; all else stays as it is."""
    from assistant.agent_schedules import change as change_in

    fields = _fields(locals())
    if not fields and not take_over:
        raise typer.BadParameter("nothing is to be changed: see ./jobs schedule change --help for what can be")

    async def changed(conn: "Connection", table: "HandlerTable") -> "Put":
        return await change_in(conn, table, name, fields, source="cli", take_over=take_over)

    _show(*_done(changed, data, dry_run=dry_run), as_json=as_json, dry_run=dry_run)


def try_out(
    cron: Cron = None,
    every: Every = None,
    at: At = None,
    zone: Zone = None,
    agent: Agent = None,
    as_json: Json = False,
    data: Data = None,
) -> None:
    """Show the next five ticks of a rule, and what turns of the agent may cost; nothing is saved."""
    from dataclasses import asdict

    from assistant.agent_schedules import try_out as tried
    from assistant.schedule_drafts import read, some_name
    from assistant.schedule_words import local, shown_cost
    from cli.database import ask
    from cli.printing import print_json, print_plain
    from cli.settings import CliSettings
    from cli.table import build_table

    draft = read(_fields(locals()) | {"name": some_name(), "prompt": "?"})
    table = build_table(CliSettings.read(data=data).handlers)
    to_come = ask(lambda conn: tried(conn, table, draft), data)
    if as_json:
        print_json(asdict(to_come))
        return
    for tick in to_come.ticks:
        print_plain(local(tick, draft.zone))
    print_plain(shown_cost(to_come))


def apply(
    folder: Annotated[
        Path | None, typer.Argument(metavar="DIR", help="Its schedules/*.toml [default: the folder of ./jobs up]")
    ] = None,
    dry_run: DryRun = False,
    prune: Annotated[bool, typer.Option("--prune", help="Remove those that files made and no file here has")] = False,
    as_json: Json = False,
    data: Data = None,
) -> None:
    """Have the schedules of files be as these say: all, or none where one is wrong. Applied again, nothing changes."""

    from cli.database import ask
    from cli.printing import print_json, print_plain
    from cli.schedule_files import apply as apply_all
    from cli.schedule_files import read_folder
    from cli.settings import CliSettings
    from cli.table import build_table

    settings = CliSettings.read(data=data)
    table, entries = build_table(settings.handlers), read_folder(folder or settings.data)
    done = ask(lambda conn: apply_all(conn, table, entries, prune=prune, dry_run=dry_run), data)
    if as_json:
        applied = [{"name": saved.schedule.name, "did": saved.did} for saved in done.saved]
        names = {"removed": [one.name for one in done.removed], "left": [one.name for one in done.left]}
        print_json({"applied": applied, **names, "dry_run": dry_run})
        return
    for saved in done.saved:
        print_plain(f"{saved.schedule.name}: {_DID[saved.did]}")
    for one in done.removed:
        print_plain(f"{one.name}: removed")
    for one in done.left:
        print_plain(f"{one.name}: was made by {one.source}, which does not have it any more; --prune removes it")
    if dry_run:
        print_plain("nothing was saved: leave out --dry-run to do so")


_DID = {"made": "made", "changed": "changed", "nothing": "is so already"}


def _fields(options: dict[str, Any]) -> dict[str, Any]:
    """What was given, as a Draft has it."""
    from cli.durations import parse_duration

    spans = {"every": "every_s", "jitter": "jitter_s", "missed_window": "missed_window_s"}
    same = ("cron", "at", "zone", "agent", "approvals", "job_type", "missed", "missed_max", "overlap")
    given = {name: value for name, value in options.items() if value is not None}
    fields = {name: given[name] for name in same if name in given}
    for name in spans.keys() & given.keys():
        option = f"--{name.replace('_', '-')}"
        fields[spans[name]] = parse_duration(given[name], option=option).total_seconds()
    if "prompt" in given:
        fields["prompt"] = _text(given["prompt"])
    if "input_text" in given:
        fields["input"] = _json(_text(given["input_text"]))
    return fields | ({"user_id": given["user"]} if "user" in given else {})


def _text(given: str) -> str:
    from cli.errors import CommandFailed

    if not given.startswith("@"):
        return given
    try:
        return Path(given[1:]).read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise CommandFailed(f"{given[1:]} is not UTF-8 text: convert it with iconv") from None


def _json(text: str) -> Any:
    from jobs_core import gate

    return gate.from_json(text, field="--input", max_bytes=gate.MAX_INPUT_BYTES)


def _done(
    verb: "Callable[[Connection, HandlerTable], Awaitable[Put]]", data: Data, *, dry_run: bool
) -> "tuple[Put, Forecast]":
    """What was saved, or with dry_run would be, and what is to come of it."""
    from assistant.agent_schedules import forecast
    from cli.database import ask
    from cli.settings import CliSettings
    from cli.table import build_table

    table = build_table(CliSettings.read(data=data).handlers)

    async def done(conn: "Connection") -> "tuple[Put, Forecast]":
        async with conn.transaction(force_rollback=dry_run):
            put = await verb(conn, table)
            return put, await forecast(conn, put.schedule)

    return ask(done, data)


def _show(put: "Put", to_come: "Forecast", *, as_json: bool, dry_run: bool) -> None:
    from cli.commands.schedule import plain_schedule, print_schedule
    from cli.printing import print_json, print_plain

    if as_json:
        print_json(plain_schedule(put.schedule, to_come) | {"did": put.did, "dry_run": dry_run})
        return
    print_schedule(put.schedule, to_come, as_json=False)
    print_plain("nothing was saved: leave out --dry-run to do so" if dry_run else _DID[put.did])
