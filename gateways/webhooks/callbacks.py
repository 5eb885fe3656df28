"""What people do with callbacks: make, change, rotate, try; with their URLs looked at before they are kept.

Where a URL leads may be another place when it is called, and is looked at there again; here it is so that who saves it hears.
"""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any
from uuid import uuid4

from assistant import callbacks
from assistant.callback_events import owe_test
from assistant.callbacks import Callback, define, find_callback
from assistant.deliveries import Owed
from gateways.webhooks import signing
from gateways.webhooks.egress.addresses import Resolve, addresses_of, check_url, resolve
from gateways.webhooks.errors import NotCallable
from gateways.webhooks.settings import CallbackSettings
from jobs_core import Connection, InvalidInput


async def add(
    conn: Connection,
    name: str,
    given: Mapping[str, Any],
    *,
    settings: CallbackSettings,
    resolve: Resolve = resolve,
) -> str:
    """Add a callback; returns its secret. Raises CallbackExists, InvalidInput."""
    definition = define(given)
    await _check(definition.url, settings, resolve)
    secret = signing.new_secret()
    await callbacks.add_callback(conn, name, definition, secret)
    return secret


async def change(
    conn: Connection,
    name: str,
    changes: Mapping[str, Any],
    *,
    settings: CallbackSettings,
    resolve: Resolve = resolve,
) -> Callback:
    """Change what is given. Raises NoSuchCallback, InvalidInput."""
    if isinstance(url := changes.get("url"), str):
        await _check(url, settings, resolve)
    return await callbacks.change_callback(conn, name, changes)


async def rotate(conn: Connection, name: str, overlap: timedelta) -> str:
    """Give it another secret, and let those before it sign beside it for so long; returns the new one.

    Raises NoSuchCallback, InvalidInput.
    """
    secret = signing.new_secret()
    await callbacks.rotate(conn, name, overlap, secret)
    return secret


async def send_test(conn: Connection, name: str) -> Owed:
    """Owe it an event `callback.test`. Raises NoSuchCallback."""
    async with conn.transaction():
        await find_callback(conn, name)
        owed = await owe_test(conn, name, str(uuid4()))
    assert owed is not None, "no other event has this key"
    return owed


async def _check(url: str, settings: CallbackSettings, resolve: Resolve) -> None:
    try:
        await addresses_of(check_url(url, settings), settings, resolve)
    except NotCallable as error:
        raise InvalidInput(f"url: {error}", field="url") from None
