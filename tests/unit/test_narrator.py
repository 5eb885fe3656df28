"""What a watcher is told of a run, by the messages of its CLI; their order is the one measured with Claude Code 2.1.329."""

from typing import Any

import pytest
from claude_agent_sdk import (
    AssistantMessage,
    Message,
    ResultMessage,
    StreamEvent,
    SystemMessage,
    TextBlock,
    ToolResultBlock,
    ToolUseBlock,
    UserMessage,
)
from claude_agent_sdk.types import DeferredToolUse

from sessions.events import MAX_INPUT_CHARS, MAX_RESULT_CHARS, TurnEvent
from sessions.narrator import Narrator
from sessions.shown import MAX_SIZE, Shown


def streamed(*events: dict[str, Any], parent: str | None = None) -> list[Message]:
    return [StreamEvent(uuid="u", session_id="s", event=event, parent_tool_use_id=parent) for event in events]


def start(message_id: str) -> dict[str, Any]:
    return {"type": "message_start", "message": {"id": message_id}}


def text(words: str) -> dict[str, Any]:
    return {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": words}}


BLOCK = {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}
DELTA = {"type": "message_delta", "delta": {"stop_reason": "end_turn"}}
STOP = {"type": "message_stop"}


def block(message_id: str, *blocks: Any, parent: str | None = None, **more: Any) -> Message:
    given = {"model": "m", "message_id": message_id, "parent_tool_use_id": parent, **more}
    return AssistantMessage(content=list(blocks), **given)


def result(**more: Any) -> ResultMessage:
    given = {"subtype": "success", "duration_ms": 1, "duration_api_ms": 1, "is_error": False, "num_turns": 1, **more}
    return ResultMessage(session_id="s", **given)


def told(*messages: Message) -> list[TurnEvent]:
    events = list[TurnEvent]()
    narrator = Narrator(events.append)
    narrator.begin()
    for message in messages:
        narrator.hear(message)
    return events


def shown(*messages: Message) -> Shown:
    seen = Shown()
    for event in told(*messages):
        seen.apply(event.kind, event.about)
    return seen


def states(*messages: Message) -> list[str]:
    return [event.about["state"] for event in told(*messages) if event.kind == "status"]


def test_text_is_told_piece_by_piece_and_not_again_with_its_block() -> None:
    said = [*streamed(start("1"), BLOCK, text("Half "), text("done.")), block("1", TextBlock("Half done."))]
    events = told(*said, *streamed(DELTA, STOP))
    assert [event.about["text"] for event in events if event.kind == "text"] == ["Half ", "done."]
    assert [event.kind for event in events if event.kind == "void"] == []


@pytest.mark.parametrize(
    "what_follows",
    [
        streamed(STOP, start("2"), BLOCK, text("Whole."), DELTA, STOP),
        streamed(start("2"), BLOCK, text("Whole."), DELTA, STOP),
        [block("2", TextBlock("Whole."))],
    ],
    ids=["the attempt was ended", "another attempt", "asked again without streaming"],
)
def test_an_attempt_that_failed_in_the_middle_is_void(what_follows: list[Message]) -> None:
    before = [*streamed(start("0"), BLOCK, text("First. ")), block("0", TextBlock("First. ")), *streamed(DELTA, STOP)]
    seen = shown(*before, *streamed(start("1"), BLOCK, text("Hal")), *what_follows)
    assert [item["text"] for item in seen.items] == ["First. ", "Whole."]


def test_a_cli_that_broke_leaves_nothing_of_what_it_had_not_finished() -> None:
    events = list[TurnEvent]()
    narrator = Narrator(events.append)
    for _ in range(2):
        narrator.begin()
        for message in streamed(start("1"), BLOCK, text("Hal")):
            narrator.hear(message)
    assert [event.kind for event in events if event.kind in {"text", "void"}] == ["text", "void", "text"]


def test_a_call_is_told_with_its_result_and_whose_it_is() -> None:
    said: list[Message] = [
        block("1", ToolUseBlock("a", "Agent", {"prompt": "look"})),
        block("2", ToolUseBlock("b", "Bash", {"command": "ls"}), parent="a"),
        UserMessage([ToolResultBlock("b", [{"type": "text", "text": "x"}, {"type": "image"}])], parent_tool_use_id="a"),
        UserMessage([ToolResultBlock("a", "found", is_error=True)]),
    ]
    agent, bash = shown(*said).items
    assert (agent["name"], agent["parent"], agent["result"]) == ("Agent", None, {"text": "found", "is_error": True})
    assert (bash["input"], bash["parent"]) == ('{"command": "ls"}', "a")
    assert bash["result"] == {"text": "x\n[image]", "is_error": False}


def test_the_result_of_a_call_that_an_earlier_run_made_stands_by_itself() -> None:
    """An approved call runs when the next run begins."""
    (item,) = shown(UserMessage([ToolResultBlock("a", "approved and done")])).items
    assert (item["kind"], item["id"], item["text"]) == ("tool_result", "a", "approved and done")


def test_a_void_message_of_a_subagent_leaves_the_agents_own() -> None:
    said = [*streamed(start("1"), BLOCK, text("Mine.")), *streamed(start("1"), BLOCK, text("Its"), STOP, parent="a")]
    assert [item["text"] for item in shown(*said).items] == ["Mine."]


def test_long_inputs_and_results_are_cut_with_a_mark() -> None:
    long = "x" * 100_000
    (call,) = shown(
        block("1", ToolUseBlock("a", "Write", {"content": long})), UserMessage([ToolResultBlock("a", long)])
    ).items
    assert len(call["input"]) < MAX_INPUT_CHARS + 50
    assert call["input"].endswith("… (96,015 more characters)")
    assert len(call["result"]["text"]) < MAX_RESULT_CHARS + 50


def test_how_it_goes_is_told_when_it_changes() -> None:
    retry = SystemMessage("api_retry", {"attempt": 1, "max_retries": 2, "error_status": 529})
    tool = {"type": "content_block_start", "content_block": {"type": "tool_use", "name": "Bash"}}
    said: list[Message] = [
        retry,
        *streamed(start("1"), BLOCK, text("a"), tool),
        block("1", ToolUseBlock("a", "Bash", {})),
        *streamed(DELTA, STOP),
        result(deferred_tool_use=DeferredToolUse(id="a", name="Bash", input={})),
    ]
    assert states(*said) == ["starting", "retrying", "thinking", "writing", "calling", "waiting_for_approval"]


def test_the_clis_own_words_for_what_went_wrong_are_not_the_models() -> None:
    assert shown(block("1", TextBlock("API Error: 529"), error="server_error"), result()).items == []


def test_what_a_listener_raises_ends_the_telling_and_nothing_else() -> None:
    def break_down(_: TurnEvent) -> None:
        calls.append(1)
        raise ZeroDivisionError

    calls = list[int]()
    narrator = Narrator(break_down)
    narrator.begin()
    narrator.hear(result())
    assert calls == [1]


def test_of_what_is_shown_the_oldest_goes_and_is_counted() -> None:
    seen = Shown()
    seen.apply("tool_call", {"id": "a", "name": "Bash", "input": "{}", "parent": None})
    for n in range(40):
        seen.apply("text", {"text": f"{n:02}" * 5_000, "message": "m", "parent": None})
    assert [item["kind"] for item in seen.items] == ["text"]
    assert len(seen.items[0]["text"]) == MAX_SIZE - 100
    assert seen.items[0]["text"].endswith("39" * 5_000)
    assert seen.dropped_chars == 6 + 400_000 - (MAX_SIZE - 100)


def test_pieces_of_one_character_do_not_make_it_large() -> None:
    seen = Shown()
    for n in range(10_000):
        seen.apply("text", {"text": "x", "message": "m", "parent": str(n)})
    assert len(seen.items) < 1_300


def test_a_reset_stands_for_all_that_came_before() -> None:
    seen, again = Shown(), Shown()
    events = [
        ("status", {"state": "calling", "tool": "Bash"}),
        ("text", {"text": "Let me see.", "message": "m", "parent": None}),
        ("tool_call", {"id": "a", "name": "Bash", "input": "{}", "parent": None}),
    ]
    later = [
        ("tool_result", {"id": "a", "text": "done", "is_error": False}),
        ("text", {"text": "Seen.", "message": "n", "parent": None}),
        ("cost", {"cost_usd": 0.5}),
    ]
    for kind, about in events:
        seen.apply(kind, about)
    again.apply("text", {"text": "of an earlier attempt", "message": "l", "parent": None})
    again.apply("reset", seen.as_reset())
    for kind, about in later:
        seen.apply(kind, about)
        again.apply(kind, about)
    assert again.as_reset() == seen.as_reset()
    assert again.text() == "Seen."
