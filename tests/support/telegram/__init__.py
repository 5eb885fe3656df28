"""A Telegram for tests: stock Telethon talks to it over TCP, with the real handshake and encryption (docs/testing-telegram.md).

test ──▶ control.Telegram: say, press, faults, sent          what people do, and what they see
             │
         world: people, groups, posts, mailboxes             what Telegram knows
             │
         answers/: a request in, an answer out ◀── server ◀── connection ◀── cipher, handshake, framing ◀── TCP ◀── client
"""

from tests.support.telegram.control import Telegram

__all__ = ["Telegram"]
