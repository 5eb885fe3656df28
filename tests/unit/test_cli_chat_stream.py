"""What `./jobs chat` prints of a chat's events on a terminal."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest

from cli.chat_stream import Reply, Terminal, events, follow

WAITING: Reply = {"message_id": 7, "job_id": 3, "status": "waiting", "response": None}
CALL = {"kind": "tool_call", "id": "a", "name": "Bash", "input": '{"command": "ls"}', "parent": None}
RESULT = {"id": "a", "text": "one\ntwo", "is_error": False}


@pytest.fixture(autouse=True)
def no_colours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")


def said(text: str, parent: str | None = None) -> dict[str, Any]:
    return {"kind": "text", "text": text, "message": "m", "parent": parent}


def printed(*told: tuple[str, dict[str, Any]]) -> str:
    out = list[str]()
    terminal = Terminal(out.append)
    for kind, about in told:
        terminal.show(kind, about)
    return "".join(out)


def reset(*items: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    return "reset", {"items": list(items), "status": None, "cost": None, "dropped_chars": 0}


def test_text_comes_as_it_is_and_calls_as_lines_between() -> None:
    shown = printed(
        reset(), ("text", said("Let me see.")), ("tool_call", CALL), ("tool_result", RESULT), ("text", said("Two."))
    )
    assert shown == 'Let me see.\n• Bash {"command": "ls"}\n  ↳ one two\nTwo.'


def test_what_a_subagent_says_is_its_callers_affair() -> None:
    assert printed(("text", said("psst", parent="a")), ("tool_call", {**CALL, "parent": "a"})).startswith("  • Bash")


def test_nothing_reaches_the_terminal_that_it_would_obey() -> None:
    shown = printed(("text", said("a\x1b[2J")), ("tool_call", {**CALL, "input": "\x1b]0;x\x07"}))
    assert "\x1b" not in shown
    assert "\x07" not in shown


def test_a_reset_says_so_only_where_something_was_printed_that_does_not_stand() -> None:
    assert printed(("text", said("Half")), reset(said("Half an answer"))) == "Half an answer"
    shown = printed(("text", said("Half")), reset(said("Another")), ("text", said(" one.")))
    assert shown == "Half\nwhat was said is void; it begins anew\nAnother one."
    whole = reset(said("A"), {**CALL, "result": {"text": "one\ntwo", "is_error": False}})
    assert printed(("text", said("A")), ("tool_call", CALL), ("tool_result", RESULT), whole).count("A") == 1


def test_what_was_said_before_a_decision_stands_and_the_chat_says_what_it_waits_for() -> None:
    waits = ("remark", {"message_id": 8, "text": "Bash waits for approval: action 12."})
    shown = printed(("text", said("May I?")), ("end", {"how": "deferred"}), waits, reset(said("Done.")))
    assert shown == "May I?\nBash waits for approval: action 12.\nDone."


def test_a_chat_that_waits_for_money_says_so_before_its_answer() -> None:
    waits = ("remark", {"message_id": 8, "text": "This waits: today's budget is used up.\x1b[2J"})
    shown = printed(reset(said("Half")), ("end", {"how": "broke"}), waits, reset(said("Half and more.")))
    assert shown == "Half\nThis waits: today's budget is used up.\N{REPLACEMENT CHARACTER}[2J\nHalf and more."


def test_a_stream_is_read_by_its_events() -> None:
    lines = ["retry: 1000", "", ": nothing new", "", "id: 1.2.3", "event: text", 'data: {"text": "a"}', ""]
    assert list(events(lines)) == [("", {}), ("text", {"text": "a"})]


def follows(lines: list[str], look: Any = lambda reply: reply, *, until: float = 1e12) -> tuple[Reply, str]:
    out = list[str]()

    def read() -> Iterator[str]:
        yield from lines
        raise httpx.ReadError("broke")

    @contextmanager
    def stream(_: float) -> Iterator[Iterator[str]]:
        yield read()

    terminal = Terminal(out.append)
    return follow(stream, WAITING, look, terminal, until=until), "".join(out)


def test_the_answer_to_our_message_ends_it_and_others_do_not() -> None:
    other = 'data: {"answers": [5], "state": "answered", "text": "other"}'
    ours = 'data: {"answers": [6, 7], "state": "failed", "text": "no"}'
    first = ["event: text", 'data: {"text": "oth", "parent": null}', ""]
    reply, shown = follows([*first, "event: answer", other, "", "event: answer", ours, "", "event: text"])
    assert (reply["status"], reply["response"]) == ("failed", "no")
    assert shown == "oth\nthis was for an earlier message\n"


def test_a_stream_that_breaks_or_is_none_leaves_the_reply_to_be_looked_for() -> None:
    assert follows([])[0] == WAITING
    assert follows(["event: text", "data: <html>", ""])[0] == WAITING
    assert follows(["event: answer", "data: {}", ""])[0] == WAITING


def test_silence_is_used_to_look_whether_the_job_has_ended_without_a_word() -> None:
    reply, _ = follows([": nothing new", ""], lambda reply: {**reply, "status": "failed", "response": "lost"})
    assert (reply["status"], reply["response"]) == ("failed", "lost")


def test_time_that_is_over_ends_it() -> None:
    assert follows([": nothing new", "", "event: text"], until=0.0)[0] == WAITING
