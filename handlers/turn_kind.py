"""What a job type says of the turns that its jobs are; turns.py runs them."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Generic, TypeVar

from pydantic import BaseModel

from assistant.agents import Cast
from assistant.policy import Unattended
from jobs_core import Connection, Job, JobType
from jobs_core.wake import Ready

InputT = TypeVar("InputT", bound=BaseModel)

TIME_TO_SAY_SO = timedelta(minutes=1)
"""So much less than the worker gives the job, that a turn which takes too long can still say so in its chat."""


@dataclass(frozen=True, slots=True)
class End:
    """How a turn ended for good: with an answer, or, for that reason, without one."""

    answered: bool
    text: str


class TurnKind(ABC, Generic[InputT]):
    """One kind of turns. job_type: of their jobs. interactive: somebody waits for the answer."""

    job_type: JobType[InputT]
    interactive = True

    @abstractmethod
    def chat_of(self, job: Job[InputT]) -> str:
        """The chat that the turn is in."""

    async def open(self, conn: Connection, job: Job[InputT]) -> None:
        """Have the chat stand there with what is to be answered: in a run's first transaction, and where none can begin."""

    def check(self, cast: Cast) -> None:
        """Raise an AssistantError where no turn may run for these: the job fails with it at once."""

    def unattended(self, job: Job[InputT]) -> Unattended | None:
        """What becomes of calls that need approval where nobody is there to give it; None: somebody is."""

    async def ended(self, conn: Connection, job: Job[InputT], end: End) -> Sequence[Ready] | None:
        """Write what else there is to write at a turn's end, in the settling transaction; returns where jobs stand ready."""

    @property
    def timeout(self) -> timedelta:
        """What a turn may take."""
        return self.job_type.timeout - TIME_TO_SAY_SO

    @property
    def given_up(self) -> str:
        """Of what is put back for so long: the settle would give it up as well, but without a word in the chat."""
        return f"given up after {self.job_type.give_up_after}"
