"""`./jobs emit`: tell an event that jobs wait for."""

from typing import Annotated, Any

import typer

from cli.options import Data, Json


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(epilog="""Example: ./jobs emit paid:42 '{"amount": 5}'""")(emit)


def emit(
    event: Annotated[str, typer.Argument(help="Its name: what a handler waits for by job.wait_for(…)")],
    payload: Annotated[str, typer.Argument(help="JSON that whoever waits is given")] = "null",
    as_json: Json = False,
    data: Data = None,
) -> None:
    """Tell an event, once: the first one counts, for jobs that wait now and for those that will."""
    import asyncio

    from cli.printing import note, print_json
    from jobs_core import gate

    given = gate.from_json(payload, field="payload", max_bytes=gate.MAX_INPUT_BYTES)
    first = asyncio.run(_emit(event, given, data))
    if as_json:
        print_json({"first": first})
    elif not first:
        note(f"{event} was emitted before: that payload stands, and nothing changed")


async def _emit(event: str, payload: Any, data: Data) -> bool:
    from cli.database import opened
    from cli.settings import CliSettings
    from jobs_core import HandlerTable, Jobs

    async with opened(CliSettings.read(data=data)) as database, Jobs(database, HandlerTable()) as jobs:
        return await jobs.emit(event, payload)
