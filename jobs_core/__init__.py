"""The queue: typed jobs in Postgres, claimed with `FOR UPDATE SKIP LOCKED`, fenced by a token, settled once.

    create ─▶ pending ─ claim ─▶ claimed ─ start ─▶ running ─ settle ─▶ complete │ failed   (→ history)
                ▲  ▲                                   │
      blocked ──┘  └── Retry, Snooze, drain, rescue ◀──┘
      (head of its lane ended)

What other rooms use is named here. It imports no other room, and is the only one that knows psycopg.
"""

from jobs_core.create import Created, Jobs
from jobs_core.db import Connection, ConnectionFailed, Database, execute, fetch, fetch_one
from jobs_core.errors import (
    ConfigurationError,
    DatabaseUnusable,
    InvalidInput,
    JobsError,
    KeyReused,
    LeaseLost,
    LimitInUse,
    NotRedriven,
    SchemaMismatch,
    StepUnknown,
    UnknownJobType,
    WaitTimedOut,
)
from jobs_core.job import AnyJob, Job, fence
from jobs_core.job_types import HandlerTable, JobType, RetryPolicy
from jobs_core.limit import Limit
from jobs_core.new_job import NewJob
from jobs_core.outcomes import Cancel, Complete, Fail, Outcome, Retry, Snooze, Wait
from jobs_core.resource import Resource
from jobs_core.sql_create import SqlCreate, sql_create
from jobs_core.statements import statement

__all__ = [
    "AnyJob",
    "Cancel",
    "Complete",
    "ConfigurationError",
    "Connection",
    "ConnectionFailed",
    "Created",
    "Database",
    "DatabaseUnusable",
    "Fail",
    "HandlerTable",
    "InvalidInput",
    "Job",
    "JobType",
    "Jobs",
    "JobsError",
    "KeyReused",
    "LeaseLost",
    "Limit",
    "LimitInUse",
    "NewJob",
    "NotRedriven",
    "Outcome",
    "Resource",
    "Retry",
    "RetryPolicy",
    "SchemaMismatch",
    "Snooze",
    "SqlCreate",
    "StepUnknown",
    "UnknownJobType",
    "Wait",
    "WaitTimedOut",
    "execute",
    "fence",
    "fetch",
    "fetch_one",
    "sql_create",
    "statement",
]
