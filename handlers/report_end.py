"""`report_end`: runs a job as its child, and tells callbacks how that ended. Queue `default`, no lane. Created by anybody who
creates jobs and wants other programs told of their ends.

    create the job, once ─▶ wait, holding nothing ─▶ it ends, whichever way ─▶ owe `job.ended` ─ in the settling transaction

It does nothing else to the world, and may be repeated: the child is a step, and an event is owed once for each job.
"""

from functools import partial
from typing import Any

from assistant.callback_events import job_ended
from assistant.reported import REPORT_END, ReportedEnd, ReportEnd
from jobs_core import Complete, Fail, HandlerTable, InvalidInput, Job, NewJob, Outcome, Retry, UnknownJobType, gate

MAX_RESULT_BYTES = 64 * 1024
"""Of a result that is told with the end; a longer one is fetched from the job."""


async def report_end(job: Job[ReportEnd]) -> Outcome:
    """Have the job run, and tell how it ended."""
    given = job.input
    try:
        await job.spawn("job", NewJob(given.job_type, given.input, queue=given.queue, priority=given.priority))
    except UnknownJobType as error:
        return Retry(f"the job cannot be created here: {error}")  # in a rolling deploy another worker knows it
    except InvalidInput as error:
        return Fail(f"the job cannot be created: {error}")
    (child,) = await job.wait_for_children()
    end = {"job_type": given.job_type, "state": child.state, "error": child.error, "user_id": job.user_id}
    data = {**end, "report_id": job.id, **_result(child.result)}
    result = ReportedEnd(job_id=child.id, state=child.state, error=child.error)
    return Complete(result, also=partial(job_ended, job_id=child.id, data=data))


def _result(result: Any) -> dict[str, Any]:
    try:
        gate.to_json([[result]], field="result", max_bytes=MAX_RESULT_BYTES)  # as deep as it lies in what is owed
    except InvalidInput:
        return {"result": None, "result_left_out": True}
    return {"result": result, "result_left_out": False}


def register(table: HandlerTable) -> None:
    """Bind the handler to its type."""
    table.register_handler(REPORT_END, report_end)
