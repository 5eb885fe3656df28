"""What an agent or a stranger wrote, as a person is shown it: nothing in it hides, turns or pushes away the rest of it."""

import hashlib
import json
import re
import unicodedata
from collections.abc import Mapping, Sequence
from itertools import chain
from typing import Any

MAX_SHOWN_ARGUMENTS = 12
_MOST_NAME_UNITS = 60
_INDENT = "\n    "
_BLANK = re.compile(r" {41,}|\n(?: *\n){5,}")
"""More of it than text or code has in one place: it pushes what stands behind it out of sight."""
_UNSEEN = frozenset(
    map(
        chr,
        (
            *(0x034F, 0x115F, 0x1160, 0x17B4, 0x17B5, 0x180B, 0x180C, 0x180D, 0x180F, 0x2800, 0x3164, 0xFFA0),
            *range(0xFE00, 0xFE0F),
            *range(0xE0100, 0xE01F0),
        ),
    )
)
"""Letters, marks and a symbol of which nothing is seen: two names that differ in one look the same."""
_AFTER_A_SYMBOL = "\ufe0f"
"""Makes an emoji of the symbol before it, where it is left as it is; behind anything else nothing is seen of it."""


def escaped(text: str) -> str:
    """The text, letters of all scripts as they are; what is not seen, or turns others, escaped."""
    if text.isprintable() and _UNSEEN.isdisjoint(text) and _AFTER_A_SYMBOL not in text:
        return text
    before = chain(" ", text)
    return "".join(char if _is_seen(char, last) else _escape(char) for last, char in zip(before, text, strict=False))


def one_line(arguments: str, most: int) -> str:
    """Canonical arguments as a line of JSON, escaped; of more characters than `most` it says how many."""
    text = json.dumps(json.loads(arguments), ensure_ascii=False, sort_keys=True)
    shown = escaped(text[:most])
    return shown if len(text) <= most else f"{shown} … and {len(text) - most:,} characters more: --json shows all"


def outline(arguments: str, most: int) -> tuple[str, bool]:
    """Canonical arguments for a small screen, about `most` UTF-16 units; and whether that is all of them, to the letter.

    One after another, each value indented below its name, text by its lines. None is cut to make room for a longer one, and of
    one that is cut both ends are shown.
    """
    given = json.loads(arguments)
    names = sorted(given)[:MAX_SHOWN_ARGUMENTS]
    full = [(escaped(name), _indented(given[name])) for name in names]
    titles = [cut(title, _MOST_NAME_UNITS) for title, _ in full]
    tight = [_BLANK.sub(_count, value) for _, value in full]
    rooms = _rooms([units(value) for value in tight], most - sum(map(units, titles)))
    shown = list(zip(titles, map(cut, tight, rooms), strict=True))
    lines = [f"{title}:{value}" for title, value in shown]
    if left := len(given) - len(names):
        lines.append(f"… and {left:,} arguments more")
    return "\n".join(lines) or "(no arguments)", shown == full and not left


def cut(text: str, most: int) -> str:
    """The text; of one with more UTF-16 units its two ends, how much is missing between them, and the SHA-256 of all of it."""
    if units(text) <= most:
        return text
    room = max(most - 70, 30) // (2 if any(char > "\uffff" for char in text) else 1)
    head, tail = text[: room * 2 // 3], text[-(room // 3) :]
    digest = hashlib.sha256(text.encode()).hexdigest()[:16]
    return f"{head} … ({len(text) - len(head) - len(tail):,} characters left out, SHA-256 {digest}) … {tail}"


def units(text: str) -> int:
    """How long a text is as Telegram counts, in UTF-16."""
    return len(text) + sum(char > "\uffff" for char in text)


def what_was_read(read: Mapping[str, Any]) -> str:
    """What a session had read, on one line, not escaped."""
    tools = ", ".join(f"{name} ×{times}" for name, times in read["tools"].items())
    places = ", ".join([*read["files"], *read["addresses"]])
    more = ", and more" if read["more"] else ""
    said = f"{read['messages']} messages; tools: {tools or 'none'}; {places or 'no files or addresses'}{more}"
    return said.replace("\n", " ")


def _is_seen(char: str, last: str) -> bool:
    if char == _AFTER_A_SYMBOL:
        return unicodedata.category(last) == "So"
    return char.isprintable() and char not in _UNSEEN


def _escape(char: str) -> str:
    if char in "\n\t\r":
        return repr(char)[1:-1]
    return f"\\u{ord(char):04x}" if char <= "\uffff" else f"\\U{ord(char):08x}"


def _indented(value: Any) -> str:
    """A value below its name: text by its lines, as they are; anything else as JSON."""
    text = (
        value if isinstance(value, str) and value else json.dumps(value, ensure_ascii=False, indent=2, sort_keys=True)
    )
    return _INDENT + _INDENT.join(map(escaped, text.split("\n")))


def _count(blank: re.Match[str]) -> str:
    return f" … ({len(blank[0]):,} blanks left out) … "


def _rooms(sizes: Sequence[int], most: int) -> list[int]:
    """How much of `most` each of these gets: what it needs, or, together with all that need more, a like share of the rest."""
    rooms, left = [0] * len(sizes), most
    by_size = sorted(range(len(sizes)), key=sizes.__getitem__)
    for done, index in enumerate(by_size):
        rooms[index] = min(sizes[index], left // (len(sizes) - done))
        left -= rooms[index]
    return rooms
