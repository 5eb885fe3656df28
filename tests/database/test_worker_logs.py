"""What a worker logs of runs that fail."""

import io
import sys
from collections.abc import Iterator

import pytest
import structlog

from jobs_core import AnyJob, Complete, Connection, Database, JobType, RetryPolicy, execute
from jobs_core.log import set_up_logs
from jobs_core.settings import CoreSettings
from tests.support.job_types import Note
from tests.support.worker import ended, working

SECRET = "what somebody said"


@pytest.fixture
def log_lines(monkeypatch: pytest.MonkeyPatch) -> Iterator[io.StringIO]:
    """What our processes would write to stderr, from info on."""
    lines = io.StringIO()
    monkeypatch.setattr(sys, "stderr", lines)
    set_up_logs(CoreSettings.read(log_format="json", log_level="info"))
    structlog.configure(cache_logger_on_first_use=False)  # the modules' loggers outlive this test
    yield lines
    structlog.reset_defaults()


async def test_no_log_line_of_a_failing_run_holds_what_people_said(database: Database, log_lines: io.StringIO) -> None:
    """The job's own record does: there it is looked for."""

    async def fails(job: AnyJob) -> None:
        raise ValueError(f"cannot read {job.input.text}")

    async def cannot_be_written(job: AnyJob) -> Complete:
        async def also(conn: Connection) -> None:
            await execute(conn, "INSERT INTO said VALUES (%(text)s, NULL)", {"text": job.input.text})

        return Complete(also=also)

    once = RetryPolicy(max_retries=0)
    types = JobType("fails", Note, retries=once), JobType("cannot_be_written", Note, retries=once)
    async with database.connection() as conn:
        await execute(conn, "CREATE TABLE said (text text, n integer NOT NULL)")
    async with working(database, dict(zip(types, (fails, cannot_be_written), strict=True))) as (jobs, _):
        for job_type in types:
            view = await ended(database, (await jobs.create(job_type, Note(text=SECRET))).id)
            assert view.error is not None
            assert SECRET in view.error
    shown = log_lines.getvalue()
    assert SECRET not in shown
    for event in ("handler.raised", "run.not_written", "ValueError", "NotNullViolation 23502", "frames"):
        assert event in shown
