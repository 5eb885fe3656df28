"""What is kept of each request, as the control endpoints show it and the client reads it."""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

Outcome = Literal["open", "finished", "failed", "reset", "cut"]


class RecordedRequest(BaseModel):
    """One request to the Messages API.

    `number` only grows. `outcome` is `open` while it is being answered, then `finished` (all of the answer was sent),
    `failed` (an error was sent), `reset` (the simulator cut the connection) or `cut` (the caller went away first).
    `holding` is the hold it stands at. `prompt` and `round` are what scripts go by. `body` is None, and they say nothing,
    when the request was refused or does not fit the recording.
    """

    model_config = ConfigDict(frozen=True)

    number: int
    path: str
    received_at: float  # seconds since 1970
    headers: dict[str, str]
    body: dict[str, Any] | None
    prompt: str
    round: int
    outcome: Outcome
    status: int | None
    holding: str | None
