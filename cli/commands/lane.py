"""`./jobs lane`: jobs that run one at a time: list lanes and look at them, hold and release them."""

from typing import TYPE_CHECKING, Annotated

import typer

from cli.options import Data, Json

if TYPE_CHECKING:
    from jobs_core import Connection
    from jobs_core.lanes import LaneView, Released

_EXAMPLE = "Example: ./jobs lane release turn:7"
_PAGE = 1_000

Lane = Annotated[str, typer.Argument(metavar="LANE", help="The lane, as its job type names it")]


def register(app: typer.Typer) -> None:
    """Add the command and its four verbs."""
    lane = typer.Typer(help="List, hold and release lanes: jobs that run one at a time.", no_args_is_help=True)
    lane.command("ls", epilog="Example: ./jobs lane ls --held")(list_all)
    lane.command("show", epilog="Example: ./jobs lane show turn:7 --json")(show)
    lane.command("hold", epilog='Example: ./jobs lane hold turn:7 --reason "its workspace moves"')(hold)
    lane.command("release", epilog="Example: ./jobs lane release turn:7 --redrive")(release)
    app.add_typer(lane, name="lane", epilog=_EXAMPLE)


def list_all(
    held: Annotated[bool, typer.Option("--held", help="Only those that are held")] = False,
    as_json: Json = False,
    data: Data = None,
) -> None:
    """List the lanes that have jobs, or are held: how many jobs, the first of them, and who holds it, since when and why."""
    from cli.database import ask
    from jobs_core.lanes import list_lanes

    async def listed(conn: "Connection") -> "list[LaneView]":
        found: list[LaneView] = []
        while page := await list_lanes(conn, held=held, after=found[-1].lane if found else "", limit=_PAGE):
            found += page
        return found

    _print(ask(listed, data), as_json=as_json)


def show(lane: Lane, as_json: Json = False, data: Data = None) -> None:
    """Show one lane."""
    from cli.database import ask
    from cli.errors import CommandFailed
    from jobs_core.lanes import find_lane

    _check(lane)
    found = ask(lambda conn: find_lane(conn, lane), data)
    if found is None:
        raise CommandFailed(f"no job ever stood in a lane {lane!r}: ./jobs lane ls lists lanes")
    _print(found, as_json=as_json)


def hold(
    lane: Lane,
    reason: Annotated[str | None, typer.Option(help="Why; shown to whoever looks")] = None,
    as_json: Json = False,
    data: Data = None,
) -> None:
    """Hold a lane: no job of it begins until it is released; one that was claimed before goes on to its end."""
    from cli.commands.pauses import person
    from cli.database import ask
    from cli.printing import warn
    from jobs_core.lanes import hold

    view = ask(lambda conn: hold(conn, lane, held_by=person(), reason=reason), data)
    _print(view, as_json=as_json)
    if not view.jobs:
        warn(f"no job stands in lane {lane}: see that it is spelt right")


def release(
    lane: Lane,
    redrive: Annotated[bool, typer.Option("--redrive", help="Do the failed job again, before all that wait")] = False,
    as_json: Json = False,
    data: Data = None,
) -> None:
    """Let a held lane go on with the first job that waits."""
    import asyncio
    from dataclasses import asdict

    from cli.errors import CommandFailed
    from cli.printing import print_json, print_plain

    _check(lane)
    done = asyncio.run(_release(lane, redrive=redrive, data=data))
    if done is None:
        raise CommandFailed(f"lane {lane!r} is not held: ./jobs lane ls --held lists what is")
    if as_json:
        print_json(asdict(done))
        return
    again = f"; job {done.failed_job} is redriven as job {done.redriven}, first in it" if done.redriven else ""
    print_plain(f"lane {lane} is released{again}")


async def _release(lane: str, *, redrive: bool, data: Data) -> "Released | None":
    from cli.database import opened
    from cli.settings import CliSettings
    from cli.table import build_table
    from jobs_core.lanes import release
    from jobs_core.wake import Notifier

    settings = CliSettings.read(data=data)
    table = build_table(settings.handlers) if redrive else None
    async with opened(settings) as database, Notifier(database) as notifier, database.connection() as conn:
        released = await release(conn, lane, redrive=table)
        notifier.wake(released.ready if released else ())
    return released


def _check(lane: str) -> None:
    from jobs_core import gate

    gate.check_text(lane, field="LANE", max_chars=gate.MAX_NAME_CHARS)


def _print(found: "LaneView | list[LaneView]", *, as_json: bool) -> None:
    from dataclasses import asdict

    from cli.printing import print_json, print_plain

    if as_json:
        print_json([asdict(one) for one in found] if isinstance(found, list) else asdict(found))
        return
    for one in found if isinstance(found, list) else [found]:
        print_plain(_line(one))


def _line(lane: "LaneView") -> str:
    from jobs_core.lanes import MOST_JOBS

    more = "+" if lane.jobs == MOST_JOBS else ""
    first = f", first {lane.first_job} ({lane.first_state})" if lane.first_job else ""
    held = f" · held since {lane.held_at:%Y-%m-%d %H:%M:%S} UTC {lane.because}" if lane.held_at else ""
    return f"{lane.lane}: {lane.jobs}{more} job{'' if lane.jobs == 1 else 's'}{first}{held}".replace("\n", " ")
