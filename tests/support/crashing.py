"""A job type for JOBS_HANDLERS whose first run kills its worker, and whose next one leaves a process behind."""

import asyncio
import os

from pydantic import BaseModel

from jobs_core import AnyJob, Complete, HandlerTable, JobType


class Nothing(BaseModel):
    """No input."""


CRASHES_ONCE = JobType("crashes_once", Nothing)


async def crash_once(job: AnyJob) -> Complete:
    """Die, then say which process it ran in."""
    if not job.lost_count:
        os._exit(1)
    left = await asyncio.create_subprocess_exec("sleep", "300", start_new_session=True)
    return Complete({"pid": os.getpid(), "left": left.pid})


def register(table: HandlerTable) -> None:
    """Bind the handler to its type."""
    table.register_handler(CRASHES_ONCE, crash_once)
