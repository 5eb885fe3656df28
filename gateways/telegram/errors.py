"""What can go wrong at the Telegram door, as a caller tells it apart.

TelegramError
├── NoSuchAccount  there is no account of this name: the caller has a wrong one
├── LoginFailed    Telegram did not let us in, or the account cannot be kept so: nothing was changed
├── AccountLost    this process holds the account no longer: it lets go of the connection and writes nothing
├── Unreachable    Telegram cannot be reached from here: the account is let go, and others may take it first
└── KeyRefused     Telegram takes the account's key no more: somebody has to log in anew
"""

from typing import Literal


class TelegramError(Exception):
    """Every error of this door; its text is one line that says what happened, to what, and what to do."""


class NoSuchAccount(TelegramError):
    """No account has this name."""


class LoginFailed(TelegramError):
    """A login that came to nothing."""


class AccountLost(TelegramError):
    """The lease of an account ran out, was taken over, or the account was logged in anew or out."""


class Unreachable(TelegramError):
    """There was no connection to Telegram for too long."""


class KeyRefused(TelegramError):
    """A key that is of no use any more. state: what becomes of the account."""

    def __init__(self, state: Literal["revoked", "burnt"], said: str) -> None:
        super().__init__(f"Telegram refuses the account's key: {said}")
        self.state: Literal["revoked", "burnt"] = state
        self.said = said
