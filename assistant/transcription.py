"""`transcribe`: the job type by which voice messages become text. Whoever takes in a voice message creates it; see
handlers/transcribe.py.
"""

from datetime import timedelta
from typing import Literal

from pydantic import BaseModel, ConfigDict

from jobs_core import JobType, Limit, RetryPolicy

QUEUE = "media"
AT_ONCE = 2
"""Of all workers together, until `./jobs limit set transcribe` says otherwise: each takes some cores for seconds."""


class TranscribeInput(BaseModel):
    """Which file of media.py is to be heard."""

    model_config = ConfigDict(extra="forbid")

    file_id: int


class TranscribeResult(BaseModel):
    """What was heard, in which language, and how long the clip is; `why` says why nothing was, where it was not transcribed."""

    status: Literal["transcribed", "not_set_up", "refused"]
    text: str = ""
    language: str | None = None
    seconds: float | None = None
    why: str | None = None


TRANSCRIBE = JobType(
    "transcribe",
    TranscribeInput,
    TranscribeResult,
    queue=QUEUE,
    limits=lambda _: [Limit("transcribe", slots=AT_ONCE)],
    fair_by="user_id",  # or one person's hundred clips would stand before everybody else's
    retries=RetryPolicy(max_retries=1, first_s=2.0),  # a chat waits for it
    timeout=timedelta(minutes=30),  # with a first use that fetches its model
    retention="short",
)
