"""What a session has read so far, off its transcript: who is to approve a call asks what may have talked the agent into it."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from jobs_core import gate
from sessions.resume import calls_in

_MOST = 50
_MOST_CHARS = 300
_FILES = ("file_path", "notebook_path", "path")
_ADDRESSES = ("url", "query")


@dataclass(frozen=True, slots=True)
class HasRead:
    """Tools that were called and how often, files and addresses among their arguments, how many messages came from people.

    Of each 50, files and addresses the newest, cut at 300 characters; `more`: there were others.
    """

    tools: dict[str, int]
    files: list[str]
    addresses: list[str]
    messages: int
    more: bool


def what_was_read(entries: list[dict[str, Any]]) -> HasRead:
    """What the conversation in these entries, those of the main transcript in store order, has read."""
    calls = [block for entry in entries for block in calls_in(entry)]
    tools = Counter(_short(call.get("name")) for call in calls)
    files, addresses = _newest(_values(calls, _FILES)), _newest(_values(calls, _ADDRESSES))
    messages = sum(1 for entry in entries if entry.get("type") == "user" and entry.get("promptSource"))
    more = any(len(found) > _MOST for found in (tools, files, addresses))
    return HasRead(dict(tools.most_common(_MOST)), files[:_MOST], addresses[:_MOST], messages, more)


def _values(calls: list[dict[str, Any]], names: tuple[str, ...]) -> Iterator[str]:
    for call in reversed(calls):
        given = call.get("input")
        if not isinstance(given, dict):  # a session that was brought in from a file holds whatever that does
            continue
        yield from (_short(given[name]) for name in names if isinstance(given.get(name), str))


def _newest(values: Iterator[str]) -> list[str]:
    """Each once, the newest first."""
    return list(dict.fromkeys(values))


def _short(text: Any) -> str:
    return gate.clean_text(str(text), max_chars=_MOST_CHARS)
