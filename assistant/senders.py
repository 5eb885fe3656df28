"""Senders: what a gateway's sending half must be able to do, one for each channel, and the table of those a process has.

    handlers.deliver ─ send(delivery) ─▶ Sender ─▶ the receiver        assistant knows the form, gateways the receivers
                     ◀─ Sent │ NotYet │ Refused │ Blocked, or a raise: nobody knows whether it arrived

A sender writes nothing and remembers nothing: each try is told everything, and what it answers is recorded with the job's
settle.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol

from assistant.deliveries import Delivery, queue_of


@dataclass(frozen=True, slots=True)
class Sent:
    """The receiver has it. id: what the receiver calls it; None where it does not say, as to a second copy."""

    id: str | None = None


@dataclass(frozen=True, slots=True)
class NotYet:
    """The receiver took nothing and says when to come again, or could not be reached at all: no retry is spent.

    whole_account: it holds for everything that this account sends.
    """

    after: timedelta
    reason: str
    whole_account: bool = False


@dataclass(frozen=True, slots=True)
class Refused:
    """The receiver took nothing, and never will."""

    reason: str


@dataclass(frozen=True, slots=True)
class Blocked:
    """The person takes nothing from us any more."""

    reason: str


Answer = Sent | NotYet | Refused | Blocked


class Sender(Protocol):
    """Sends what goes by one channel."""

    @property
    def remembers(self) -> timedelta:
        """For how long the receiver drops a second copy of a `random_id`; zero: it does not tell copies at all."""
        ...

    async def send(self, delivery: Delivery) -> Answer:
        """Show the receiver the delivery, once, with its `random_id`. A copy that the receiver drops counts as Sent.

        Raise whatever comes where the answer was lost: whether it arrived is then unknown, and it is asked again with the same
        id, or a person is. So what certainly did not arrive is better said as NotYet.
        """
        ...


class Senders:
    """The senders of a process, by channel."""

    def __init__(self) -> None:
        self._by_channel: dict[str, Sender] = {}
        self._queues: list[str] = []

    def register(self, channel: str, sender: Sender, *, accounts: Iterable[str] = ()) -> None:
        """Bind a channel's sender; accounts: those that this process holds, none where the channel has only one.

        Raises ValueError where the channel has a sender already.
        """
        if channel in self._by_channel:
            raise ValueError(f"channel {channel!r} has a sender already")
        self._by_channel[channel] = sender
        self._queues += [queue_of(channel, account) for account in accounts] or [queue_of(channel)]

    def find(self, channel: str) -> Sender | None:
        """The sender of that channel; None: there is none in this process."""
        return self._by_channel.get(channel)

    @property
    def queues(self) -> Sequence[str]:
        """The queues in which their deliveries stand, for the worker to serve."""
        return self._queues
