"""What a notification looks like where it is read as a message: by itself, or as a line of a digest.

A receiver takes 4,096 units of UTF-16 in one message (Telegram); both fit into one, whatever is in them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from assistant.preferences import SEVERITIES, Severity

MAX_UNITS = 4_000
"""Of UTF-16, a message: a little less than a receiver takes."""
MOST_LINES = 30
_LINE_UNITS = 120
_MARKS = {"info": "", "warning": "warning: ", "error": "error: "}


@dataclass(frozen=True, slots=True)
class Noted:
    """What a digest says of a notification."""

    id: int
    title: str
    severity: Severity
    created_at: datetime


def alone(notification_id: int, title: str, body: str, severity: Severity) -> str:
    """One notification as a message."""
    rest = f"…\n\nAll of it: ./jobs notifications show {notification_id}"
    text = f"{_MARKS[severity]}{title}\n\n{body}".strip()
    return text if _units(text) <= MAX_UNITS else cut(text, MAX_UNITS - _units(rest)) + rest


def digest(noted: Sequence[Noted], zone: str) -> str:
    """Several as one message: how many, then a line each, the most severe first, and of more than 30 how many more."""
    shown = sorted(noted, key=lambda one: (-SEVERITIES.index(one.severity), one.id))[:MOST_LINES]
    lines = [f"{len(noted)} notifications:", *(_line(one, zone) for one in shown)]
    if more := len(noted) - len(shown):
        lines.append(f"and {more} more: ./jobs notifications ls")
    return "\n".join(lines)


def cut(text: str, most: int) -> str:
    """The first characters of a text, so many units of UTF-16 at most."""
    return text.encode("utf-16-le")[: 2 * most].decode("utf-16-le", errors="ignore")


def _line(one: Noted, zone: str) -> str:
    title = " ".join(one.title.split())
    head = f"• {one.created_at.astimezone(ZoneInfo(zone)):%d %b %H:%M} {_MARKS[one.severity]}"
    return head + (title if _units(title) <= _LINE_UNITS - len(head) else cut(title, _LINE_UNITS - len(head) - 1) + "…")


def _units(text: str) -> int:
    return len(text.encode("utf-16-le")) // 2
