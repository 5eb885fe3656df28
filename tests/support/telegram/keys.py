"""Auth keys: what a client shows instead of a password, once it has shaken hands; and which account logged in under it."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from telethon.crypto import AuthKey

if TYPE_CHECKING:
    from tests.support.telegram.connection import Connection
    from tests.support.telegram.people import Account


@dataclass(eq=False)
class Key:
    """One auth key. `refusal` is why it is refused from now on: an error's code and name."""

    auth: AuthKey
    salt: int = field(default_factory=lambda: int.from_bytes(os.urandom(8), "little", signed=True))
    account: Account | None = None
    refusal: tuple[int, str] | None = None
    connections: set[Connection] = field(default_factory=set)
    awaits_password: Account | None = None
    """Who gave the right code, and owes the password."""
    login_token: bytes | None = None
    """What the code shows that a client, not logged in, has drawn for somebody to scan."""
    scanned_by: Account | None = None
    srp_secret: int = 0
    """Of the question for a password that is open."""


class Keys:
    """Every key the server knows, by its id."""

    def __init__(self) -> None:
        self._by_id: dict[int, Key] = {}

    def add(self, auth: AuthKey, account: Account | None = None) -> Key:
        """Know a key from now on."""
        key = self._by_id[auth.key_id] = Key(auth, account=account)
        return key

    def mint(self, account: Account) -> Key:
        """Make a key that is logged in already, without the handshake's arithmetic."""
        return self.add(AuthKey(os.urandom(256)), account)

    def find(self, key_id: int) -> Key | None:
        """Give the key with that id."""
        return self._by_id.get(key_id)

    def of(self, account: Account) -> list[Key]:
        """Give the keys under which an account is logged in."""
        return [key for key in self._by_id.values() if key.account is account]

    def drawn(self, login_token: bytes) -> Key:
        """Give the key whose client has drawn that token."""
        return next(key for key in self._by_id.values() if key.login_token == login_token)

    def forget(self, key: Key) -> None:
        """Know a key no longer: its client is told that it is unknown."""
        del self._by_id[key.auth.key_id]
