"""What a run came to: the outcome that its handler returned, or what its raise means for its type."""

from datetime import timedelta
from typing import Any

import structlog

from jobs_core import Complete, Fail, JobType, LeaseLost, Outcome, Retry, Snooze
from jobs_core.steps import Waiting

log = structlog.get_logger()

DRAINED = Snooze(timedelta(0), reason="drained: its worker was stopped", because="drained")
CANCELLED_ITSELF = Retry("CancelledError: the handler cancelled itself")


def returned(value: Any) -> Outcome:
    """The outcome that a handler returned; None is Complete."""
    if value is None:
        return Complete()
    if isinstance(value, Outcome):
        return value
    return Retry(f"its handler returned {type(value).__name__}, not an outcome such as Complete(…)")


def raised(error: BaseException, job_type: JobType[Any]) -> Outcome:
    """The outcome of a raise. A lost lease is none: LeaseLost is raised again."""
    if isinstance(error, LeaseLost):
        raise error
    log.warning("handler.raised", exc_info=error)
    return failure(error, job_type)


def raised_group(group: BaseExceptionGroup[Any], job_type: JobType[Any]) -> Outcome:
    """The outcome of several raises at once: of tasks of the handler's own that all wait, what the first of them waits for."""
    waits, others = group.split(Waiting)
    if waits and not others:
        outcome: Outcome = innermost(waits).outcome
        return outcome
    return raised(group, job_type)


def innermost(group: BaseExceptionGroup[Any]) -> Any:
    """The first exception of a group that is none itself."""
    inner = group.exceptions[0]
    return innermost(inner) if isinstance(inner, BaseExceptionGroup) else inner


def timed_out(timeout_s: float) -> Outcome:
    """The outcome of a run that went on for too long."""
    log.warning("run.timed_out", timeout_s=timeout_s)
    return Retry(f"timeout: it ran for more than {timeout_s} s", because="timeout")


def stood_still(idle_s: float) -> Outcome:
    """The outcome of a run that gave no sign of life for too long."""
    log.warning("run.stood_still", progress_timeout_s=idle_s)
    return Retry(f"timeout: it made no progress for {idle_s} s", because="timeout")


def unfit(error: Exception) -> Outcome:
    """The outcome of a run whose input its type does not take any more."""
    return Fail(f"its input does not fit its type any more: {_text(error)}")


def failure(error: BaseException, job_type: JobType[Any]) -> Outcome:
    """A counted retry, or the end where the type says that no retry will help."""
    reason = f"{type(error).__name__}: {_text(error)}"
    policy = job_type.retries.after(error)
    if policy is None:
        return Fail(reason)
    return Retry(reason, policy=policy if policy is not job_type.retries else None)


def _text(error: BaseException) -> str:
    try:
        return str(error)
    except Exception:  # noqa: BLE001 - an exception whose text cannot be had is an exception all the same
        return "(its text cannot be had)"
