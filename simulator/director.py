"""Decides what a request is answered with, and holds answers back.

    a counted script from the control endpoint   one response a request, in order, then it is used up
    a standing script from the control endpoint  the round decides, as for a script in the prompt
    a script in the prompt                       the round decides
    else                                         the demo speaks

A turn whose script has no response left is answered by the demo too, which quotes what the tools brought.
"""

import asyncio
from collections import deque
from dataclasses import dataclass

from simulator.conversation import Conversation
from simulator.demo import respond
from simulator.errors import ScriptError
from simulator.script import Response, Text, parse


@dataclass
class _Counted:
    match: str
    responses: deque[Response]


@dataclass(frozen=True)
class _Standing:
    match: str
    responses: list[Response]


class Director:
    """The scripts that tests queued and the holds that they released."""

    def __init__(self) -> None:
        self._counted: list[_Counted] = []
        self._standing: list[_Standing] = []
        self._released: set[str] = set()
        self._resets = 0
        self._changed = asyncio.Event()

    def add(self, script: str, match: str, times: int | None) -> int:
        """Queue `script` for requests that say `match`; returns how many requests it is good for, 0 for no end.

        With `times` its responses go out one a request, all of them that many times; without, until `reset`.
        Raises ScriptError when it cannot be read or holds no directive.
        """
        responses = parse(script)
        if not responses:
            raise ScriptError("the script holds no directive such as [[text hello]] or [[error 529]]")
        if times is None:
            self._standing.append(_Standing(match, responses))
            return 0
        self._counted.append(_Counted(match, deque(responses * times)))
        return len(responses) * times

    def choose(self, conversation: Conversation) -> Response:
        """Return the response that is due, and use it up if it was counted."""
        for counted in self._counted:
            if counted.match in conversation.asked:
                response = counted.responses.popleft()
                if not counted.responses:
                    self._counted.remove(counted)
                return response
        return self._by_round(conversation)

    def _by_round(self, conversation: Conversation) -> Response:
        for standing in self._standing:
            if standing.match in conversation.asked and conversation.round < len(standing.responses):
                return standing.responses[conversation.round]
        try:
            responses = parse(conversation.prompt)
        except ScriptError as error:
            return (Text(f"This is the simulator. The script in your message cannot be read: {error}."),)
        if conversation.round < len(responses):
            return responses[conversation.round]
        return respond(conversation)

    async def hold(self, name: str) -> None:
        """Wait until the hold `name` is released, or all are by `reset`; one that is released already lets pass.

        Nothing is kept for a name that only waits: any prompt can make one up.
        """
        resets = self._resets
        while name not in self._released and resets == self._resets:
            await self._changed.wait()

    def release(self, name: str) -> None:
        """Let pass whatever stands at the hold `name`, or comes to it before the next `reset`."""
        self._released.add(name)
        self._tell()

    def reset(self) -> None:
        """Forget all scripts; let go of what is held, and close the holds again."""
        self._counted.clear()
        self._standing.clear()
        self._released.clear()
        self._resets += 1
        self._tell()

    def _tell(self) -> None:
        """Wake all that are held; each event serves once, so that none is missed."""
        self._changed.set()
        self._changed = asyncio.Event()
