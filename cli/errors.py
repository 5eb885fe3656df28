"""What can go wrong in the command itself, as its caller may want to tell it apart.

jobs_core.JobsError
├── ConfigurationError
│   └── PostgresFailed      the embedded Postgres cannot be had in this folder: tell the operator, do not retry
│       └── FolderInUse     another process already runs it: use that one, or stop it first
└── CommandFailed           what was asked for cannot be done or did not come about: tell the person
"""

from jobs_core.errors import ConfigurationError, JobsError


class PostgresFailed(ConfigurationError):
    """The embedded Postgres cannot be had; the text says what to do."""


class FolderInUse(PostgresFailed):
    """Another process runs Postgres in this folder; `pid` is that process, or None where it has not said yet."""

    def __init__(self, message: str, *, pid: int | None) -> None:
        super().__init__(message)
        self.pid = pid


class CommandFailed(JobsError):
    """What was asked for cannot be done; the text says why and what to do."""
