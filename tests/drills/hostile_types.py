"""The job types of the drill `hostile`: one that takes anything, and one whose runs end in what no queue should be told."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from jobs_core import Complete, Fail, HandlerTable, Job, JobType, Retry, RetryPolicy, Snooze


class Anything(BaseModel):
    """An input that its model lets pass, so that the gate alone stands there; `n` and other names are the model's to refuse."""

    model_config = ConfigDict(extra="forbid")

    payload: Any = None
    n: int = Field(0, ge=-1, le=1)


class Ending(BaseModel):
    """How the run ends: a name in ENDINGS."""

    how: str


class Unspeakable(Exception):
    """Its text cannot be had."""

    def __str__(self) -> str:
        raise RuntimeError("no text")


def _raise(error: BaseException) -> Any:
    raise error


def _deep() -> Any:
    value: Any = "x"
    for _ in range(10_000):
        value = [value]
    return value


ENDINGS: dict[str, Callable[[], Any]] = {
    "result with NUL": lambda: Complete({"a": "x\0y"}),
    "result with a lone surrogate": lambda: Complete({"a": "\ud800"}),
    "result with NaN": lambda: Complete({"a": float("nan")}),
    "result with infinity": lambda: Complete({"a": [1, float("inf")]}),
    "result 10,000 deep": lambda: Complete(_deep()),
    "result of 2 MB": lambda: Complete("x" * 2_000_000),
    "result with 10**5000": lambda: Complete(10**5000),
    "result of bytes": lambda: Complete(b"\xff"),
    "result of no kind": lambda: Complete(object()),
    "no outcome": lambda: {"not": "an outcome"},
    "fail with NUL": lambda: Fail("x\0y"),
    "fail with a lone surrogate": lambda: Fail("\udfff" * 3),
    "fail with 10 MB": lambda: Fail("x" * 10_000_000),
    "fail with no text": lambda: Fail(None),  # type: ignore[arg-type] # a handler of no types
    "retry with NUL": lambda: Retry("x\0y"),
    "retry in a million years": lambda: Retry("later", after=timedelta.max),
    "snooze for ever": lambda: Snooze(timedelta.max),
    "snooze until a number": lambda: Snooze(7),  # type: ignore[arg-type] # likewise
    "raise NUL": lambda: _raise(ValueError("x\0y")),
    "raise a lone surrogate": lambda: _raise(ValueError("\ud800")),
    "raise 10 MB": lambda: _raise(ValueError("x" * 10_000_000)),
    "raise without text": lambda: _raise(Unspeakable()),
}

PROBE = JobType("probe", Anything)
BREAKS = JobType("breaks", Ending, retries=RetryPolicy(max_retries=0))


async def take(_: Job[Anything]) -> Complete:
    """Do nothing."""
    return Complete()


async def end(job: Job[Ending]) -> Any:
    """End as the input says."""
    return ENDINGS[job.input.how]()


def register(table: HandlerTable) -> None:
    """Bind both."""
    table.register_handler(PROBE, take)
    table.register_handler(BREAKS, end)
