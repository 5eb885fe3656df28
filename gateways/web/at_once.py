"""What one person may have of a door at the same time: it is everybody's, and nobody but owners takes much of it."""

from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from starlette.responses import AsyncContentStream, StreamingResponse
from starlette.types import Receive, Scope, Send

from gateways.web.caller import Caller
from gateways.web.errors import Refused

MOST_FORMS = 3
"""Messages with files: each lies on the door's disk, or in its memory, while it is read."""
MOST_STREAMS = 20
"""Two to a page. A door has 200 of notifications (inbox_feed) and the owner watches there, too: no stranger takes them all."""


class AtOnce:
    """How many of something each person has. what: the thing, as its refusal (503, `code`) names it, one more than `most`."""

    def __init__(self, most: int, code: str, what: str) -> None:
        self._most = most
        self._code = code
        self._what = what
        self._open = Counter[str]()

    @contextmanager
    def one_of(self, caller: Caller) -> Iterator[None]:
        """Count one more until the block ends. Raises Refused where this person has too many."""
        whose = caller.user_id
        if whose is None or caller.is_owner:
            yield
            return
        if self._open[whose] >= self._most:
            message = f"{self._most} {self._what} already; try again in a moment"
            raise Refused(503, self._code, message, headers={"Retry-After": "5"})
        self._open[whose] += 1
        try:
            yield
        finally:
            self._open[whose] -= 1
            self._open = +self._open


class Stream(StreamingResponse):
    """Server-sent events; what is held for them is let go when they have ended, whether or not the first one was sent."""

    def __init__(self, texts: AsyncContentStream, held: ExitStack) -> None:
        super().__init__(texts, media_type="text/event-stream")
        self._held = held

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        with self._held:
            await super().__call__(scope, receive, send)
