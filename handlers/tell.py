"""`tell`: sends a person what waited and is due. Queue `default`, no lane. Created by `assistant.waiting`, for a moment or now.

It does nothing to the world: it owes deliveries in the transaction that settles it, and makes the job for what waits on. It may
be repeated: what went out waits no longer.
"""

from functools import partial

from assistant.routing import send_what_is_due
from assistant.waiting import TELL, TellInput
from jobs_core import Complete, HandlerTable, Job


async def tell(job: Job[TellInput]) -> Complete:
    """Owe what is due."""
    return Complete(also=partial(send_what_is_due, user_id=job.input.user_id))


def register(table: HandlerTable) -> None:
    """Bind the handler to its type."""
    table.register_handler(TELL, tell)
