"""The provider of the models: how it does, and having a run try it now."""

from typing import Any

from gateways.web.context import Here
from gateways.web.errors import Refused
from sessions.provider import look, resume, shown


async def show(context: Here) -> dict[str, Any]:
    """Whether agents' jobs run, or why they are kept back and until when."""
    async with context.database.connection() as conn:
        return shown(await look(conn))


async def resumed(context: Here) -> dict[str, Any]:
    """Have one job try now, whatever the pause says; 409 where there is none."""
    async with context.database.connection() as conn:
        if await resume(conn) is None:
            raise Refused(409, "not_paused", "The provider is not paused: GET /api/provider says how it does")
        context.jobs.notifier.wake_all()
        return shown(await look(conn))
