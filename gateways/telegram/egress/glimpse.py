"""What a turn shows while it runs, as the text of one message: what was said so far, and calls of tools as they happen."""

from collections.abc import Iterator, Mapping
from typing import Any

from gateways.telegram.egress.splitting import MAX_UNITS
from gateways.telegram.egress.styled import units
from sessions.events import cut
from sessions.shown import Shown

_CALL_CHARS = 120
_STATES = {
    "retrying": "the model is asked once more …",
    "waiting_for_approval": "waiting for approval …",
}
_MORE = "…"


def glimpse(shown: Shown, *, among_others: bool) -> str:
    """The text, its beginning left out where it gets too long; "" where nothing was said or called yet.

    among_others: where a group reads it. Of a call it is shown what is called, and not with what.
    """
    said = "\n\n".join(_lines(shown, among_others=among_others))
    if not said.strip():
        return ""
    state = shown.status["state"] if shown.status else None
    return _end(f"{said.rstrip()}\n\n{_STATES.get(state or '', _MORE)}")


def _end(text: str) -> str:
    """As much of a text's end as goes into a message."""
    if units(text) <= MAX_UNITS:
        return text
    room = MAX_UNITS - len(_MORE)
    start = max(len(text) - room, 0)
    while (over := units(text[start:]) - room) > 0:
        start += (over + 1) // 2  # a character takes two units at most
    return _MORE + text[start:]


def _lines(shown: Shown, *, among_others: bool) -> Iterator[str]:
    """Paragraphs of the agent itself; what its subagents say and do is theirs."""
    calls = list[str]()
    for item in shown.items:
        if item["parent"] is not None:
            continue
        if item["kind"] == "tool_call":
            calls.append(_call(item, among_others=among_others))
        elif item["kind"] == "text" and item["text"].strip():
            if calls:
                yield "\n".join(calls)
                calls = []
            yield item["text"].strip()
    if calls:
        yield "\n".join(calls)


def _call(item: Mapping[str, Any], *, among_others: bool) -> str:
    given = "" if among_others else f" {cut(item['input'], _CALL_CHARS)}"
    failed = item.get("result", {}).get("is_error")
    return f"• {item['name']}{given}{' ✗' if failed else ''}"
