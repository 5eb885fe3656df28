"""What the process that holds accounts tells its sending half: the clients that are logged in."""

from typing import Protocol

from telethon import TelegramClient


class Clients(Protocol):
    """The clients of this process."""

    def __call__(self, account: str) -> TelegramClient | None:
        """The client of an account; None: this process does not hold it now."""
        ...
