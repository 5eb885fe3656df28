"""Arrivals: messages that are not in their chats yet, as their files are to be fetched, and the job that takes them in.

The door that they came by keeps them, and serves the queue of its account: nobody else can fetch. Here stands what others need
to have one taken in: its number at the door, its account and its chat.
"""

from typing import Literal

from pydantic import BaseModel, ConfigDict

from jobs_core import JobType, Limit, RetryPolicy

AT_ONCE = 3
"""Downloads of one account at a time: deliveries go out by the same connection."""


class FetchMedia(BaseModel):
    """Which message is to be taken in, with its files, or behind some."""

    model_config = ConfigDict(extra="forbid")

    account: str
    session_id: str
    waiting_id: int


class Fetched(BaseModel):
    """What became of it; nothing to do: it was taken in with an earlier part of its album."""

    status: Literal["taken_in", "nothing_to_do"]


def lane_of(account: str, session_id: str) -> str:
    """The lane of a chat's messages that wait."""
    return f"in:{account}:{session_id}"


FETCH_MEDIA = JobType(
    "fetch_media",
    FetchMedia,
    Fetched,
    queue="in",  # of an account: queue_of
    lane=lambda fetch: lane_of(fetch.account, fetch.session_id),
    limits=lambda fetch: [Limit(f"in:{fetch.account}", slots=AT_ONCE)],
    retries=RetryPolicy(max_retries=5, first_s=2.0),
    suspected=False,  # only the process that holds the account can fetch
)


def queue_of(account: str) -> str:
    """The queue that the process which holds the account serves, besides the one of what goes out."""
    return f"in:{account}"
