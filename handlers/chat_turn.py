"""`chat_turn`: one turn of a chat. Queue `chat`, lane `turn:{chat session}`. Created with each message by `chats.receive`.

It acts for the user whose chat it is. What it does to the world, and why it may be repeated, turns.py says.
"""

from assistant.chats import CHAT_TURN, ChatTurnInput
from assistant.workspaces import Workspaces
from handlers.turn_kind import TurnKind
from handlers.turns import Turns
from jobs_core import Database, HandlerTable, Job
from sessions import ClaudeSessions
from sessions.model_run import Wake, nobody


def register(
    table: HandlerTable,
    *,
    database: Database,
    sessions: ClaudeSessions,
    workspaces: Workspaces | None = None,
    wake: Wake = nobody,
) -> None:
    """Bind the handler to its type; the arguments are those of `Turns`."""
    table.register_handler(CHAT_TURN, Turns(ChatTurns(), database, sessions, workspaces, wake).run)


class ChatTurns(TurnKind[ChatTurnInput]):
    """Turns of chats in which people talk with an agent."""

    job_type = CHAT_TURN

    def chat_of(self, job: Job[ChatTurnInput]) -> str:
        """The chat in which something was said."""
        return job.input.session_id
