"""Claude Code's own files, read: what is at fault is told by its place."""

import json
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from sessions import NotCopied, files
from sessions.copies import renamed
from sessions.files import read_session

ID = "11111111-2222-4333-8444-555555555555"
PROMPT: dict[str, Any] = {
    "type": "user",
    "uuid": "aaaaaaaa-0000-4000-8000-000000000000",
    "parentUuid": None,
    "sessionId": ID,
    "message": {"role": "user", "content": "hello"},
    "timestamp": "2026-01-31T09:00:00.000Z",
}
ANSWER: dict[str, Any] = {
    "type": "assistant",
    "uuid": "b",
    "parentUuid": PROMPT["uuid"],
    "sessionId": ID,
    "message": {"role": "assistant", "content": [{"type": "text", "text": "Hi."}], "stop_reason": "end_turn"},
    "timestamp": "2026-01-31T09:00:01.000Z",
}


def written(folder: Path, *entries: Any, name: str = f"{ID}.jsonl") -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{entry if isinstance(entry, str) else json.dumps(entry)}\n" for entry in entries))
    return path


def test_a_session_is_read_with_its_subagents(tmp_path: Path) -> None:
    path = written(tmp_path, {"type": "summary", "summary": "x"}, "", PROMPT, ANSWER)
    aside = written(tmp_path, {**PROMPT, "isSidechain": True}, name=f"{ID}/subagents/workflows/1/agent-7.jsonl")
    aside.with_suffix(".meta.json").write_text('{"agentType": "helper", "type": "x"}')
    read = read_session(path)
    assert (read.session_id, read.entries) == (UUID(ID), 5)
    assert [(said.asked, said.answered, said.asked_at.isoformat()) for said in read.exchanges] == [
        ("hello", "Hi.", "2026-01-31T09:00:00+00:00")
    ]
    assert read.parts["subagents/workflows/1/agent-7"][1] == {"agentType": "helper", "type": "agent_metadata"}


def deep(entry: dict[str, Any], levels: int) -> str:
    """A line whose lists and objects lie so deep in each other, its own object counted."""
    return json.dumps(entry)[:-1] + f', "deep": {"[" * (levels - 1)}{"]" * (levels - 1)}}}'


@pytest.mark.parametrize(
    ("entries", "says"),
    [
        ([PROMPT, '{"type": "user", "uu'], "line 2: is no JSON"),
        ([PROMPT, "[]"], "line 2: is no entry"),
        (["[" * 100_000], "line 1: is nested deeper than 200"),
        ([PROMPT, deep(ANSWER, 500)], "line 2: is nested deeper than 200"),
        ([PROMPT, {**ANSWER, "sessionId": ID[:-1] + "6"}], "line 2: belongs to session"),
        ([PROMPT, {**ANSWER, "uuid": 7}], "line 2: its uuid"),
        ([PROMPT, {**ANSWER, "uuid": "a\0"}], "line 2: its uuid"),
        ([PROMPT, {**ANSWER, "message": "x"}], "of a form"),
        ([PROMPT, {**ANSWER, "mergedSendUuids": 7}], "of a form"),
        ([PROMPT, {**ANSWER, "attachment": {"type": "hook_deferred_tool", "toolUseID": [1]}}], "of a form"),
        ([ANSWER], "nobody asks anything"),
        ([], "nobody asks anything"),
    ],
    ids=lambda value: repr(value)[:50],
)
def test_a_file_at_fault_is_refused_by_its_place(tmp_path: Path, entries: list[Any], says: str) -> None:
    with pytest.raises(NotCopied, match=says):
        read_session(written(tmp_path, *entries))


def test_what_is_nested_as_deep_as_it_may_be_is_taken_and_can_be_copied(tmp_path: Path) -> None:
    read = read_session(written(tmp_path, PROMPT, deep(ANSWER, files.MAX_DEPTH)))
    assert json.dumps(renamed(read.parts[""], {}))
    aside = written(tmp_path, PROMPT, name=f"{ID}/subagents/agent-7.jsonl")
    aside.with_suffix(".meta.json").write_text(deep({"agentType": "helper"}, files.MAX_DEPTH + 1))
    with pytest.raises(NotCopied, match=r"agent-7.meta.json: is nested deeper"):
        read_session(tmp_path / f"{ID}.jsonl")


@pytest.mark.parametrize("name", ["notes.jsonl", f"{ID}.json", f"{ID}.jsonl.bak"])
def test_what_is_not_named_like_a_session_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(NotCopied, match="is no file of a session"):
        read_session(written(tmp_path, PROMPT, name=name))
    with pytest.raises(NotCopied, match="is no file of a session"):
        read_session(tmp_path / f"{ID[:-1]}7.jsonl")


def test_files_that_are_too_large_together_are_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = written(tmp_path, PROMPT, ANSWER)
    monkeypatch.setattr(files, "MAX_BYTES", path.stat().st_size)
    read_session(path)
    written(tmp_path, PROMPT, name=f"{ID}/subagents/agent-1.jsonl")
    with pytest.raises(NotCopied, match="bytes in all, at most"):
        read_session(path)
