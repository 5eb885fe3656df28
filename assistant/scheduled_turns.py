"""Scheduled turns: a prompt that an agent is asked by a schedule, each time in a chat of its own.

    tick ─▶ scheduled_turn job ─▶ chat `scheduled_{agent}_{due time}_{schedule}`, the prompt in it ─▶ a turn, as of any chat
                                                                                                      └─▶ execution_results.py

A schedule's job type is declared here, because schedules with it are made by this room and those above. Verbs take the
connection first.
"""

from datetime import UTC, datetime, timedelta

from pydantic import BaseModel, ConfigDict

from assistant import people
from assistant.agent_values import AgentName, Prompt
from assistant.agents import DEFAULT_AGENT
from assistant.chats import ChatTurnResult
from assistant.errors import MayNotSchedule, NoSuchUser
from assistant.execution_results import begin_result
from assistant.incoming import NewChat, begin_chat, say
from assistant.people import User
from assistant.policy import Unattended
from jobs_core import Connection, Job, JobType, RetryPolicy, execute, statement
from schedules import Tick


class ScheduledTurnInput(BaseModel):
    """What an agent is asked. approvals: what becomes of calls that need it. tick: of the schedule; None: made by hand."""

    model_config = ConfigDict(extra="forbid")

    agent: AgentName = DEFAULT_AGENT
    prompt: Prompt
    approvals: Unattended = "reject"
    tick: Tick | None = None


SCHEDULED_TURN = JobType(
    "scheduled_turn",
    ScheduledTurnInput,
    ChatTurnResult,
    queue="chat",
    priority=3,  # behind people, who wait for their answers
    retries=RetryPolicy(max_retries=3),
    timeout=timedelta(hours=1),
)


def chat_of(job: Job[ScheduledTurnInput]) -> str:
    """The id of the job's chat: made of its agent, when it was due, and its schedule, so that each run has the same."""
    tick, due = job.input.tick, due_at(job).astimezone(UTC)
    micros = f".{due.microsecond:06d}" if due.microsecond else ""
    return f"scheduled_{job.input.agent}_{due:%Y%m%dT%H%M%S}{micros}Z_{tick.schedule_id if tick else f'job{job.id}'}"


def due_at(job: Job[ScheduledTurnInput]) -> datetime:
    """When the turn was to run."""
    return job.input.tick.due_at if job.input.tick else job.created_at


def check_person(user: User) -> None:
    """Raise MayNotSchedule for whoever is no owner: a schedule spends the owner's money when nobody looks."""
    if not user.is_owner:
        raise MayNotSchedule(
            f"{user.id} is no owner: agents run by schedules of owners only. Give the schedule another user, or remove it"
        )


async def open_chat(conn: Connection, job: Job[ScheduledTurnInput]) -> None:
    """Have the job's chat stand there, with the prompt said in it once, and its result begun.

    Another job of the tick, a redrive, says it anew in the same chat; so does that of a tick due at the same moment, as in a
    gap of the clock: schedules have one of those run after the other.
    """
    chat, tick = chat_of(job), job.input.tick
    user_id = await _person(conn, job.user_id)
    await begin_chat(conn, NewChat("scheduled", user_id, job.input.agent), session_id=chat)
    if await say(conn, chat, job.input.prompt, (), f"job:{job.id}", media=()) is None:  # an earlier run has
        return
    await execute(conn, statement("assistant", "chat/set_active"), {"session_id": chat, "active": True})
    await begin_result(
        conn,
        schedule=(tick.schedule_id, tick.name) if tick else None,
        agent=job.input.agent,
        user_id=user_id,
        chat=chat,
        job_id=job.id,
        due_at=due_at(job),
    )


async def _person(conn: Connection, user_id: str | None) -> str:
    """For whom it is: the owner where nobody is named, and whoever the named one turned out to be."""
    if user_id is None:
        return (await people.owner(conn)).id
    try:
        return (await people.get(conn, user_id)).id
    except NoSuchUser:
        return user_id  # the run tells
