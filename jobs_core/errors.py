"""What can go wrong in the queue, as a caller may want to tell it apart.

JobsError
├── ConfigurationError      a setting or the database cannot be used as it is: tell the operator, do not retry
│   ├── DatabaseUnusable    wrong URL, too old a server, `synchronous_commit=off`
│   └── SchemaMismatch      the schema is newer than the code, or has not been migrated
├── InvalidInput            input, result or an argument does not fit: tell the caller, nothing was written
│   ├── UnknownJobType      no such job type is registered in this process
│   └── KeyReused           the idempotency key stands for another input: the caller's mistake, a repeat must be the same
├── StepUnknown             a step's run was lost while it was under way, and its policy is to fail: a person must look
├── WaitTimedOut            an event did not come in time: the handler decides
├── NotRedriven             the job that a lane is held for cannot be redriven: the lane stays held
├── LimitInUse              jobs hold slots of the limit: set it instead, or remove it when they have ended
└── LeaseLost               the run no longer holds its job: stop at once, write nothing
"""


class JobsError(Exception):
    """Every error of the queue; its text is one line that says what happened, to what, and what to do."""


class ConfigurationError(JobsError):
    """A setting or the database cannot be used as it is."""


class DatabaseUnusable(ConfigurationError):
    """The database cannot be reached or must not be used."""


class SchemaMismatch(ConfigurationError):
    """The schema in the database and the code do not belong together."""


class InvalidInput(JobsError):
    """Something handed in does not fit; `field` names where (dotted path, empty for the whole)."""

    def __init__(self, message: str, *, field: str = "") -> None:
        super().__init__(message)
        self.field = field


class UnknownJobType(InvalidInput):
    """No job type of this name is registered here."""


class KeyReused(InvalidInput):
    """This idempotency key was given before, with another input."""


class StepUnknown(JobsError):
    """Nobody knows whether this step was done."""


class WaitTimedOut(JobsError):
    """The event was not emitted in the time that the handler gave it."""


class LimitInUse(JobsError):
    """Jobs hold slots of this limit, so that it was not removed."""


class NotRedriven(JobsError):
    """The failed job that a lane is held for cannot be done again as was asked; the lane was not released."""


class LeaseLost(JobsError):
    """This run's token is no longer the job's: another worker has it, or it has ended."""
