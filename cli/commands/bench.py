"""`./jobs bench`: how fast it is, beside the smallest SQL that could do the same, the peers, or ourselves."""

from typing import Annotated

import typer

from cli.options import Json


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(epilog="Example: ./jobs bench --only drain-1 --only create --rounds 1")(bench)


def bench(
    what: Annotated[
        str,
        typer.Argument(
            help="`peers`: install the peers and measure everybody alike; `claims`: with others behind; `history`: beside a "
            "year of it; `before-after`: beside our own earlier code; `live`: what shows while turns run; `schedules`: a "
            "thousand of 100,000 due at once; `webhooks`: 1,000 a second; `proxy`: what it adds to a call of the model's API; "
            "`turn`: a cold turn, beside the bare CLI; `approval`: from decision to tool"
        ),
    ] = "ours",
    jobs: Annotated[int, typer.Option(min=100, help="Jobs of one drain")] = 50_000,
    rounds: Annotated[int, typer.Option(min=1, help="Figures are medians of so many")] = 3,
    only: Annotated[list[str] | None, typer.Option(help="This measure, or this peer; repeat for more")] = None,
    beside: Annotated[int, typer.Option(min=100, help="Jobs that drains and claims have to pass by")] = 1_000_000,
    ended: Annotated[int, typer.Option(min=365, help="Jobs of the year that `history` makes")] = 10_000_000,
    base: Annotated[str, typer.Option(help="The commit that `before-after` measures beside")] = "HEAD",
    full: Annotated[bool, typer.Option("--full", help="Pin the snapshot for 120 s instead of 30 s")] = False,
    database_url: Annotated[
        str | None, typer.Option(help="Measure on this server; DATABASE_URL is not looked at")
    ] = None,
    json: Json = False,
) -> None:
    """Measure, and print one Markdown table; progress goes to stderr.

    Without --database-url everything runs on a Postgres of its own with full durability. It takes minutes, `peers` an hour.
    """
    from benchmarks.main import bench as run
    from benchmarks.plan import PINNED_FULL_S, PINNED_S, Plan

    pinned_s = PINNED_FULL_S if full else PINNED_S
    plan = Plan(jobs=jobs, rounds=rounds, beside=beside, ended=ended, base=base, pinned_s=pinned_s)
    run(plan, what, only=only or (), database_url=database_url, as_json=json)
