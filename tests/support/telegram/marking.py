"""The marks that Telegram itself puts on a text: names and commands."""

import re
from typing import Any

from telethon import types

_PARSED = {
    types.MessageEntityMention: re.compile(r"(?<!\w)@\w+"),
    types.MessageEntityBotCommand: re.compile(r"(?<!\S)/\w+(@\w+)?"),
}


def marks(text: str) -> list[Any]:
    """Mark names and commands in a text. Telegram counts in UTF-16 units."""

    def units(part: str) -> int:
        return len(part.encode("utf-16-le")) // 2

    return [
        kind(units(text[: found.start()]), units(found[0]))
        for kind, pattern in _PARSED.items()
        for found in pattern.finditer(text)
    ]
