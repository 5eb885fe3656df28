"""`./jobs health`: whether a part of an installation works, as an exit status, for what watches containers."""

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from cli.options import Data, Json

if TYPE_CHECKING:
    from jobs_core import Connection


class Part(StrEnum):
    """What can be asked for."""

    database = "database"
    worker = "worker"
    web = "web"


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(epilog="Example: ./jobs health worker, in the container of a worker")(health)


def health(
    part: Annotated[Part, typer.Argument(help="What must work")] = Part.database,
    port: Annotated[int | None, typer.Option(help="Of the web API on this host [default: JOBS_PORT, or 8080]")] = None,
    as_json: Json = False,
    data: Data = None,
) -> int:
    """Say whether a part works: exit status 0, or 1 and why not.

    database: it can be reached, and its schema is this program's. worker: that, and a worker of this host is alive. web: the
    web API of this host takes requests, whatever the database does.
    """
    from cli.database import ask
    from cli.errors import CommandFailed
    from cli.printing import tell
    from cli.settings import CliSettings

    if part is Part.web:
        at = CliSettings.read(data=data, port=port).port
        if why := _not_served(at):
            raise CommandFailed(f"the web API does not answer on port {at} of this host: {why}")
    elif not ask(_worker_lives if part is Part.worker else _answers, data):
        raise CommandFailed("no worker of this host is alive: its log says why")
    tell({"part": part.value, "is_well": True}, f"{part.value}: well", as_json=as_json)
    return 0


async def _answers(_: "Connection") -> bool:
    return True  # to be connected, to a schema that fits, is all that is asked


async def _worker_lives(conn: "Connection") -> bool:
    import socket

    from jobs_core.leases import live_workers

    return any(worker["host"] == socket.gethostname() for worker in await live_workers(conn))


def _not_served(port: int) -> str | None:
    """Why /health there gives no answer of ours. A 503 is one: what it misses is elsewhere."""
    import httpx

    try:
        answer = httpx.get(f"http://127.0.0.1:{port}/health", timeout=5, trust_env=False)
    except httpx.HTTPError as error:
        return str(error) or type(error).__name__
    return None if answer.status_code in {200, 503} else f"status {answer.status_code}"
