"""A transcript as people read it: who asked what, which tools were called, what came back."""

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal
from uuid import UUID

from sessions.resume import CANCELLED, Entry, blocks_of

_TEXT_IN_PLACE_OF = {"image": "[image]", "document": "[document]"}


@dataclass(frozen=True, slots=True)
class Line:
    """One thing that was said or done; `text` is whole. name: of a tool."""

    kind: Literal["prompt", "answer", "thinking", "tool", "result", "error"]
    text: str
    name: str = ""


@dataclass(frozen=True, slots=True)
class Exchange:
    """A prompt and the answer that it got, "" where it got none. turn_id: the prompt's uuid."""

    turn_id: UUID
    asked: str
    answered: str
    asked_at: datetime
    answered_at: datetime


def is_prompt(entry: Entry) -> bool:
    """Whether somebody asks something here: no tool's result, no word of the CLI's own, no subagent's order."""
    if entry.get("type") != "user" or any(entry.get(mark) for mark in ("isMeta", "isSidechain", "isCompactSummary")):
        return False
    if entry.get("promptSource"):
        return True
    blocks = blocks_of(entry)
    if any(block.get("type") == "tool_result" for block in blocks):
        return False
    return bool(blocks) and not _text_of(blocks).startswith(CANCELLED)


def read_lines(entries: Iterable[Entry]) -> Iterator[Line]:
    """What was said and done, in order."""
    for entry in entries:
        if entry.get("type") == "user" and not entry.get("isMeta"):
            yield from _told(entry)
        elif entry.get("type") == "assistant":
            for block in blocks_of(entry):
                if line := _said(block):
                    yield line


def read_exchanges(entries: Sequence[Entry]) -> list[Exchange]:
    """The prompts that lead to where the conversation stands, with their answers; what was taken back is left out."""
    kept = _on_the_way(entries)
    found: list[Exchange] = []
    for entry in entries:
        if not _counts(entry, kept):
            continue
        kept.discard(entry["uuid"])  # a second entry of that id is a copy
        blocks, at = blocks_of(entry), _time_of(entry)
        if is_prompt(entry) and (turn_id := _uuid_of(entry)):
            found.append(Exchange(turn_id, _text_of(blocks), "", at, at))
        elif entry["type"] == "assistant" and found:
            found[-1] = _answered(found[-1], entry, at)
    return found


def _answered(exchange: Exchange, entry: Entry, at: datetime) -> Exchange:
    """The text of the last message counts: what stands before a tool call is no answer."""
    blocks = blocks_of(entry)
    if any(block.get("type") == "tool_use" for block in blocks):
        text = ""
    elif said := _text_of(blocks):
        text = f"{exchange.answered}\n\n{said}" if exchange.answered else said
    else:
        return exchange
    return Exchange(exchange.turn_id, exchange.asked, text, exchange.asked_at, at)


def _counts(entry: Entry, kept: set[str]) -> bool:
    synthetic = (entry.get("message") or {}).get("model") == "<synthetic>"
    return entry.get("type") in {"user", "assistant"} and entry.get("uuid") in kept and not synthetic


def _on_the_way(entries: Sequence[Entry]) -> set[str]:
    """The uuids from the newest entry back to the first: a person may have gone back and asked something else instead."""
    parents = {entry["uuid"]: entry for entry in entries if entry.get("uuid") and not entry.get("isSidechain")}
    last = next((uuid for uuid in reversed(parents) if parents[uuid].get("type") in {"user", "assistant"}), None)
    way = set[str]()
    while last is not None and last in parents and last not in way:
        way.add(last)
        last = parents[last].get("parentUuid") or parents[last].get("logicalParentUuid")
    return way


def _told(entry: Entry) -> Iterator[Line]:
    results = [block for block in blocks_of(entry) if block.get("type") == "tool_result"]
    for block in results:
        content = block.get("content") or ""
        text = content if isinstance(content, str) else _text_of(content)
        yield Line("error" if block.get("is_error") else "result", text)
    if not results and (text := _text_of(blocks_of(entry))):
        yield Line("prompt", text)


def _said(block: dict[str, Any]) -> Line | None:
    match block:
        case {"type": "text", "text": str(text)}:
            return Line("answer", text)
        case {"type": "thinking", "thinking": str(text)} if text:
            return Line("thinking", text)
        case {"type": "tool_use", "name": str(name)}:
            return Line("tool", json.dumps(block.get("input") or {}, ensure_ascii=False), name)
    return None


def _text_of(blocks: Sequence[Any]) -> str:
    texts = [
        block.get("text") if block.get("type") == "text" else _TEXT_IN_PLACE_OF.get(str(block.get("type")))
        for block in blocks
        if isinstance(block, dict)
    ]
    return "\n\n".join(text for text in texts if isinstance(text, str) and text.strip())


def _uuid_of(entry: Entry) -> UUID | None:
    try:
        return UUID(entry.get("uuid"))
    except (ValueError, TypeError, AttributeError):
        return None


def _time_of(entry: Entry) -> datetime:
    try:
        at = datetime.fromisoformat(str(entry.get("timestamp")))
        return at.astimezone(UTC) if at.tzinfo else at.replace(tzinfo=UTC)  # Postgres takes no offset past 15:59
    except (ValueError, OverflowError):
        return datetime.now(UTC)
