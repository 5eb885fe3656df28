"""One request to Telegram and its answer, once: nothing is waited out or repeated here that the delivery's job owns.

A client that is called repeats what it takes for a fault of Telegram's, RANDOM_ID_DUPLICATE among it, and refuses a kind of
request for as long as another chat has to wait. So its sender is asked. What it has not had an answer to it sends again itself,
under the same random id, when a connection that broke is there again.
"""

import asyncio
from typing import Any

from telethon import TelegramClient, functions
from telethon.errors import AuthKeyError, RPCError, UnauthorizedError
from telethon.errors.rpcerrorlist import rpc_errors_dict

ANSWER_S = 60.0
"""Of a connection that is there an answer takes 0.1 s; of one that breaks it may come after it was made anew."""
_REFUSED_S = 5.0

_NAMES = {kind: name for name, kind in rpc_errors_dict.items()}


class Away(Exception):
    """The connection is not there: the request was not sent."""


async def ask(client: TelegramClient, request: Any) -> Any:
    """The answer to a request.

    Raises Away where it was not sent; RPCError, as Telegram refuses it; OSError where nobody knows whether it was carried out.
    """
    sender = client._sender  # noqa: SLF001 - see above; the version is pinned
    if not (sender.is_connected() and sender._transport_connected()):  # noqa: SLF001 - it says whether it would only queue
        raise Away("the connection to Telegram is away")
    try:
        async with asyncio.timeout(ANSWER_S):
            return await sender.send(request)
    except (UnauthorizedError, AuthKeyError):
        # Who holds the account has the client say when its key is refused, and the client knows only what it asked itself.
        told = asyncio.wait_for(client(functions.updates.GetStateRequest()), _REFUSED_S)
        await asyncio.gather(told, return_exceptions=True)
        raise
    except asyncio.CancelledError:
        task = asyncio.current_task()
        if task and task.cancelling():
            raise
        # The client was disconnected, and cancels what it has no answer to.
        raise ConnectionError("the connection to Telegram ended before it answered") from None


def name_of(error: RPCError) -> str:
    """Telegram's name of an error, such as USER_IS_BLOCKED."""
    return _NAMES.get(type(error)) or str(error.message)
