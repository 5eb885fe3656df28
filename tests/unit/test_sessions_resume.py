"""What a transcript says about a turn, on entries that the real CLI wrote (tests/support/record_transcripts.py)."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from sessions.resume import TurnState, classify, result_of_call, without_deferrals, without_last_notes

TURN, SECOND, THIRD = (f"{n}{n}{n}{n}{n}{n}{n}{n}-0000-4000-8000-000000000000" for n in "123")


def recorded(case: str) -> list[dict[str, Any]]:
    lines = (Path(__file__).parent / "transcripts" / f"{case}.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


@pytest.mark.parametrize(
    ("case", "expected"),
    [
        ("finished", TurnState("finished", "One, two.")),
        ("structured", TurnState("finished", '{"colour": "grün"}', {"colour": "grün"})),
        ("before_answer", TurnState("interrupted")),
        ("tool_running", TurnState("interrupted")),
        ("tool_done", TurnState("interrupted")),
        ("api_error", TurnState("api_error")),
        ("cancelled", TurnState("cancelled")),
        ("deferred", TurnState("deferred")),
    ],
)
def test_a_recorded_turn_is_told_for_what_it_is(case: str, expected: TurnState) -> None:
    assert replace(classify(recorded(case), TURN), call=None) == expected


def test_no_entries_are_absent_and_other_turns_are_unseen() -> None:
    assert classify([], TURN) == TurnState("absent")
    assert classify(recorded("finished"), SECOND) == TurnState("unseen")


@pytest.mark.parametrize("turn_id", [SECOND, THIRD])
def test_prompts_that_were_merged_into_one_turn_share_its_answer(turn_id: str) -> None:
    assert classify(recorded("merged"), turn_id) == TurnState("finished", "Both.")


def test_a_turn_ends_where_the_next_prompt_begins() -> None:
    assert classify(recorded("merged"), TURN) == TurnState("finished", "First.")


def test_a_prompt_that_a_running_turn_took_in_shares_its_answer() -> None:
    assert classify(recorded("taken_in"), TURN) == TurnState("finished", "Done.")
    assert classify(recorded("taken_in"), SECOND) == TurnState("finished", "Done.")


def test_a_deferred_call_that_was_answered_waits_for_nobody() -> None:
    entries = recorded("deferred")
    call = next(entry["attachment"]["toolUseID"] for entry in entries if "toolUseID" in entry.get("attachment", {}))
    result = {"type": "tool_result", "tool_use_id": call, "content": "denied", "is_error": True}
    answered = [*entries, {"type": "user", "uuid": "r", "message": {"role": "user", "content": [result]}}]
    assert classify(answered, TURN) == TurnState("interrupted")
    assert without_deferrals(answered) == [entry for entry in answered if "toolUseID" not in str(entry)]
    assert without_deferrals(entries, but=call) == entries
    assert result_of_call(answered, call) == result
    assert result_of_call(entries, call) is None


def test_a_note_of_the_cli_s_own_is_left_out_where_it_stands_last_and_only_there() -> None:
    """Later entries hang on it, such as an attachment, which a CLI goes on from itself."""
    entries = recorded("tool_done")
    note = {"type": "user", "uuid": "n", "isMeta": True, "promptSource": "system", "message": {"content": "Continue …"}}
    unchained = {"type": "last-prompt", "leafUuid": "r"}
    assert without_last_notes([*entries, note, note, unchained]) == [*entries, unchained]
    for last in ({"type": "attachment", "uuid": "a", "parentUuid": "n"}, note | {"promptSource": None}):
        assert without_last_notes([*entries, note, last]) == [*entries, note, last]
    assert without_last_notes([]) == []


def test_of_several_calls_that_were_deferred_the_last_without_a_result_waits() -> None:
    entries = recorded("deferred")
    marks = [{"type": "attachment", "attachment": {"type": "hook_deferred_tool", "toolUseID": id_}} for id_ in "ab"]
    assert classify([*entries, *marks], TURN) == TurnState("deferred", call="b")
    kept = without_deferrals([*entries, *marks], but="b")
    assert [entry["attachment"]["toolUseID"] for entry in kept if "toolUseID" in entry.get("attachment", {})] == ["b"]


def test_what_a_subagent_says_is_no_answer() -> None:
    entries = recorded("before_answer")
    aside = [{**entry, "isSidechain": True} for entry in recorded("finished") if entry["type"] == "assistant"]
    assert classify(entries + aside, TURN) == TurnState("interrupted")


def test_what_the_cli_itself_says_in_an_answer_s_place_is_no_answer() -> None:
    entries = recorded("before_answer")
    message = {"id": "m", "model": "<synthetic>", "stop_reason": "end_turn", "content": "No response requested."}
    assert classify([*entries, {"type": "assistant", "message": message}], TURN) == TurnState("interrupted")


def test_a_prompt_that_reads_like_an_interrupt_is_not_one() -> None:
    entries = recorded("before_answer")
    prompt = next(entry for entry in entries if entry.get("uuid") == TURN)
    prompt["message"]["content"] = "[Request interrupted by user] is what I see. Why?"
    assert classify(entries, TURN) == TurnState("interrupted")


@pytest.mark.parametrize("case", ["finished", "tool_done", "tool_running", "cancelled", "api_error"])
def test_wherever_a_transcript_is_cut_the_turn_is_never_taken_for_unseen_once_its_prompt_is_stored(case: str) -> None:
    entries = recorded(case)
    prompt = next(index for index, entry in enumerate(entries) if entry.get("uuid") == TURN)
    for length in range(1, len(entries) + 1):
        state = classify(entries[:length], TURN).state
        assert (state == "unseen") == (length <= prompt)
