"""The server: it listens, keeps the auth keys, has requests answered, and pushes updates.

All happens in the test's own event loop, and no answer awaits anything: a request is carried out whole or not at all, and
a test that looks sees no half of one.
"""

from __future__ import annotations

import asyncio
import traceback
from typing import TYPE_CHECKING, Any

from telethon import types

from tests.support.telegram import answers as _answers  # noqa: F401 - fills the table
from tests.support.telegram import show
from tests.support.telegram.call import TABLE, Call, Refused
from tests.support.telegram.connection import Connection
from tests.support.telegram.faults import Faults
from tests.support.telegram.framing import Frames
from tests.support.telegram.keys import Key, Keys
from tests.support.telegram.posts import now
from tests.support.telegram.world import World

if TYPE_CHECKING:
    from tests.support.telegram.mailbox import Change, Mailbox
    from tests.support.telegram.people import Account


class Server:
    """A Telegram of one data centre on 127.0.0.1."""

    def __init__(self) -> None:
        self.world = World(self._tell)
        self.keys = Keys()
        self.faults = Faults()
        self.problems: list[str] = []
        """What no test may pass over: requests that nobody answers, and answers that broke."""
        self.requests: list[Any] = []
        """All requests that were carried out, in order."""
        self.port = 0
        self.changed = asyncio.Event()
        """Set by each request and each press's answer, for those who wait for a condition."""
        self._call: Call | None = None
        self._listener: asyncio.Server | None = None
        self._connections: dict[asyncio.Task[None], Connection] = {}

    async def start(self) -> None:
        """Listen; after a stop, on the same port again."""
        self._listener = await asyncio.start_server(self._accept, "127.0.0.1", self.port)
        self.port = self._listener.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Cut every connection and take no new one. What the server knows, it keeps."""
        self._listen_no_more()
        for connection in self._connections.values():
            connection.cut()
        await asyncio.gather(*self._connections, return_exceptions=True)

    def _listen_no_more(self) -> None:
        if self._listener is not None:
            self._listener.close()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None, "a connection is served by a task"
        connection = self._connections[task] = Connection(self, Frames(reader, writer))
        try:
            await connection.run()
        except Exception:  # noqa: BLE001 - whatever a client sent must fail the test, and at once:
            self.problems.append(traceback.format_exc())
            self._listen_no_more()  # a client that may come back comes back for ever
        finally:
            del self._connections[task]
            self.changed.set()

    def answer(self, connection: Connection, request: Any) -> Any:
        """Carry out one request; give its answer, or the error that refuses it."""
        key = connection.key
        assert key is not None, "requests are encrypted, so there is a key"
        if key.refusal is not None:
            return types.RpcError(*key.refusal)
        self._call = Call(self, connection, key)
        self.requests.append(request)
        try:
            answer = TABLE.get(type(request), _unknown)(self._call, request)
        except Refused as refused:
            return types.RpcError(refused.code, str(refused))
        except Exception:  # noqa: BLE001 - the client gets an error, and the test fails
            self.problems.append(traceback.format_exc())
            return types.RpcError(400, f"THE_TEST_SERVER_BROKE_ANSWERING {type(request).__qualname__}")
        finally:
            self._call = None
            self.changed.set()
        connection.wants_updates = key.account is not None
        return answer

    def burn(self, key: Key) -> None:
        """Refuse a key for ever, as one that was used from two places."""
        key.refusal = (406, "AUTH_KEY_DUPLICATED")

    def connections(self, account: Account) -> list[Connection]:
        """Give the open connections of an account that are pushed to."""
        keys = [key for key in self.keys.of(account) if key.refusal is None]
        return [one for key in keys for one in key.connections if one.wants_updates]

    def _tell(self, account: Account, mailbox: Mailbox, change: Change) -> None:
        """Tell an account of a change: whoever caused it in the answer, everybody else by a push."""
        cause = self._call.connection if self._call else None
        others = [connection for connection in self.connections(account) if connection is not cause]
        if self._call and self._call.key.account is account:
            self._call.told.append((mailbox, change))
        named = show.entities([change.post], account)
        self._push(others, account, types.Updates([show.update(change, mailbox, account)], **named, date=now(), seq=0))

    def push_short(self, account: Account, update: Any) -> None:
        """Push an update without pts: no difference brings it back."""
        self._push(self.connections(account), account, types.UpdateShort(update, now()))

    def _push(self, connections: list[Connection], account: Account, update: Any) -> None:
        if not connections:
            return
        faults = self.faults.updates(account)
        for planned in faults.plan(update):
            for connection in connections:
                connection.push(planned)
        if faults.is_cut_now():
            for connection in connections:
                connection.cut()


def _unknown(call: Call, request: Any) -> Any:
    name = f"{type(request).__module__.rpartition('.')[2]}.{type(request).__qualname__}"
    call.server.problems.append(
        f"nobody answers {name}: add it to tests/support/telegram/answers\n{request.stringify()}"
    )
    raise Refused(f"THE_TEST_SERVER_KNOWS_NO {name}", 501)
