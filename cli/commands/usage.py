"""`./jobs usage`: what agents used and what it cost, by whom or what, and whether the ledger is right."""

from typing import TYPE_CHECKING, Annotated
from uuid import UUID

import typer

from cli.options import SPAN_OR_TIME, Data, Json

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jobs_core import Connection
    from sessions.usage import Total
    from sessions.usage_check import Checked

_EXAMPLE = "Example: ./jobs usage --by project --since 7d"
_BY = ("project", "user", "agent", "session", "job", "task", "day", "model")
_HEADINGS = {
    "name": "NAME",
    "sessions": "SESSIONS",
    "turns": "TURNS",
    "calls": "CALLS",
    "input_tokens": "IN",
    "output_tokens": "OUT",
    "cache_read_tokens": "CACHE READ",
    "cache_write_tokens": "CACHE WRITE",
    "tool_calls": "TOOL CALLS",
    "cost": "US$",
}
_DIFFERENCES = {"session_id": "SESSION", "calls": "CALLS", "answers": "ANSWERS", "cost": "US$", "why": "WHY"}

Since = Annotated[str | None, typer.Option(help=f"Only runs that began since then: {SPAN_OR_TIME}")]


def register(app: typer.Typer) -> None:
    """Add the command and its verb."""
    usage = typer.Typer(help="What agents used and what it cost.", invoke_without_command=True, epilog=_EXAMPLE)
    usage.callback()(show)
    usage.command("check", epilog="Example: ./jobs usage check --since 1d")(check)
    app.add_typer(usage, name="usage", epilog=_EXAMPLE)


def show(
    context: typer.Context,
    by: Annotated[str, typer.Option(help=f"Added up by {', '.join(_BY)}")] = "day",
    since: Since = None,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="At most so many lines")] = 1_000,
    as_json: Json = False,
    data: Data = None,
) -> None:
    """Add up tokens, calls and costs by list price, open and cut calls estimated (~); the dearest first, days newest first."""
    if context.invoked_subcommand:
        return
    from cli.database import ask
    from cli.durations import parse_moment
    from sessions.usage import totals

    if by not in _BY:
        raise typer.BadParameter(f"--by: there is no {by!r}; there are {', '.join(_BY)}")
    from_then = parse_moment(since, option="--since") if since else None

    async def added_up(conn: "Connection") -> "Sequence[Total]":
        return await totals(conn, by, since=from_then, limit=limit)  # type: ignore[arg-type]  # it is one of them

    _print(ask(added_up, data), as_json=as_json)


def check(
    session: Annotated[
        UUID | None, typer.Argument(help="A session's id; none: all that were used since --since")
    ] = None,
    since: Since = "1d",
    as_json: Json = False,
    data: Data = None,
) -> int:
    """Recompute usage from the transcripts, and explain where the ledger differs; 1 where something does not explain itself."""
    from cli.database import ask
    from cli.durations import parse_moment
    from sessions.usage import totals
    from sessions.usage_check import check_session

    from_then = parse_moment(since, option="--since") if since else None

    async def checked(conn: "Connection") -> "list[Checked]":
        used = [] if session else await totals(conn, "session", since=from_then, limit=10_000)
        ids = [session] if session else [UUID(total.name) for total in used]
        return [await check_session(conn, one) for one in ids]

    found = ask(checked, data)
    _print_differences(found, as_json=as_json)
    return 0 if all(one.explained for one in found) else 1


def _print(found: "Sequence[Total]", *, as_json: bool) -> None:
    from cli.printing import print_table

    rows = [total.plain() for total in found]
    if not as_json:
        for row in rows:
            estimated = "~" if row["estimated_calls"] or row["guessed_price"] else ""
            row |= {"name": row["name"] or "–", "cost": f"{estimated}{row['cost_usd']:.4f}"}
    print_table(rows, _HEADINGS, as_json=as_json)


def _print_differences(found: "Sequence[Checked]", *, as_json: bool) -> None:
    from dataclasses import asdict

    from cli.printing import note, print_json, print_table

    if as_json:
        rows = [asdict(one) for one in found]
        for row in rows:
            row["session_id"] = str(row["session_id"])
            for usage in (row["ledger"], row["transcript"]):
                usage["cost_usd"] = float(usage["cost_usd"])
        print_json(rows)
        return
    differing = [one for one in found if one.why]
    if differing:
        rows = [
            {
                "session_id": str(one.session_id),
                "calls": one.ledger.calls,
                "answers": one.transcript.calls,
                "cost": f"{one.ledger.cost_usd:.4f}",
                "why": "; ".join(one.why),
            }
            for one in differing
        ]
        print_table(rows, _DIFFERENCES)
    note(f"{len(found) - len(differing)} of {len(found)} sessions agree with their transcripts to the token")
