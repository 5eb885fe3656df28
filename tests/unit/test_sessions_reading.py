"""What a transcript reads like, and where it is cut, on entries that the real CLI wrote."""

from typing import Any
from uuid import UUID

import pytest

from sessions.copies import renamed, until_answer
from sessions.reading import Line, is_prompt, read_exchanges, read_lines
from tests.unit.test_sessions_resume import SECOND, THIRD, TURN, recorded


def chained(entries: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The entries with what the recorder leaves out: each one's parent."""
    named = [{**entry, "uuid": entry.get("uuid") or f"u{index}"} for index, entry in enumerate(entries)]
    return [{**entry, "parentUuid": named[index - 1]["uuid"] if index else None} for index, entry in enumerate(named)]


@pytest.mark.parametrize(
    "case", ["finished", "tool_done", "taken_in", "cancelled", "api_error", "deferred", "structured"]
)
def test_each_prompt_is_found_and_nothing_else_is_one(case: str) -> None:
    assert [entry["uuid"] for entry in recorded(case) if is_prompt(entry)] == [TURN]
    bare = [{key: value for key, value in entry.items() if key != "promptSource"} for entry in recorded(case)]
    assert [entry["uuid"] for entry in bare if is_prompt(entry)] == [TURN], "as in files of other versions"


def test_an_answer_is_the_text_of_the_last_message_whole() -> None:
    (said,) = read_exchanges(chained(recorded("finished")))
    assert (said.turn_id, said.answered) == (UUID(TURN), "One, \n\ntwo.")
    assert said.asked.startswith("[[think Hm.]]")


def test_what_stands_before_a_tool_call_is_no_answer() -> None:
    entries = chained(recorded("tool_running"))
    assert [said.answered for said in read_exchanges(entries)] == [""]


def test_what_was_taken_back_is_left_out() -> None:
    """A person went back to before the second prompt, and asked something else."""
    entries = chained(recorded("merged"))
    first = next(index for index, entry in enumerate(entries) if is_prompt(entry) and entry["uuid"] != TURN)
    again = {"type": "user", "uuid": SECOND[:-1] + "9", "message": {"role": "user", "content": "Other."}}
    entries = [*entries, {**again, "parentUuid": entries[first - 1]["uuid"]}]
    assert [said.asked for said in read_exchanges(entries)] == ["[[hold h]] [[text First.]]", "Other."]


def test_lines_name_calls_and_results() -> None:
    lines = list(read_lines(recorded("tool_done")))
    assert [line.kind for line in lines] == ["prompt", "tool", "result"]
    assert lines[1] == Line("tool", '{"command": "echo hi"}', "Bash")
    assert lines[2].text == "hi"


def test_a_transcript_is_cut_behind_the_whole_of_a_turn() -> None:
    entries = recorded("merged")
    cut = until_answer(entries, TURN)
    assert "First." in str(cut)
    assert "Both." not in str(cut)
    assert cut[-1]["type"] != "queue-operation", "which tells of the next prompt"
    assert until_answer(entries, THIRD) == until_answer(entries, SECOND) == entries
    assert until_answer(entries, TURN[:-1] + "7") == []


def test_ids_are_renamed_where_they_stand_and_not_in_what_was_said() -> None:
    entries = [
        {"uuid": "a", "sessionId": "s", "message": {"content": "a"}, "attachment": {"source_uuid": "a", "n": 1}},
        {"parentUuid": "a", "mergedSendUuids": ["b", "a"], "toolUseResult": "a", "text": "a b"},
    ]
    assert renamed(entries, {"a": "x", "s": "t"}) == [
        {"uuid": "x", "sessionId": "t", "message": {"content": "a"}, "attachment": {"source_uuid": "x", "n": 1}},
        {"parentUuid": "x", "mergedSendUuids": ["b", "x"], "toolUseResult": "a", "text": "a b"},
    ]
