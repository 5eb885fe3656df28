"""Requests to cancel, as a worker deals with them: runs of its own are told, jobs that nobody holds are ended.

Another worker that is dead or frozen tells nobody: its jobs are rescued, and ended here then.
"""

from collections.abc import Callable

import structlog

from jobs_core import Connection, Jobs, db
from jobs_core.cancel import end_unheld, forget, requests

log = structlog.get_logger()


async def deal_with_cancels(conn: Connection, jobs: Jobs, worker_id: int, tell: Callable[[int, str], object]) -> None:
    """One round; the connection is not in a transaction. `tell` gets a job's id and the reason, for each that is its."""
    for request in await requests(conn, worker_id):
        if not request.lives:
            await forget(conn, request.job_id)
        elif request.mine:
            tell(request.job_id, request.reason or "cancelled")
        elif not request.held:
            try:
                ready = await end_unheld(
                    conn, request.job_id, reason=request.reason, retentions=jobs.table.retentions, patient=False
                )
            except (db.LockNotAvailable, *db.Retryable):
                continue  # somebody holds its lane, its parent or itself: in the next round
            jobs.notifier.wake(ready or ())
            log.info("job.cancelled", job_id=request.job_id)
