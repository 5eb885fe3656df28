"""How drills wait: for conditions, with a limit that says what was waited for."""

import asyncio
from collections.abc import Awaitable, Callable

WITHIN_S = 60.0
"""No step takes this long on a machine that is busy with other things; what does hangs."""


async def until(
    condition: Callable[[], Awaitable[object]], what: str, within_s: float = WITHIN_S, every_s: float = 0.02
) -> None:
    """Wait for a condition that no event tells of. Raises TimeoutError saying what was waited for."""
    try:
        async with asyncio.timeout(within_s):
            while not await condition():
                await asyncio.sleep(every_s)
    except TimeoutError:
        raise TimeoutError(f"not within {within_s:g} s: {what}") from None
