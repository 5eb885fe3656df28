"""Finding a person by what somebody remembers of their name: typos forgiven, the likeliest first.

It needs no extension of Postgres, which finds ids, addresses, and names that contain the text, among all. Typos are forgiven
among the people seen last only: these are compared here, one by one.
"""

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher

from assistant.people import User
from jobs_core import Connection, InvalidInput, fetch, gate, statement

RECENT = 2_000
"""Compared in 50 ms; who was not seen for longer is found by a part of the name."""
LIKE_ENOUGH = 0.7
"""Of two words: one letter in four is wrong, or two changed places (Jhon, John: 0.75)."""
_EXACT, _WORD, _BEGINNING, _PART = 1.0, 0.95, 0.9, 0.8


@dataclass(frozen=True, slots=True)
class Found:
    """A person, and how like what was looked for: 1 is exactly theirs, below LIKE_ENOUGH nobody is found."""

    user: User
    likeness: float


async def find(conn: Connection, text: str, *, limit: int = 10) -> list[Found]:
    """People whose name, username, id or address is like the text, the likeliest first, and of those the last seen.

    Every word of the text must be like one of theirs; upper case and accents make no difference. Raises InvalidInput.
    """
    asked = gate.check_text(text, field="text", max_chars=gate.MAX_NAME_CHARS).strip().removeprefix("@")
    if not asked:
        raise InvalidInput("text: is empty; give a part of a name", field="text")
    values = {"text": asked, "lower": asked.lower(), "recent": RECENT}
    rows = await fetch(conn, statement("assistant", "user/candidates"), values)
    found = []
    for row in rows:
        addresses = row.pop("addresses")
        user = User(**row)
        found.append(Found(user, likeness(asked, user, addresses)))
    like = [one for one in found if one.likeness >= LIKE_ENOUGH]
    return sorted(like, key=lambda one: (one.likeness, one.user.seen_at), reverse=True)[:limit]


def likeness(asked: str, user: User, addresses: Sequence[str] = ()) -> float:
    """How like a person is what was asked for, 0 to 1."""
    wanted, names = _plain(asked), [_plain(user.name), _plain(user.username or "")]
    if asked in {user.id, *addresses} or wanted in names:
        return _EXACT
    theirs = [word for name in names for word in name.split()]
    each = [max((_of_words(word, own) for own in theirs), default=0.0) for word in wanted.split()]
    return sum(each) / len(each) if min(each, default=0.0) >= LIKE_ENOUGH else 0.0


def _of_words(asked: str, own: str) -> float:
    if asked == own:
        return _WORD
    if own.startswith(asked):
        return _BEGINNING
    if asked in own:
        return _PART
    matcher = SequenceMatcher(None, asked, own, autojunk=False)
    if matcher.real_quick_ratio() < LIKE_ENOUGH or matcher.quick_ratio() < LIKE_ENOUGH:  # bounds, a tenth of the work
        return 0.0
    return min(matcher.ratio(), _PART)


def _plain(text: str) -> str:
    """The text without upper case and accents."""
    return "".join(char for char in unicodedata.normalize("NFKD", text.casefold()) if not unicodedata.combining(char))
