"""What a transcript says about a turn, and so how to go on with it after a crash.

    absent       no entries at all                    ask, under a new Claude session
    unseen       the turn's prompt is not in it       resume the session and ask
    interrupted  the prompt is, the answer is not     resume the session and let it go on, without a prompt
    api_error    the model's API gave up on it        likewise
    deferred     a tool call waits for a decision     resume the session, without a prompt
    cancelled    a person stopped it                  stop
    finished     the answer is there                  use it; nobody is asked again

The rules were found by killing the CLI at twelve points and looking at what it asks the API when it goes on (Claude Code
2.1.329): a prompt that the transcript holds must never be sent again, because the CLI drops it without a word and the
caller waits for ever.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

State = Literal["absent", "unseen", "interrupted", "api_error", "deferred", "cancelled", "finished"]
Entry = dict[str, Any]

_FINAL_STOPS = ("end_turn", "stop_sequence")
CANCELLED = "[Request interrupted by user"


@dataclass(frozen=True, slots=True)
class TurnState:
    """Where a turn stands.

    answer: its text, for `finished` only; structured: the value that was asked for in its place. call: what waits, by its id,
    for `deferred` only.
    """

    state: State
    answer: str | None = None
    structured: dict[str, Any] | None = None
    call: str | None = None

    @property
    def to_ask(self) -> bool:
        """Whether its prompt is still to be asked."""
        return self.state in {"absent", "unseen"}

    @property
    def to_go_on(self) -> bool:
        """Whether the agent was cut off in it and goes on without a prompt."""
        return self.state in {"interrupted", "api_error"}


def classify(entries: list[Entry], turn_id: str) -> TurnState:
    """Say where the turn whose prompt has the uuid `turn_id` stands; `entries` is the main transcript in store order."""
    if not entries:
        return TurnState("absent")
    first = next((index for index, entry in enumerate(entries) if brings(entry, turn_id)), None)
    if first is None:
        return TurnState("unseen")
    turn = _turn_from(entries, first)
    if call := _waits_for_decision(turn):
        return TurnState("deferred", call=call)
    for entry in turn:
        if _attachment(entry).get("type") == "structured_output":
            data = entry["attachment"].get("data")
            return TurnState("finished", json.dumps(data, ensure_ascii=False), data)
    said = [entry for entry in turn[1:] if entry.get("type") in {"user", "assistant"}]
    return _by_last(said) if said else TurnState("interrupted")


def without_deferrals(entries: list[Entry], *, but: str | None = None) -> list[Entry]:
    """The entries that a CLI may be resumed from: no call is marked as deferred but the one that this run is about.

    A CLI runs a call that is marked when it starts, once more where that has its result, and forgets what came after it. One
    that an earlier turn left undecided is nobody's any more.
    """
    return [entry for entry in entries if _deferred_call(entry) in {None, but}]


def without_last_notes(entries: list[Entry]) -> list[Entry]:
    """The entries that a CLI is to go on from, without what one before told the model for that, where this is the last of them.

    A CLI takes a turn for one that was cut off by the prompt, result or attachment that stands last. Behind a note of its own
    ("Continue from where you left off.") it waits for a prompt, and says nothing.
    """
    kept = list(entries)
    chained = (index for index in reversed(range(len(entries))) if "uuid" in entries[index])
    for index in chained:
        if not (entries[index].get("isMeta") and entries[index].get("promptSource") == "system"):
            break
        del kept[index]
    return kept


def result_of_call(entries: list[Entry], call_id: str) -> Entry | None:
    """The `tool_result` block of a call, None where it has none."""
    results = (block for entry in entries for block in blocks_of(entry) if block.get("type") == "tool_result")
    return next((block for block in results if block.get("tool_use_id") == call_id), None)


def answered_calls(entries: list[Entry]) -> frozenset[str]:
    """The ids of the calls that have a result. One that was cut off has none, though the model is told something."""
    results = (block for entry in entries for block in blocks_of(entry) if block.get("type") == "tool_result")
    return frozenset(block["tool_use_id"] for block in results if "tool_use_id" in block)


def brings(entry: Entry, turn_id: str) -> bool:
    """A prompt stands in an entry of its own, merged with others into one, or taken into a turn that was running."""
    return (
        entry.get("uuid") == turn_id
        or turn_id in (entry.get("mergedSendUuids") or [])
        or _attachment(entry).get("source_uuid") == turn_id
    )


def _turn_from(entries: list[Entry], first: int) -> list[Entry]:
    """The entries from a prompt to the next one, subagents' left out."""
    turn = [entries[first]]
    for entry in entries[first + 1 :]:
        if entry.get("type") == "user" and entry.get("promptSource") and not entry.get("isMeta"):
            break
        if not entry.get("isSidechain"):
            turn.append(entry)
    return turn


def _waits_for_decision(turn: list[Entry]) -> str | None:
    """The call that was deferred last and has no result: of several in a message a CLI keeps the last."""
    answered = answered_calls(turn)
    deferred = (call for call in map(_deferred_call, reversed(turn)) if call)
    return next((call for call in deferred if call not in answered), None)


def _deferred_call(entry: Entry) -> str | None:
    """The id of the call that this entry marks as deferred, None where it is another entry."""
    attachment = _attachment(entry)
    return attachment.get("toolUseID") if attachment.get("type") == "hook_deferred_tool" else None


def _by_last(said: list[Entry]) -> TurnState:
    """Tell by the last thing that was said, of which there is one at least."""
    last = said[-1]
    if last["type"] == "user":
        cancelled = any(text.startswith(CANCELLED) for text in _texts([last]))
        return TurnState("cancelled" if cancelled else "interrupted")
    if last.get("isApiErrorMessage"):
        return TurnState("api_error")
    message = last.get("message") or {}
    if message.get("stop_reason") not in _FINAL_STOPS or message.get("model") == "<synthetic>":
        return TurnState("interrupted")
    return TurnState("finished", "".join(_texts(_answer(said))))


def _answer(said: list[Entry]) -> list[Entry]:
    """The entries of the last message, and of those it goes on from.

    A message that is cut at the token limit has the CLI ask the model to go on, in a message with an id of its own.
    """
    answer: list[Entry] = []
    last_id = said[-1]["message"].get("id")
    for entry in reversed(said):
        message = entry.get("message") or {}
        if entry.get("isMeta") or message.get("model") == "<synthetic>":
            continue
        if entry["type"] == "user" or (message.get("id") != last_id and message.get("stop_reason") != "max_tokens"):
            break
        answer.insert(0, entry)
    return answer


def _attachment(entry: Entry) -> Entry:
    return entry.get("attachment") or {}


def blocks_of(entry: Entry) -> list[Entry]:
    """What a message consists of; a bare text is one block."""
    content = (entry.get("message") or {}).get("content")
    if isinstance(content, str):
        return [{"type": "text", "text": content}]
    return [block for block in content or [] if isinstance(block, dict)]


def calls_in(entry: Entry) -> list[Entry]:
    """The calls of tools in it, as their `tool_use` blocks."""
    return [block for block in blocks_of(entry) if block.get("type") == "tool_use"]


def _texts(entries: Iterable[Entry]) -> list[str]:
    return [block["text"] for entry in entries for block in blocks_of(entry) if block.get("type") == "text"]
