"""Handlers that ask agents, each bound so that what its asking came to becomes its job's outcome, whatever it makes of it.

    run ─▶ handler ─▶ ask_agent ─┬─ value, or an error of the turn ─▶ handler ─▶ its outcome ─────────┐
                                 └─ provider, budget: ends the run (Waiting) ─▶ put back, or waits ───┴─▶ leave ─▶ settled

A handler's author has nothing to do for it, and cannot undo it by catching too much.
"""

from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from typing import Any

from jobs_core import AnyJob, Complete, ConfigurationError, Database, Fail, HandlerTable, JobType, Outcome
from jobs_core.steps import Waiting
from sessions.errors import TurnFailed
from sessions.model_run import Alarms, ModelRun, Wake, nobody
from workers.outcomes import raised, returned

Handle = Callable[[AnyJob], Awaitable[Any]]

_current: ContextVar[ModelRun] = ContextVar("current_model_run")


def heed_provider(table: HandlerTable, name: str, *, database: Database, alarms: Alarms, wake: Wake = nobody) -> None:
    """Have the type's handler, an async one, run so that `ask_agent` can be called in it. wake: the worker's notifier."""
    handler, job_type = table.handler(name), table.job_type(name)

    async def run(job: AnyJob) -> Outcome:
        model = ModelRun(database, job, give_up_after=job_type.give_up_after, alarms=alarms, wake=wake)
        mark = _current.set(model)
        try:
            outcome = await _outcome(handler, job, job_type, model)
        finally:
            _current.reset(mark)
        return await model.leave(outcome)

    table.rebind(name, run)


def model_run_of(job: AnyJob) -> ModelRun:
    """The model's side of this run. Raises ConfigurationError where nothing would settle what it comes to."""
    model = _current.get(None)
    if model is None or model.job is not job:
        raise ConfigurationError(
            f"ask_agent: the handler of job {job.id} ({job.job_type}) was not bound by its module's register_agents, "
            "so that nothing here would heed budgets and the provider's pauses: bind it there"
        )
    return model


async def _outcome(handler: Handle, job: AnyJob, job_type: JobType[Any], model: ModelRun) -> Outcome:
    """What the handler came to, unless its asking has ended the run and it went on all the same. Raises LeaseLost."""
    try:
        outcome = returned(await handler(job))
    except Waiting as waiting:
        outcome = waiting.outcome
    except TurnFailed as error:
        outcome = Fail(str(error))
    except Exception as error:  # noqa: BLE001 - a handler may raise anything
        outcome = raised(error, job_type)
    except BaseExceptionGroup:
        if model.ended_as is None:
            raise
        outcome = model.ended_as
    if model.ended_as and not isinstance(outcome, Complete):
        return model.ended_as
    return outcome
