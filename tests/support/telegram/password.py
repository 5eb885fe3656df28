"""The question for a password (SRP, core.telegram.org/api/srp): the client shows that it knows it, and does not send it."""

from __future__ import annotations

import os
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from telethon import types
from telethon.password import compute_digest

from tests.support.telegram.numbers import DH_PRIME, G

if TYPE_CHECKING:
    from tests.support.telegram.keys import Key

SALT_1, SALT_2 = b"one salt", b"another salt"
P_BYTES, G_BYTES = DH_PRIME.to_bytes(256, "big"), G.to_bytes(256, "big")
ALGORITHM = types.PasswordKdfAlgoSHA256SHA256PBKDF2HMACSHA512iter100000SHA256ModPow(SALT_1, SALT_2, G, P_BYTES)


def question(key: Key, password: str) -> Any:
    """Ask the holder of a key for a password. Give the `account.Password`."""
    key.srp_secret = int.from_bytes(os.urandom(32), "big") | 1 << 255
    return types.account.Password(
        ALGORITHM,
        types.SecurePasswordKdfAlgoUnknown(),
        secure_random=b"",
        has_password=True,
        current_algo=ALGORITHM,
        srp_B=_b(key, _verifier(password)),
        srp_id=1,
    )


def is_right(key: Key, password: str, answer: Any) -> bool:
    """Whether the answer to the open question shows that its giver knows the password."""
    verifier = _verifier(password)
    b = _b(key, verifier)
    u = _number(answer.A + b)
    shared = pow(int.from_bytes(answer.A, "big") * pow(verifier, u, DH_PRIME), key.srp_secret, DH_PRIME)
    mixed = bytes(x ^ y for x, y in zip(_hash(P_BYTES), _hash(G_BYTES), strict=True))
    proof = mixed + _hash(SALT_1) + _hash(SALT_2) + answer.A + b + _hash(shared.to_bytes(256, "big"))
    return bool(_hash(proof) == answer.M1)


def _verifier(password: str) -> int:
    return int.from_bytes(compute_digest(ALGORITHM, password), "big")


def _b(key: Key, verifier: int) -> bytes:
    b = (_number(P_BYTES + G_BYTES) * verifier + pow(G, key.srp_secret, DH_PRIME)) % DH_PRIME
    return b.to_bytes(256, "big")


def _hash(data: bytes) -> bytes:
    return sha256(data).digest()


def _number(data: bytes) -> int:
    return int.from_bytes(_hash(data), "big")
