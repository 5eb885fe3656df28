"""Handlers that ask agents, each bound so that what its asking came to becomes its job's outcome, whatever it makes of it.

    run ─▶ handler ─▶ ask_agent ─┬─ value, or an error of the turn ─▶ handler ─▶ its outcome ─────────┐
                                 └─ provider, budget: ends the run (Waiting) ─▶ put back, or waits ───┴─▶ leave ─▶ settled

A handler's author has nothing to do for it, and cannot undo it by catching too much.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from contextvars import ContextVar
from typing import Any

from jobs_core import AnyJob, Complete, ConfigurationError, Database, Fail, HandlerTable, JobType, Outcome
from jobs_core.steps import Waiting
from jobs_core.tasks import end_task
from sessions.conversation import Content
from sessions.errors import TurnFailed
from sessions.model_run import Alarms, ModelRun, Wake, nobody
from workers.outcomes import innermost, raised, raised_group, returned

Handle = Callable[[AnyJob], Awaitable[Any]]


class _Asking:
    """What the handler of one run asks, by however many tasks of its own."""

    def __init__(self, model: ModelRun) -> None:
        self.model = model
        self.one_at_a_time = asyncio.Lock()
        self.prompt: Content | None = None
        self.over = False
        self.tasks = set[asyncio.Task[Any]]()

    async def end(self) -> None:
        """Have nothing asked any more that the handler has left behind: its agent would work on for a job that has ended."""
        self.over = True
        for task in self.tasks.copy():
            await end_task(task)


_current: ContextVar[_Asking] = ContextVar("current_asking")


def heed_provider(table: HandlerTable, name: str, *, database: Database, alarms: Alarms, wake: Wake = nobody) -> None:
    """Have the type's handler, an async one, run so that `ask_agent` can be called in it. wake: the worker's notifier."""
    handler, job_type = table.handler(name), table.job_type(name)

    async def run(job: AnyJob) -> Outcome:
        model = ModelRun(database, job, give_up_after=job_type.give_up_after, alarms=alarms, wake=wake)
        its = _Asking(model)
        mark = _current.set(its)
        try:
            outcome = await _outcome(handler, job, job_type, model)
        finally:
            _current.reset(mark)
            await its.end()
        return await model.leave(outcome)

    table.rebind(name, run)


@asynccontextmanager
async def asking(job: AnyJob, prompt: Content) -> AsyncIterator[ModelRun]:
    """The model's side of this run, for one question; who asks the same meanwhile waits for its answer.

    Raises ConfigurationError where nothing would settle what it comes to, and for another question than the run's first, which
    would get the first one's answer; Waiting where an earlier one has ended the run.
    """
    its = _current.get(None)
    if its is None or its.model.job is not job or its.over:
        raise ConfigurationError(
            f"ask_agent: the handler of job {job.id} ({job.job_type}) was not bound by its module's register_agents, or has "
            "ended, so that nothing here would heed budgets and the provider's pauses: bind it there, and await what it asks"
        )
    if its.prompt is not None and its.prompt != prompt:
        raise ConfigurationError(
            f"ask_agent: the handler of job {job.id} ({job.job_type}) has asked something else already, and a job asks one "
            "question: spawn a child job for each"
        )
    its.prompt = prompt
    task = asyncio.current_task()
    assert task is not None, "a coroutine runs in a task"
    its.tasks.add(task)
    try:
        async with its.one_at_a_time:
            if its.model.ended_as:
                raise Waiting(its.model.ended_as)
            yield its.model
    finally:
        its.tasks.discard(task)


async def _outcome(handler: Handle, job: AnyJob, job_type: JobType[Any], model: ModelRun) -> Outcome:
    """What the handler came to, unless its asking has ended the run and it went on all the same. Raises LeaseLost."""
    try:
        outcome = returned(await handler(job))
    except Waiting as waiting:
        outcome = waiting.outcome
    except TurnFailed as error:
        outcome = Fail(str(error))
    except BaseExceptionGroup as group:
        failed, others = group.split(TurnFailed)
        outcome = raised_group(group, job_type) if others or not failed else Fail(str(innermost(failed)))
    except Exception as error:  # noqa: BLE001 - a handler may raise anything
        outcome = raised(error, job_type)
    if model.ended_as and not isinstance(outcome, Complete):
        return model.ended_as
    return outcome
