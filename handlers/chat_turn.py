"""`chat_turn`: one turn of a chat. Queue `chat`, lane `turn:{chat session}`. Created with each message by `chats.receive`.

It acts for the user whose chat it is. What it does to the world, and why it may be repeated, turns.py says.
"""

from functools import partial

from assistant.chats import CHAT_TURN, ChatTurnInput
from handlers import turns
from handlers.turn_kind import TurnKind
from jobs_core import Job


class ChatTurns(TurnKind[ChatTurnInput]):
    """Turns of chats in which people talk with an agent."""

    job_type = CHAT_TURN

    def chat_of(self, job: Job[ChatTurnInput]) -> str:
        """The chat in which something was said."""
        return job.input.session_id


register = partial(turns.register, ChatTurns())
"""Bind the handler to its type, in a table, with the arguments of `Turns`."""
