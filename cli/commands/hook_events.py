"""`./jobs hook deliveries`, `replay` and `try`: what was received, made again, or made of a file to see what it would be."""

from typing import TYPE_CHECKING, Annotated, Any, TypeVar, get_args

import typer

from cli.options import BIGGEST_ID, Before, Data, Json, Limit

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from gateways.webhooks.events import Replayed, Tried
    from jobs_core import Jobs

_HEADINGS = {"id": "id", "source": "source", "result": "result", "job_id": "job", "received_at": "received (UTC)"}
_TRY = "Example: ./jobs hook try shop --body event.json --header X-Event:paid"
_MOST = 10_000

T = TypeVar("T")

EventId = Annotated[int, typer.Argument(metavar="ID", min=1, max=BIGGEST_ID, help="The event's id")]


def register(hook: typer.Typer) -> None:
    """Add the verbs to `./jobs hook`."""
    hook.command("deliveries", epilog="Example: ./jobs hook deliveries shop --result failed")(deliveries)
    hook.command("delivery", epilog="Example: ./jobs hook delivery 7 --json")(delivery)
    hook.command("replay", epilog="Example: ./jobs hook replay --failed shop")(replay)
    hook.command("try", epilog=_TRY)(try_one)


def deliveries(
    source: Annotated[str | None, typer.Argument(metavar="[SOURCE]", help="Only of this source")] = None,
    result: Annotated[str | None, typer.Option(help="Only those: created, met, ignored or failed")] = None,
    conflicts: Annotated[bool, typer.Option("--conflicts", help="Only ids that came with another body")] = False,
    limit: Limit = 20,
    before: Before = None,
    as_json: Json = False,
    data: Data = None,
) -> None:
    """List the newest events that were received."""
    from dataclasses import asdict

    from cli.database import ask
    from cli.filters import check_names
    from cli.printing import print_table
    from gateways.webhooks.events import list_events
    from gateways.webhooks.taking import Result

    check_names({"SOURCE": source})
    if result is not None and result not in get_args(Result):
        raise typer.BadParameter(f"--result: {result!r} is none of {', '.join(get_args(Result))}")
    filters: Any = {"source": source, "result": result, "conflicts": conflicts, "before_id": before, "limit": limit}
    rows = [asdict(one) for one in ask(lambda conn: list_events(conn, **filters), data)]
    print_table(rows, _HEADINGS | {"key": "key", "error": "error"}, as_json=as_json)


def delivery(event_id: EventId, as_json: Json = False, data: Data = None) -> None:
    """Show an event whole, with its body."""
    from dataclasses import asdict

    from cli.database import ask
    from cli.printing import print_fields, print_json, print_plain
    from gateways.webhooks.events import find_event

    values = asdict(ask(lambda conn: find_event(conn, event_id), data))
    if as_json:
        print_json(values)
        return
    body = values.pop("body")
    print_fields(values, width=12)
    print_plain(f"\n{body}")


def replay(
    event_id: Annotated[
        int | None, typer.Argument(metavar="[ID]", min=1, max=BIGGEST_ID, help="The event's id")
    ] = None,
    failed: Annotated[
        str | None, typer.Option(metavar="SOURCE", help="Instead: all of this source that failed")
    ] = None,
    again: Annotated[bool, typer.Option("--again", help="Though it has a job: make another one")] = False,
    as_json: Json = False,
    data: Data = None,
) -> int:
    """Make the job of an event by what its source says now; 1 where one of them failed again."""
    import asyncio
    from dataclasses import asdict

    from cli.filters import check_names
    from cli.printing import print_json, print_plain

    if (event_id is None) is (failed is None):
        raise typer.BadParameter("name one event by its id, or a source by --failed")
    check_names({"--failed": failed})
    done = asyncio.run(_replay(event_id, failed, again=again, data=data))
    if as_json:
        print_json([asdict(one) for one in done])
        return int(any(one.result == "failed" for one in done))
    for one in done:
        print_plain(f"event {one.id}: {one.result}{_more(one)}")
    if not done:
        print_plain(f"nothing of {failed} failed")
    return int(any(one.result == "failed" for one in done))


def try_one(
    source: Annotated[str, typer.Argument(metavar="SOURCE", help="The source's name")],
    body: Annotated[str, typer.Option(metavar="FILE", help="The event's body; - reads stdin")],
    header: Annotated[list[str] | None, typer.Option(help="A header, NAME:VALUE; repeat for more")] = None,
    as_json: Json = False,
    data: Data = None,
) -> int:
    """Show what job a source would make of an event; nothing is created, no signature looked at. 1: it could make none."""
    import asyncio
    import json
    from dataclasses import asdict

    from cli.given import bytes_of
    from cli.printing import tell
    from gateways.webhooks.events import try_event
    from gateways.webhooks.making import MAX_BODY_BYTES

    headers = _headers(header or [])
    content = bytes_of(body if body == "-" else f"@{body}", max_bytes=MAX_BODY_BYTES)

    async def tried(jobs: "Jobs") -> "Tried":
        async with jobs.database.connection() as conn:
            return await try_event(conn, jobs, source, content, headers)

    seen = asyncio.run(_with_jobs(tried, data))
    shown = seen.error or (json.dumps(seen.job, indent=2, ensure_ascii=False) if seen.job else "its filter lets it out")
    tell(asdict(seen), f"{seen.result}: {shown}", as_json=as_json)
    return int(seen.result == "failed")


def _more(one: "Replayed") -> str:
    return f" ({one.error})" if one.error else f", job {one.job_id}" if one.job_id else ""


def _headers(given: list[str]) -> dict[str, str]:
    pairs = [text.partition(":") for text in given]
    for name, colon, _ in pairs:
        if not colon:
            raise typer.BadParameter(f"--header {name}: write it as NAME:VALUE")
    return {name.strip(): value.strip() for name, _, value in pairs}


async def _replay(event_id: int | None, failed: str | None, *, again: bool, data: Data) -> "list[Replayed]":
    from contextlib import suppress

    from gateways.webhooks.errors import NoSuchEvent, NotReplayed
    from gateways.webhooks.events import list_events, replay

    async def replayed(jobs: "Jobs") -> "list[Replayed]":
        if event_id is not None:
            return [await replay(jobs, event_id, again=again)]
        async with jobs.database.connection() as conn:
            rows = await list_events(conn, source=failed, result="failed", limit=_MOST)
        done = []
        for row in reversed(rows):
            with suppress(NotReplayed, NoSuchEvent):  # somebody else replayed it since, or its time was over
                done.append(await replay(jobs, row.id, again=again))
        return done

    return await _with_jobs(replayed, data)


async def _with_jobs(work: "Callable[[Jobs], Awaitable[T]]", data: Data) -> T:
    from cli.database import opened
    from cli.settings import CliSettings
    from cli.table import build_table
    from jobs_core import Jobs

    settings = CliSettings.read(data=data)
    async with opened(settings) as database, Jobs(database, build_table(settings.handlers)) as jobs:
        return await work(jobs)
