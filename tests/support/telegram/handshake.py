"""How client and server agree on an auth key (core.telegram.org/mtproto/auth_key), as the server does it.

    client                                        server
      req_pq_multi(nonce) ───────────────────────▶  ResPQ: a number to factor, our RSA key's fingerprint
      req_DH_params(p, q, RSA(new_nonce)) ───────▶  ServerDHParamsOk: AES(g, prime, g^a)
      set_client_DH_params(AES(g^b)) ────────────▶  DhGenOk: both hold g^(ab)

These messages are not encrypted as a whole: auth key id 0, message id, length, body.
"""

from __future__ import annotations

import os
import struct
import time
from hashlib import sha1
from typing import Any

import rsa
from telethon import functions, helpers, types
from telethon.crypto import AES, AuthKey
from telethon.crypto.rsa import get_byte_array
from telethon.extensions import BinaryReader

from tests.support.telegram.numbers import DH_PRIME, FINGERPRINT, KEY, PQ, G

SECRET_BYTES = 32
"""Of the server's Diffie-Hellman secret. 256 bits are as safe as 2,048 and raise to a power eight times faster."""


class BadHandshake(Exception):
    """A client's step does not follow from the one before, or its hash is wrong."""


class Handshake:
    """One client's handshake. `key` is None until it is done."""

    def __init__(self) -> None:
        self.key: AuthKey | None = None
        self._server_nonce = int.from_bytes(os.urandom(16), "big", signed=True)
        self._new_nonce = 0
        self._secret = int.from_bytes(os.urandom(SECRET_BYTES), "big") | 1 << (8 * SECRET_BYTES - 1)

    def answer(self, packet: bytes, message_id: int) -> bytes:
        """Answer one plain packet with one. Raises `BadHandshake`."""
        body = bytes(self._step(BinaryReader(packet[20:]).tgread_object()))
        return struct.pack("<qqi", 0, message_id, len(body)) + body

    def _step(self, request: Any) -> Any:
        match request:
            case functions.ReqPqMultiRequest():
                return types.ResPQ(request.nonce, self._server_nonce, get_byte_array(PQ), [FINGERPRINT])
            case functions.ReqDHParamsRequest(server_nonce=self._server_nonce):
                return self._offer(request)
            case functions.SetClientDHParamsRequest(server_nonce=self._server_nonce):
                return self._agree(request)
        raise BadHandshake(f"{type(request).__name__} is no step of this handshake")

    def _offer(self, request: Any) -> Any:
        cipher = int.from_bytes(request.encrypted_data, "big")
        inner = _hashed(rsa.core.decrypt_int(cipher, KEY.d, KEY.n).to_bytes(255, "big"))
        if get_byte_array(PQ) != inner.pq or inner.nonce != request.nonce:
            raise BadHandshake("the encrypted inner data are of another handshake")
        self._new_nonce = inner.new_nonce
        g_a = get_byte_array(pow(G, self._secret, DH_PRIME))
        offer = types.ServerDHInnerData(
            request.nonce, self._server_nonce, G, get_byte_array(DH_PRIME), g_a, int(time.time())
        )
        plain = sha1(bytes(offer)).digest() + bytes(offer)
        return types.ServerDHParamsOk(request.nonce, self._server_nonce, AES.encrypt_ige(plain, *self._temporary_key()))

    def _agree(self, request: Any) -> Any:
        """End it. One key in 256 begins with a zero byte: Telethon cuts that off, finds the proof wrong and begins anew."""
        inner = _hashed(AES.decrypt_ige(request.encrypted_data, *self._temporary_key()))
        g_ab = pow(int.from_bytes(inner.g_b, "big"), self._secret, DH_PRIME)
        self.key = AuthKey(g_ab.to_bytes(256, "big"))
        proof = self.key.calc_new_nonce_hash(self._new_nonce, 1)
        return types.DhGenOk(request.nonce, self._server_nonce, proof)

    def _temporary_key(self) -> tuple[bytes, bytes]:
        key, iv = helpers.generate_key_data_from_nonce(self._server_nonce, self._new_nonce)
        return key, iv


def _hashed(plain: bytes) -> Any:
    """The object behind its SHA-1, before random padding."""
    reader = BinaryReader(plain[20:])
    found = reader.tgread_object()
    if sha1(plain[20 : 20 + reader.tell_position()]).digest() != plain[:20]:
        raise BadHandshake(f"the hash before {type(found).__name__} is wrong")
    return found
