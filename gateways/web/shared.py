"""One look for all who ask at once: routes that need no token cannot take more than a connection, however many ask."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Generic, TypeVar

T = TypeVar("T")


class Shared(Generic[T]):
    """What `look` returns, or raises, for all that ask while it looks."""

    def __init__(self, look: Callable[[], Coroutine[Any, Any, T]]) -> None:
        self._look = look
        self._looking: asyncio.Task[T] | None = None

    async def __call__(self) -> T:
        """Look, or join a look that is under way."""
        if self._looking is None or self._looking.done():
            self._looking = asyncio.create_task(self._look())
        return await asyncio.shield(self._looking)  # one who goes away does not stop it for the others
