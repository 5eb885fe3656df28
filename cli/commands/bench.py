"""`./jobs bench`: how fast it is, beside the smallest SQL that could do the same, or beside the peers."""

from typing import Annotated

import typer

from cli.options import Json


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(epilog="Example: ./jobs bench --only drain-1 --only create --rounds 1")(bench)


def bench(
    what: Annotated[str, typer.Argument(help="`peers`: install the peers and measure everybody alike")] = "ours",
    jobs: Annotated[int, typer.Option(min=100, help="Jobs of one drain")] = 50_000,
    rounds: Annotated[int, typer.Option(min=1, help="Figures are medians of so many")] = 3,
    only: Annotated[list[str] | None, typer.Option(help="This measure, or this peer; repeat for more")] = None,
    beside: Annotated[int, typer.Option(min=100, help="Jobs that drains have to pass by")] = 1_000_000,
    full: Annotated[bool, typer.Option("--full", help="Pin the snapshot for 120 s instead of 30 s")] = False,
    database_url: Annotated[
        str | None, typer.Option(help="Measure on this server; DATABASE_URL is not looked at")
    ] = None,
    json: Json = False,
) -> None:
    """Measure, and print one Markdown table; progress goes to stderr.

    Without --database-url everything runs on a Postgres of its own with full durability. It takes minutes, `peers` an hour.
    """
    if what not in ("ours", "peers"):
        raise typer.BadParameter(f"{what!r}: say `peers`, or nothing")

    from benchmarks.main import bench as run
    from benchmarks.plan import PINNED_FULL_S, PINNED_S, Plan

    plan = Plan(jobs=jobs, rounds=rounds, beside=beside, pinned_s=PINNED_FULL_S if full else PINNED_S)
    run(plan, peers=what == "peers", only=only or (), database_url=database_url, as_json=json)
