"""The gate itself, on a real Postgres, asked as the SDK asks it; what a real CLI makes of it stands in tests/e2e."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from claude_agent_sdk import AgentDefinition, AssistantMessage, ClaudeAgentOptions, ToolUseBlock
from claude_agent_sdk.types import PermissionResultAllow, PermissionResultDeny, ToolPermissionContext
from psycopg.errors import InsufficientPrivilege

from jobs_core import Connection, Database, LeaseLost, execute, fetch
from sessions import (
    AgentSetup,
    Allow,
    Ask,
    Deny,
    ToolCall,
    TurnFailed,
    Verdict,
    create_session,
    decisions,
    take_session,
)
from sessions.account import RunAccount
from sessions.bypass import refuse_bypass
from sessions.gate import CALLED_BEFORE, CHANGED, IN_SUBAGENT, NOT_PUT_OFF, ONE_AT_A_TIME, Gate
from sessions.options import Access, build_options
from sessions.scratch import RunFolder
from sessions.tool_calls import Called, HeldTurn, calls_of_turn, word_of_lost_calls
from tests.unit.test_sessions_options import settings

ALLOW = {"hookEventName": "PreToolUse", "permissionDecision": "allow"}
Open = Callable[..., Awaitable[Gate]]


def denied(reason: str) -> dict[str, str]:
    return ALLOW | {"permissionDecision": "deny", "permissionDecisionReason": reason}


@pytest.fixture
async def open_gate(database: Database) -> Open:
    """Gates of one session and turn; each call of it is a CLI of its own, and of the same run."""
    session_id, turn_id = uuid4(), uuid4()
    async with database.transaction() as conn:
        await create_session(conn, session_id)
        epoch = await take_session(conn, session_id)

    async def opened(decide: Any, **how: Any) -> Gate:
        async def said(call: ToolCall) -> Verdict:
            verdict = decide(call) if callable(decide) else decide
            return await verdict if asyncio.iscoroutine(verdict) else verdict

        account = RunAccount(turn_id, 7, user_id="ann", agent="assistant")
        given = {"account": account, "on_tool_end": None, "stop": lambda: None, **how}
        return Gate(database, HeldTurn(session_id, epoch, turn_id), said, **given)

    return opened


def whole_options(folder: Path) -> ClaudeAgentOptions:
    """As a run has them, before its gate is there."""
    access = Access("http://127.0.0.1:9", "x")
    return build_options(settings(), RunFolder(folder), AgentSetup("Hi.", tools=["Bash"]), cwd=folder, access=access)


async def hook(gate: Gate, call_id: str, given: dict[str, Any] | None = None, **more: Any) -> Any:
    asked = {"tool_use_id": call_id, "tool_name": "Bash", "tool_input": given or {"command": "ls"}, **more}
    return (await gate._before(asked, call_id, None))["hookSpecificOutput"]


async def permission(gate: Gate, call_id: str, given: dict[str, Any] | None = None, **more: Any) -> Any:
    return await gate._can_use("Bash", given or {"command": "ls"}, ToolPermissionContext(tool_use_id=call_id, **more))


async def test_whichever_door_asks_first_both_get_the_one_answer(open_gate: Open, conn: Connection) -> None:
    asked: list[ToolCall] = []

    def decide(call: ToolCall) -> Verdict:
        asked.append(call)
        return Allow({"command": "pwd"}, by="ann") if call.id == "a" else Deny("No.", by="rule 1")

    gate = await open_gate(decide)
    both = await asyncio.gather(hook(gate, "a"), permission(gate, "a"), hook(gate, "a"))
    assert both == [
        ALLOW | {"updatedInput": {"command": "pwd"}},
        PermissionResultAllow(updated_input={"command": "pwd"}),
        both[0],
    ]
    assert await permission(gate, "b") == PermissionResultDeny(message="No.")
    assert await hook(gate, "b") == denied("No.")
    assert [call.id for call in asked] == ["a", "b"]
    first, second = reversed(await decisions(conn))
    assert (first.verdict, first.decided_by, first.token, first.user_id, first.agent) == (
        "allow",
        "ann",
        7,
        "ann",
        "assistant",
    )
    assert first.digest != first.allowed_digest
    assert (second.verdict, second.allowed_digest) == ("deny", None)


async def test_arguments_that_change_after_the_decision_are_refused(open_gate: Open) -> None:
    """What it was changed to by the decision is what was decided."""
    gate = await open_gate(Allow({"command": "pwd"}))
    await hook(gate, "a")
    assert isinstance(await permission(gate, "a", {"command": "pwd"}), PermissionResultAllow)
    assert await permission(gate, "a", {"command": "rm -r /"}) == PermissionResultDeny(message=CHANGED)


async def test_one_call_of_a_message_waits_and_one_of_the_message_after_a_broken_stream_may_too(
    open_gate: Open,
) -> None:
    gate = await open_gate(Ask("rule"))
    for message_id, call_ids in (("m1", "ab"), ("m2", "c")):
        blocks = [ToolUseBlock(id_, "Bash", {}) for id_ in call_ids]
        gate.hear(AssistantMessage(content=[*blocks], model="m", message_id=message_id))
    assert (await hook(gate, "a"))["permissionDecision"] == "defer"
    assert await hook(gate, "b") == denied(ONE_AT_A_TIME)
    assert await hook(gate, "unheard") == denied(ONE_AT_A_TIME)
    assert (await hook(gate, "c"))["permissionDecision"] == "defer"


async def test_where_a_call_cannot_be_put_off_it_is_denied(open_gate: Open) -> None:
    gate = await open_gate(Ask("rule"))
    assert await hook(gate, "a", agent_id="x") == denied(IN_SUBAGENT)
    assert await permission(gate, "b", agent_id="x") == PermissionResultDeny(message=IN_SUBAGENT)
    assert await permission(gate, "c") == PermissionResultDeny(message=NOT_PUT_OFF)
    assert await hook(gate, "c") == denied(NOT_PUT_OFF)


async def test_a_call_goes_to_its_tool_once_whatever_is_decided_about_it_later(
    open_gate: Open, conn: Connection
) -> None:
    """A second CLI of the run, or of another, asks about the same call; the journal has it."""
    assert await hook(await open_gate(Allow()), "a") == ALLOW
    assert await hook(await open_gate(Allow()), "a") == denied(CALLED_BEFORE)
    assert [(one.verdict, one.decided_by) for one in await decisions(conn)] == [
        ("deny", "journal: it was called before"),
        ("allow", ""),
    ]


async def test_a_run_whose_session_was_taken_lets_nothing_through_and_ends(open_gate: Open, conn: Connection) -> None:
    stopped: list[int] = []
    gate = await open_gate(Allow(), stop=lambda: stopped.append(1))
    await execute(conn, "UPDATE jobs.sessions SET epoch = epoch + 1")
    with pytest.raises(LeaseLost):
        await hook(gate, "a")
    assert isinstance(gate.failed, LeaseLost)
    assert stopped == [1]
    assert await decisions(conn) == []


@pytest.mark.parametrize("door", [hook, permission])
async def test_a_decision_that_breaks_ends_the_run(open_gate: Open, door: Any) -> None:
    """Or the CLI would be told of an error, and go on."""
    stopped: list[int] = []

    def decide(_: ToolCall) -> Verdict:
        raise ZeroDivisionError

    gate = await open_gate(decide, stop=lambda: stopped.append(1))
    with pytest.raises(ZeroDivisionError):
        await door(gate, "a")
    assert (type(gate.failed), stopped) == (ZeroDivisionError, [1])


async def test_the_end_of_a_tool_is_recorded_and_told_before_the_model_hears(open_gate: Open, conn: Connection) -> None:
    told: list[tuple[str, bool]] = []

    async def ended(call: ToolCall, end: Any) -> None:
        told.append((call.id, end.failed))

    gate = await open_gate(lambda call: Deny("No.") if call.id == "c" else Allow(), on_tool_end=ended)
    for call_id, event in (("a", "PostToolUse"), ("b", "PostToolUseFailure"), ("c", "PostToolUseFailure")):
        await hook(gate, call_id)
        await gate._after({"tool_use_id": call_id, "hook_event_name": event, "tool_response": {"x": 1}}, call_id, None)
    assert told == [("a", False), ("b", True)]
    journal = await calls_of_turn(conn, gate._held.turn_id)
    assert [(one.call_id, one.ended, one.failed) for one in journal] == [("a", True, False), ("b", True, True)]


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE jobs.tool_decisions SET verdict = 'deny', allowed_digest = NULL",
        "DELETE FROM jobs.tool_decisions",
        "TRUNCATE jobs.tool_decisions",
    ],
)
async def test_the_audit_is_added_to_and_never_changed(open_gate: Open, conn: Connection, sql: Any) -> None:
    await hook(await open_gate(Allow()), "a")
    with pytest.raises(InsufficientPrivilege, match="never changed or deleted"):
        await execute(conn, sql)
    assert len(await fetch(conn, "SELECT FROM jobs.tool_decisions")) == 1


def test_a_model_is_told_of_the_calls_that_its_transcript_lacks_and_of_no_others() -> None:
    block = {"type": "tool_use", "id": "shown", "name": "Bash", "input": {}}
    entries = [{"type": "assistant", "message": {"content": [block]}}, {"type": "user", "message": {"content": "hi"}}]
    shown = Called("shown", "Bash", "{}", ended=True, failed=False)
    assert word_of_lost_calls([shown], entries) == ""
    assert "(call shown)" in word_of_lost_calls([shown], entries, waits="another")
    assert word_of_lost_calls([shown], entries, waits="shown") == ""
    lost = [Called(f"c{n}", "Bash", "a" * 900, ended=n > 0, failed=n == 2) for n in range(12)]
    told = word_of_lost_calls([shown, *lost], entries)
    assert "shown" not in told
    assert "(call c0): its outcome is unknown" in told
    assert "(call c1): it ran to its end" in told
    assert "(call c2): it failed" in told
    assert "- and 2 more" in told
    assert len(told) < 10_000


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("allowed_tools", ["Bash"]),
        ("permission_mode", "bypassPermissions"),
        ("permission_mode", "acceptEdits"),
        ("setting_sources", None),
        ("setting_sources", ["project"]),
        ("strict_mcp_config", False),
        ("settings", '{"permissions": {"allow": ["Bash"]}}'),
        ("mcp_servers", "servers.json"),
        ("plugins", [{"type": "local", "path": "/p"}]),
        ("hooks", {"PreToolUse": []}),
        ("permission_prompt_tool_name", "mcp__x__y"),
        ("extra_args", {"dangerously-skip-permissions": None}),
        ("agents", {"a": AgentDefinition(description="d", prompt="p", permissionMode="bypassPermissions")}),
    ],
)
def test_an_option_under_which_a_call_would_pass_by_the_gate_is_refused(tmp_path: Path, name: str, value: Any) -> None:
    whole = whole_options(tmp_path)
    refuse_bypass(whole)
    refuse_bypass(replace(whole, extra_args={"resume": "x", "mcp-config": "y"}))
    with pytest.raises(TurnFailed, match=r"would pass its gate"):
        refuse_bypass(replace(whole, **{name: value}))


async def test_a_cli_waits_for_the_gate_and_asks_it_about_all_tools(open_gate: Open, tmp_path: Path) -> None:
    whole = whole_options(tmp_path)
    gate = await open_gate(Allow())
    guarded: ClaudeAgentOptions = gate.guard(whole)
    assert guarded.hooks
    (matcher,) = guarded.hooks["PreToolUse"]
    assert (matcher.matcher, matcher.on_failure) == (None, "block")
    assert guarded.can_use_tool
    assert (guarded.permission_mode, guarded.allowed_tools) == ("default", [])
    servers: Any = guarded.mcp_servers
    assert [server["type"] for server in servers.values()] == ["sdk"]
