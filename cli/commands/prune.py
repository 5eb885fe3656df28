"""`./jobs prune`: history that goes before its time; a preview first."""

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.options import SPAN_OR_TIME, Data, Json

if TYPE_CHECKING:
    from jobs_core import Connection
    from jobs_core.prune import Chosen, Counted

_STATES = ("complete", "failed", "cancelled")
_CLASSES = ("short", "standard", "long")


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(epilog="Example: ./jobs prune --class short --before 1d, and then the same with --go")(prune)


def prune(
    classes: Annotated[
        list[str] | None,
        typer.Option("--class", help=f"Only this retention class: {', '.join(_CLASSES)}; repeat for more"),
    ] = None,
    job_type: Annotated[str | None, typer.Option("--type", help="Only jobs of this type")] = None,
    state: Annotated[str | None, typer.Option(help=f"Only those that are {', '.join(_STATES)}")] = None,
    before: Annotated[str | None, typer.Option(help=f"Only those that ended before: {SPAN_OR_TIME}")] = None,
    go: Annotated[bool, typer.Option("--go/--dry-run", help="Do it, or only tell what it would come to")] = False,
    as_json: Json = False,
    data: Data = None,
) -> int:
    """Delete history of ended jobs now. Without --go nothing is changed."""
    from datetime import UTC, datetime

    from cli.database import ask
    from cli.durations import parse_moment
    from cli.filters import check_names, check_state
    from jobs_core.prune import Chosen, preview

    for name in classes or ():
        if name not in _CLASSES:
            raise typer.BadParameter(f"{name!r} is no retention class that keeps history; choose {', '.join(_CLASSES)}")
    check_state(state, _STATES)
    check_names({"--type": job_type})
    if go and not (classes or job_type or state or before):
        raise typer.BadParameter("--go needs a filter, such as --class or --before: this would delete all history")
    moment = parse_moment(before, option="--before") if before is not None else datetime.now(UTC)
    chosen = Chosen(moment, tuple(dict.fromkeys(classes or _CLASSES)), job_type, state)
    if go:
        done = ask(lambda conn: _go(conn, chosen, quiet=as_json), data)
        return _print_done(done, as_json=as_json)
    parts, keys = ask(lambda conn: preview(conn, chosen), data)
    _print_preview(parts, keys, as_json=as_json)
    return 0


def _print_preview(parts: "list[Counted]", keys: int, *, as_json: bool) -> None:
    from cli.printing import note, print_json, print_table

    if as_json:
        shown = [{**asdict(one.part), "rows": one.rows, "bytes": one.size_bytes} for one in parts]
        print_json({"rows": sum(one.rows for one in parts), "parts": shown, "expired_keys": keys})
        return
    lines = [
        {
            "table": one.part.table.removeprefix("history_"),
            "day": one.part.day or "(none of its own)",
            "what": "whole day, dropped" if one.part.whole else "rows",
            "rows": f"{one.rows:,}",
            "mb": f"{one.size_bytes / 1e6:,.1f}",
        }
        for one in parts
    ]
    print_table(lines, {"table": "class", "day": "day", "what": "what goes", "rows": "jobs", "mb": "MB"})
    whole = sum(one.part.whole for one in parts)
    rows, size_mb = sum(one.rows for one in parts), sum(one.size_bytes for one in parts) / 1e6
    print(
        f"\n{rows:,} jobs, {size_mb:,.1f} MB, {whole} whole days; their attempts, and {keys:,} expired idempotency keys"
    )
    note("Nothing was changed: add --go to delete them.")


async def _go(conn: "Connection", chosen: "Chosen", *, quiet: bool) -> dict[str, Any]:
    """What it came to, told on the way unless `quiet`."""
    from cli.printing import note
    from jobs_core.prune import prune as pruned_in_steps

    done: dict[str, Any] = {
        "rows": 0,
        "attempts": 0,
        "expired_keys": 0,
        "days": [],
        "not_dropped": None,
        "why_not": None,
    }
    async for step in pruned_in_steps(conn, chosen):
        done["rows"] += step.rows
        done["attempts"] += step.attempts
        done["expired_keys"] += step.keys
        if step.part and step.dropped:
            done["days"].append(step.part.name)
        if step.part and step.why_not:
            done |= {"not_dropped": step.part.name, "why_not": step.why_not}
        if step.part and step.rows and not quiet:
            note(f"{done['rows']:,} jobs deleted, now of {step.part.name}")
    return done


def _print_done(done: dict[str, Any], *, as_json: bool) -> int:
    """The exit status, too: 1 where a day could not be dropped."""
    from cli.printing import print_json, warn

    if as_json:
        print_json(done)
        return 1 if done["why_not"] else 0
    print(f"{done['rows']:,} jobs deleted, {len(done['days'])} whole days among them")
    print(f"{done['attempts']:,} of their attempts, and {done['expired_keys']:,} expired idempotency keys")
    if done["why_not"]:
        warn(f"{done['not_dropped']} was not dropped ({done['why_not']}), nor what comes after it: try again later")
        return 1
    return 0
