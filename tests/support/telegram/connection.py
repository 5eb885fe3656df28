"""One client's TCP connection.

run:  frame ─▶ key id 0: a step of the handshake
               else: decrypt ─▶ container, gzip, wrapping unpacked ─▶ ping, acknowledgement or request ─▶ answer
push: update ─▶ encrypted, under the session that the client uses now
"""

from __future__ import annotations

import asyncio
import struct
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from telethon import functions, types
from telethon.extensions import BinaryReader
from telethon.tl.core import GzipPacked, MessageContainer

from tests.support.telegram.cipher import Message, MessageIds, decrypt, encrypt
from tests.support.telegram.handshake import Handshake
from tests.support.telegram.wire import UNKNOWN_KEY, result_bytes

if TYPE_CHECKING:
    from tests.support.telegram.framing import Frames
    from tests.support.telegram.keys import Key
    from tests.support.telegram.server import Server

WRAPPERS = (
    functions.InvokeWithLayerRequest,
    functions.InitConnectionRequest,
    functions.InvokeAfterMsgRequest,
    functions.InvokeWithoutUpdatesRequest,
)
WRONG_SALT = 48
"""The code of a notice that a message's salt is not the server's (core.telegram.org/mtproto/service_messages)."""


class Connection:
    """A client's connection, from the first frame to the end of the stream."""

    def __init__(self, server: Server, frames: Frames) -> None:
        self._server = server
        self._frames = frames
        self._handshake = Handshake()
        self._ids = MessageIds()
        self._session = 0
        self.key: Key | None = None
        self.wants_updates = False
        """Whether a request was answered here while logged in: only then does Telegram push."""

    async def run(self) -> None:
        """Serve the client until it leaves or is cut off."""
        try:
            with suppress(asyncio.IncompleteReadError, ConnectionError):
                while True:
                    self._packet(await self._frames.read())
        finally:
            self.cut()

    def push(self, update: Any) -> None:
        """Send what the client did not ask for."""
        self._send(bytes(update), answer=False)

    def cut(self, *, abruptly: bool = False) -> None:
        """Close the connection."""
        if self.key is not None:
            self.key.connections.discard(self)
        self._frames.close(abruptly=abruptly)

    def _packet(self, packet: bytes) -> None:
        key_id = struct.unpack_from("<Q", packet)[0]
        if key_id == 0:
            self._frames.write(self._handshake.answer(packet, self._ids.draw(answer=True)))
            if self._handshake.key is not None:
                self._server.keys.add(self._handshake.key)
            return
        key = self._server.keys.find(key_id)
        if key is None:
            self._frames.write(UNKNOWN_KEY)
            self.cut()
            return
        if self.key is None:
            self._use(key)
        self._message(key, decrypt(key.auth, packet))

    def _use(self, key: Key) -> None:
        self.key = key
        if key.connections and self._server.faults.burn_keys_in_two_places:
            self._server.burn(key)
        key.connections.add(self)

    def _message(self, key: Key, message: Message) -> None:
        self._session = message.session
        if message.salt != key.salt:
            notice = types.BadServerSalt(message.id, message.number, WRONG_SALT, key.salt)
            self._send(bytes(notice), answer=False)
            return
        self._unpack(message.id, BinaryReader(message.body).tgread_object())

    def _unpack(self, message_id: int, content: Any) -> None:
        match content:
            case MessageContainer():
                for inner in content.messages:
                    self._unpack(inner.msg_id, inner.obj)
            case GzipPacked():
                self._unpack(message_id, BinaryReader(content.data).tgread_object())
            case types.MsgsAck():
                pass
            case functions.PingRequest() | functions.PingDelayDisconnectRequest():
                self._send(bytes(types.Pong(message_id, content.ping_id)), answer=True)
            case _ if isinstance(content, WRAPPERS):
                self._unpack(message_id, content.query)
            case _:
                self._request(message_id, content)

    def _request(self, message_id: int, request: Any) -> None:
        fault = self._server.faults.take(request)
        answer: Any = None
        if fault is None or fault.is_carried_out:
            answer = self._server.answer(self, request)
        if fault is None:
            self._send(result_bytes(message_id, answer), answer=True)
        elif fault.error:
            self._send(result_bytes(message_id, types.RpcError(*fault.error)), answer=True)
        elif fault.cuts:
            self.cut(abruptly=True)

    def _send(self, body: bytes, *, answer: bool) -> None:
        if self.key is None:
            return
        message = Message(self.key.salt, self._session, self._ids.draw(answer=answer), 0, body)
        self._frames.write(encrypt(self.key.auth, message))
