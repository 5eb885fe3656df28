"""`scheduled_turn`: an agent is asked something by a schedule. Queue `chat`, no lane of its own. Created by the evaluator.

    this tick's chat with the prompt in it ─▶ a turn ─▶ answer, result, notification, chat closed and job's end, one transaction

It acts for the schedule's person, who must be an owner when it runs. What it does to the world, and why it may be repeated,
turns.py says: the chat's id is made of the tick, so that a retry finds what the first run began. Nobody is there to approve
calls: the schedule says what becomes of those that need it.
"""

from functools import partial

from assistant import scheduled_turns
from assistant.agents import Cast
from assistant.execution_results import end_result
from assistant.policy import Unattended
from assistant.scheduled_turns import SCHEDULED_TURN, ScheduledTurnInput
from handlers import turns
from handlers.turn_kind import End, TurnKind
from jobs_core import Connection, Job


class ScheduledTurns(TurnKind[ScheduledTurnInput]):
    """Turns that nobody waits for."""

    job_type = SCHEDULED_TURN
    interactive = False

    def chat_of(self, job: Job[ScheduledTurnInput]) -> str:
        """The chat of this tick."""
        return scheduled_turns.chat_of(job)

    async def open(self, conn: Connection, job: Job[ScheduledTurnInput]) -> None:
        """Have it stand there, with the prompt."""
        await scheduled_turns.open_chat(conn, job)

    def check(self, cast: Cast) -> None:
        """Run nothing for who was an owner when the schedule was made, and is none any more."""
        scheduled_turns.check_person(cast.user)

    def unattended(self, job: Job[ScheduledTurnInput]) -> Unattended:
        """As the schedule says."""
        return job.input.approvals

    async def ended(self, conn: Connection, job: Job[ScheduledTurnInput], end: End) -> None:
        """Keep what came of it, tell the schedule's person, close the chat."""
        await end_result(conn, job.id, "complete" if end.answered else "failed", end.text)


register = partial(turns.register, ScheduledTurns())
"""Bind the handler to its type, in a table, with the arguments of `Turns`."""
