"""/health: whether a message sent now would be worked on."""

from fastapi import Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel

from gateways.web.context import Context, Here
from jobs_core import ConnectionFailed, SchemaMismatch
from jobs_core.leases import live_workers
from jobs_core.migrations import require_migrated


class Health(BaseModel):
    """status: `ready`, or what is missing; workers: how many are alive."""

    status: str
    workers: int
    version: str
    model: str


async def health(request: Request, context: Here) -> JSONResponse:
    """200 where the database can be reached, is migrated and has a live worker; else 503, naming what is missing.

    The door takes messages before that too: they wait in the queue.
    """
    missing, workers = await request.app.state.look_for_health()
    told = Health(status=missing or "ready", workers=workers, version=context.version, model=context.model)
    return JSONResponse(told.model_dump(), status_code=503 if missing else 200)


async def look_for_health(context: Context) -> tuple[str, int]:
    """What is missing ("" for nothing), and how many workers are alive."""
    try:
        async with context.database.connection() as conn:
            await require_migrated(conn, context.rooms)
            workers = len(await live_workers(conn))
    except ConnectionFailed:
        return "the database cannot be reached", 0
    except SchemaMismatch:
        return "the database's schema and this code do not belong together", 0
    return "" if workers else "no worker is alive", workers
