"""MTProto 2.0 as the server does it: messages encrypted under an auth key (core.telegram.org/mtproto/description)."""

from __future__ import annotations

import os
import struct
import time
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING

from telethon.crypto import AES

if TYPE_CHECKING:
    from telethon.crypto import AuthKey

HEADER = struct.Struct("<qqqii")
"""Salt, session, message id, sequence number, length."""


class BadMessage(Exception):
    """A client's message does not decrypt: another key, or changed on its way."""


@dataclass(frozen=True, slots=True)
class Message:
    """A message of a client, decrypted."""

    salt: int
    session: int
    id: int
    number: int
    body: bytes


def decrypt(key: AuthKey, packet: bytes) -> Message:
    """Decrypt what a client sent. Raises `BadMessage`."""
    msg_key = packet[8:24]
    plain = AES.decrypt_ige(packet[24:], *_keys(key.key, msg_key, from_client=True))
    if sha256(key.key[88:120] + plain).digest()[8:24] != msg_key:
        raise BadMessage("the message key does not fit the message")
    salt, session, message_id, number, length = HEADER.unpack_from(plain)
    return Message(salt, session, message_id, number, plain[HEADER.size : HEADER.size + length])


def encrypt(key: AuthKey, message: Message) -> bytes:
    """Encrypt what the server sends."""
    plain = HEADER.pack(message.salt, message.session, message.id, message.number, len(message.body)) + message.body
    plain += os.urandom(12 + -(len(plain) + 12) % 16)
    msg_key = sha256(key.key[96:128] + plain).digest()[8:24]
    encrypted: bytes = AES.encrypt_ige(plain, *_keys(key.key, msg_key, from_client=False))
    return struct.pack("<Q", key.key_id) + msg_key + encrypted


def _keys(key: bytes, msg_key: bytes, *, from_client: bool) -> tuple[bytes, bytes]:
    """AES key and initialisation vector of one message."""
    x = 0 if from_client else 8
    a = sha256(msg_key + key[x : x + 36]).digest()
    b = sha256(key[40 + x : 76 + x] + msg_key).digest()
    return a[:8] + b[8:24] + a[24:], b[:8] + a[8:24] + b[24:]


class MessageIds:
    """Ids for a server's messages: seconds × 2³² roughly, ever growing, odd."""

    def __init__(self) -> None:
        self._last = 0

    def draw(self, *, answer: bool) -> int:
        """Give the next id. It ends in 1 for an answer, in 3 for what the client did not ask for (modulo 4)."""
        low = 1 if answer else 3
        now = int(time.time() * 2**32) & ~3
        self._last = max(now, (self._last & ~3) + 4) | low
        return self._last
