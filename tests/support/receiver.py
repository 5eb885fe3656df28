"""A receiver of deliveries, and a sender that brings them to it and can be cut off before and after it takes one."""

from collections import deque
from dataclasses import dataclass, field
from datetime import timedelta

from assistant.deliveries import Delivery
from assistant.senders import Answer, Sent


class Died(BaseException):
    """The process has ended at this point: nothing after it is done, nothing is written."""


@dataclass
class Receiver:
    """Shows what it is sent, in order, as (chat, text), and drops copies by their number where it is told to."""

    drops_copies: bool = True
    shown: list[tuple[str, str]] = field(default_factory=list)
    ids: list[int] = field(default_factory=list)
    copies: int = 0

    def take(self, delivery: Delivery) -> str | None:
        """What it calls the message; None: it was shown before."""
        if self.drops_copies and delivery.random_id in self.ids:
            self.copies += 1
            return None
        self.ids.append(delivery.random_id)
        self.shown.append((delivery.chat or f"user:{delivery.user_id}", delivery.payload["text"]))
        return f"m{len(self.shown)}"


Cut = tuple[str, type[BaseException]]


@dataclass
class LocalSender:
    """Brings deliveries to a receiver. what_next: what each send comes to instead, in order.

    An answer: the receiver took nothing and says so; ("before" or "after", what is raised): a cut, before or after it took it.
    """

    receiver: Receiver = field(default_factory=Receiver)
    remembers: timedelta = timedelta(days=1)
    what_next: deque[Answer | Cut | None] = field(default_factory=deque)

    async def send(self, delivery: Delivery) -> Answer:
        """As a gateway's sender would."""
        what = self.what_next.popleft() if self.what_next else None
        if what is not None and not isinstance(what, tuple):
            return what
        if what and what[0] == "before":
            raise what[1]("cut before it was taken")
        taken = self.receiver.take(delivery)
        if what:
            raise what[1]("cut after it was taken")
        return Sent(taken)
