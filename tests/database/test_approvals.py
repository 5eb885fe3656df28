"""Pending actions and what people decide about them, on a real Postgres; the chat's handler with a scripted agent."""

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest

from assistant import actions, approvals, people
from assistant.action import Action
from assistant.approvals import Decider
from assistant.chats import CHAT_TURN
from assistant.content import File
from assistant.errors import MayNotDecide, NoSuchAction, NotDecided
from assistant.notifications import list_notifications
from jobs_core import Connection, Database, InvalidInput, LeaseLost, execute, fetch
from jobs_core.claim import claim
from jobs_core.explain import explain
from jobs_core.waits import emit, go_on
from sessions import Allow, Deny, ToolCall
from sessions.store import append_transcript
from tests.support.approvals import ANN, BOB, COMMAND, EDITED, Bench, bench_on


@pytest.fixture
async def bench(database: Database, conn: Connection) -> AsyncIterator[Bench]:
    async with bench_on(database, conn) as made:
        yield made


async def approve(bench: Bench, action: Action, **how: Any) -> Action:
    return (await approvals.approve(bench.conn, action.id, ANN, digest=action.digest, **how)).action


async def test_a_call_that_needs_approval_waits_with_its_job_and_nothing_runs(bench: Bench, conn: Connection) -> None:
    action = await bench.asked()
    assert (action.state, action.tool, json.loads(action.arguments)) == ("pending", "Bash", COMMAND)
    assert (action.asked_by, action.may_decide) == ("default of owner", ["role:owner"])
    assert timedelta(hours=23) < action.expires_at - action.created_at < timedelta(hours=25)
    assert (await bench.lines(action.session_id))[1:] == [("system", f"Bash waits for approval: action {action.id}.")]
    (why,) = await explain(conn, action.job_id) or []
    assert (why.kind, why.about["event"]) == ("wait", f"action:{action.id}")
    (told,) = await list_notifications(conn)
    assert (told.user_id, told.title) == (None, f"Bash waits for approval: action {action.id}")
    assert bench.agent.ran == []


@pytest.mark.parametrize("edited", [None, EDITED])
async def test_an_approved_call_runs_once_with_exactly_what_was_approved(
    bench: Bench, edited: dict[str, Any] | None
) -> None:
    action = await bench.asked()
    approved = await approve(bench, action, edited=edited)
    assert (approved.state, approved.decided_by) == ("approved", "ann")
    assert await bench.run() == "complete"
    assert bench.agent.ran == [edited or COMMAND]
    done = await bench.action()
    assert (done.state, done.failed, done.result_digest) == ("executed", False, "a digest")
    assert (await bench.lines(action.session_id))[-1] == ("ai", "Done.")


async def test_a_rejected_call_does_not_run_and_the_model_hears_why(bench: Bench) -> None:
    action = await bench.asked()
    await approvals.reject(bench.conn, action.id, ANN, digest=action.digest, reason="use the other host")
    assert await bench.run() == "complete"
    assert bench.agent.ran == []
    told = bench.agent.told[-1]
    assert isinstance(told, Deny)
    assert told.reason == "ann rejected this call: use the other host"


async def test_an_action_expires_by_itself_when_its_job_wakes(bench: Bench, conn: Connection) -> None:
    action = await bench.asked()
    await execute(conn, "UPDATE jobs.pending_actions SET expires_at = clock_timestamp()")
    with pytest.raises(NotDecided, match="is over"):
        await approve(bench, action)
    await execute(conn, "UPDATE jobs.jobs SET wait_until = clock_timestamp()")
    assert len(await go_on(conn, batch=1)) == 1
    assert await bench.run() == "complete"
    assert (await bench.action()).state == "expired"
    assert bench.agent.ran == []


@pytest.mark.parametrize(("tool", "ends"), [("create_task", "complete"), ("x__wipe", "waiting"), ("_wipe", "waiting")])
async def test_our_own_tools_run_unasked_and_none_of_a_server_whose_name_begins_like_ours(
    bench: Bench, tool: str, ends: str
) -> None:
    """MCP servers may be called `jobs__x` and `jobs_`: of their tools the model sees names that begin as ours do."""
    bench.agent.call = ToolCall("toolu_1", f"mcp__jobs__{tool}", {})
    await bench.say("clean up")
    assert await bench.run() == ends
    assert bench.agent.ran == ([{}] if ends == "complete" else [])


async def test_a_job_that_wakes_before_anybody_decided_waits_again(bench: Bench, conn: Connection) -> None:
    await bench.asked()
    await execute(conn, "UPDATE jobs.jobs SET wait_until = clock_timestamp()")
    await go_on(conn, batch=1)
    assert await bench.run() == "waiting"
    assert len(bench.agent.told) == 1


@pytest.mark.parametrize("early", [True, False])
async def test_an_event_that_somebody_tells_decides_nothing_and_has_nobody_run_in_circles(
    bench: Bench,
    conn: Connection,
    early: bool,  # noqa: FBT001 - the case
) -> None:
    """`./jobs emit action:1`, before the call is made or while it waits: the job looks every 10 s, and finds the decision."""
    if early:
        await emit(conn, "action:1")
        await bench.say("clean up")
        assert await bench.run() == "pending"
    else:
        await bench.asked()
        await emit(conn, "action:1")
    assert await bench.run() == "waiting"
    assert bench.agent.ran == []
    await approve(bench, await bench.action())
    await execute(conn, "UPDATE jobs.jobs SET wait_until = clock_timestamp()")
    await go_on(conn, batch=1)
    assert await bench.run() == "complete"
    assert bench.agent.ran == [COMMAND]


async def test_a_message_of_one_who_may_decide_supersedes_and_is_the_next_turn_s(bench: Bench) -> None:
    action = await bench.asked()
    await bench.say("no, only look", action.session_id)
    assert (await bench.action()).state == "superseded"
    assert await bench.run() == "complete"
    told = bench.agent.told[-1]
    assert isinstance(told, Deny)
    assert "no, only look" in told.reason
    assert bench.agent.ran == []
    assert await bench.run() == "complete"
    assert [kind for kind, _ in await bench.lines(action.session_id)] == ["human", "system", "human", "ai", "ai"]


async def test_a_file_without_words_supersedes_too_and_the_model_hears_what_it_was(bench: Bench) -> None:
    action = await bench.asked()
    await bench.say("", action.session_id, files=[File("application/pdf", b"%PDF-1.4")])
    assert await bench.run() == "complete"
    told = bench.agent.told[-1]
    assert isinstance(told, Deny)
    assert told.reason.endswith("somebody said: (nothing, but sent a file)")


async def test_messages_of_others_wait_and_one_notice_names_the_action(bench: Bench) -> None:
    """An external person's own chat, whose agent must ask the owner."""
    await bench.edit_agent(gate_policy=[{"tool": "Bash", "then": "ask"}])
    async with bench.jobs.database.transaction() as own:
        bob = await people.contact(own, "telegram", "7", name="Bob")
    action = await bench.asked(user_id=bob.id)
    for words in ("hello?", "anybody?"):
        await bench.say(words, action.session_id, user_id=bob.id)
    assert ((await bench.action()).state, action.user_id) == ("pending", bob.id)
    notices = [text for kind, text in await bench.lines(action.session_id) if "somebody decides" in text]
    assert notices == [f"This waits until somebody decides about action {action.id} (Bash)."]
    await approve(bench, action)
    assert await bench.run() == "complete"
    assert bench.agent.ran == [COMMAND]


@pytest.mark.parametrize(
    ("by", "how", "error"),
    [
        (BOB, {}, MayNotDecide),
        (ANN, {"digest": "0" * 64}, NotDecided),
        (ANN, {"edited": {"command": "\x00"}}, InvalidInput),
        (ANN, {"edited": {"command": "a" * 300_000}}, InvalidInput),
        (ANN, {"edited": EDITED, "always": True}, InvalidInput),
        (ANN, {"edited": {"to": [{"id": 2**53}]}}, InvalidInput),
        (ANN, {"edited": {"id": -(10**400)}}, InvalidInput),
        (ANN, {"edited": {"a": {"__proto__": {}}}}, InvalidInput),
    ],
)
async def test_what_is_no_approval_changes_nothing(bench: Bench, by: Decider, how: dict[str, Any], error: Any) -> None:
    action = await bench.asked()
    with pytest.raises(error):
        await approvals.approve(bench.conn, action.id, by, **{"digest": action.digest, **how})
    assert await bench.action() == action


async def test_an_action_is_decided_once(bench: Bench) -> None:
    action = await bench.asked()
    await approvals.reject(bench.conn, action.id, ANN, digest=action.digest)
    with pytest.raises(NotDecided, match="is rejected by ann already"):
        await approve(bench, action)
    with pytest.raises(NoSuchAction):
        await approvals.approve(bench.conn, 999, ANN, digest=action.digest)


async def test_a_cancelled_job_takes_its_action_with_it(bench: Bench) -> None:
    action = await bench.asked()
    await bench.jobs.cancel(action.job_id)
    with pytest.raises(NotDecided):
        await approve(bench, action)
    assert (await bench.action()).state == "cancelled"


async def test_a_look_waits_for_nobody_who_settles_an_action(bench: Bench, conn: Connection, other: Connection) -> None:
    """Looks at all settle what ended jobs left open: two that waited for each other's rows ended in a deadlock."""
    action = await bench.asked()
    await bench.jobs.cancel(action.job_id)
    async with other.transaction():
        await execute(other, "UPDATE jobs.pending_actions SET reason = 'somebody settles it'")
        async with asyncio.timeout(10):
            assert [one.state for one in await actions.list_actions(conn)] == ["pending"]
    assert (await actions.find(conn, action.id)).state == "cancelled"


async def test_an_approval_whose_job_is_cancelled_before_it_runs_is_never_executed(bench: Bench) -> None:
    action = await bench.asked()
    await approve(bench, action)
    await bench.jobs.cancel(action.job_id)
    assert (await bench.action()).state == "cancelled"
    assert bench.agent.ran == []


@pytest.mark.parametrize("dies", ["asked", "ran"])
async def test_an_approved_call_whose_run_was_lost_is_unknown_and_not_run_again(bench: Bench, dies: str) -> None:
    """Nobody knows whether its tool ran: a person is shown it, and the model is told."""
    action = await bench.asked()
    await approve(bench, action)
    bench.agent.dies = dies
    assert await bench.run() == "pending"
    assert (await bench.action()).state == "executing"
    assert await bench.run() == "complete"
    assert len(bench.agent.ran) == (1 if dies == "ran" else 0)
    told = bench.agent.told[-1]
    assert isinstance(told, Deny)
    assert "nobody knows" in told.reason
    (shown,) = await actions.list_actions(bench.conn)
    assert (shown.id, shown.state) == (action.id, "unknown")
    told_to_owner, _ = await list_notifications(bench.conn)
    assert (told_to_owner.severity, told_to_owner.metadata) == ("error", {"action_id": action.id})
    assert told_to_owner.title == f"It is not known whether Bash ran: action {action.id}"


async def test_an_approved_call_that_ended_and_whose_result_was_lost_is_executed_and_not_run_again(
    bench: Bench,
) -> None:
    action = await bench.asked()
    await approve(bench, action)
    bench.agent.dies = "ended"
    assert await bench.run() == "pending"
    assert await bench.run() == "complete"
    assert bench.agent.ran == [COMMAND]
    assert (await bench.action()).state == "executed"
    assert isinstance(bench.agent.told[-1], Deny)


async def test_a_lost_run_whose_result_stands_in_the_transcript_was_executed(bench: Bench, conn: Connection) -> None:
    action = await bench.asked()
    await approve(bench, action)
    bench.agent.dies = "ran"
    assert await bench.run() == "pending"
    result = {"type": "tool_result", "tool_use_id": action.call_id, "content": "no such file", "is_error": True}
    async with bench.jobs.database.transaction() as own:
        (row,) = await fetch(own, "SELECT epoch FROM jobs.sessions")
        entry = {"type": "user", "uuid": "r", "message": {"role": "user", "content": [result]}}
        await append_transcript(own, action.claude_session_id, row["epoch"], [entry])
    bench.agent.answered = True
    assert await bench.run() == "complete"
    done = await bench.action()
    assert (done.state, done.failed) == ("executed", True)


async def test_an_approval_lets_no_other_call_run(bench: Bench) -> None:
    """Not one with another id; nor one with this id and other arguments."""
    action = await bench.asked()
    await approve(bench, action)
    bench.agent.call = ToolCall("toolu_2", "Bash", COMMAND)
    assert await bench.run() == "waiting"
    assert bench.agent.ran == []
    assert [one.state for one in await actions.list_actions(bench.conn, states=None)] == ["pending", "cancelled"]


async def test_a_call_that_changed_since_it_was_approved_is_refused(bench: Bench) -> None:
    action = await bench.asked()
    await approve(bench, action)
    bench.agent.call = ToolCall(action.call_id, "Bash", {"command": "rm -r /"})
    assert await bench.run() == "complete"
    assert bench.agent.ran == []
    assert (await bench.action()).state == "cancelled"


async def test_an_approval_that_its_turn_does_not_come_back_to_is_cancelled(bench: Bench) -> None:
    action = await bench.asked()
    await approve(bench, action)
    bench.agent.answered = True
    assert await bench.run() == "complete"
    done = await bench.action()
    assert (done.state, done.reason) == ("cancelled", "the turn went on without this call")


async def test_what_the_rules_reject_is_not_run_even_if_it_was_approved(bench: Bench) -> None:
    action = await bench.asked()
    await approve(bench, action, edited=EDITED)
    await bench.edit_agent(gate_policy=[{"tool": "Bash", "when": {"command": EDITED["command"]}, "then": "reject"}])
    assert await bench.run() == "complete"
    assert bench.agent.ran == []
    assert (await bench.action()).state == "cancelled"


async def test_a_call_that_is_always_allowed_asks_nobody_until_that_is_revoked(bench: Bench, conn: Connection) -> None:
    """Just this one: of this tool, with exactly these arguments."""
    action = await bench.asked()
    await approve(bench, action, always=True)
    assert await bench.run() == "complete"
    bench.agent.answered = False
    bench.agent.call = ToolCall("toolu_2", "Bash", COMMAND)
    await bench.say("again", action.session_id)
    assert await bench.run() == "complete"
    assert bench.agent.ran == [COMMAND, COMMAND]
    (always,) = await approvals.list_always(conn)
    assert isinstance(bench.agent.told[-1], Allow)
    assert bench.agent.told[-1].by == f"always allowed {always.id}"
    bench.agent.answered = False
    bench.agent.call = ToolCall("toolu_3", "Bash", {"command": "rm -r build "})
    await bench.say("and again", action.session_id)
    assert await bench.run() == "waiting"
    assert (
        await approvals.is_always_allowed(conn, user_id="bob", agent="assistant", tool="Bash", digest=always.digest)
        is None
    )
    await approvals.revoke_always(conn, always.id, "ann")
    assert (
        await approvals.is_always_allowed(
            conn, user_id=always.user_id, agent="assistant", tool="Bash", digest=always.digest
        )
        is None
    )
    with pytest.raises(NoSuchAction):
        await approvals.revoke_always(conn, always.id, "ann")
    assert await approvals.list_always(conn) == []


async def test_a_call_that_is_too_long_to_be_read_is_denied(bench: Bench) -> None:
    bench.agent.call = ToolCall("toolu_1", "Bash", {"command": "a" * (actions.MAX_ARGUMENTS_BYTES + 1)})
    await bench.say("clean up")
    assert await bench.run() == "complete"
    assert isinstance(bench.agent.told[-1], Deny)
    assert await actions.list_actions(bench.conn, states=None) == []


async def test_arguments_that_no_jsonb_could_hold_are_kept_and_run_as_they_are(bench: Bench) -> None:
    odd = {"command": "echo \x00 \ud800 \u202e", "n": 1e22}
    bench.agent.call = ToolCall("toolu_1", "Bash", odd)
    await approve(bench, await bench.asked())
    assert await bench.run() == "complete"
    assert bench.agent.ran == [odd]


async def test_a_run_that_lost_its_job_begins_nothing(bench: Bench, conn: Connection, database: Database) -> None:
    """Two resumes at once: the one whose token is old is refused; the mutant, without the fence, begins it."""
    action = await bench.asked()
    await approve(bench, action)
    (stale,) = await claim(conn, worker_id=bench.worker_id, queues=["chat"], job_types=[CHAT_TURN.name], slots=1)
    await execute(conn, "UPDATE jobs.jobs SET token = token + 1")
    with pytest.raises(LeaseLost):
        await actions.begin_execution(conn, stale, action.id)
    assert (await bench.action()).state == "approved"


async def test_of_two_that_begin_at_once_one_may_run_it(bench: Bench, conn: Connection, other: Connection) -> None:
    action = await bench.asked()
    await approve(bench, action)
    (job,) = await claim(conn, worker_id=bench.worker_id, queues=["chat"], job_types=[CHAT_TURN.name], slots=1)
    begun = await asyncio.gather(*(actions.begin_execution(one, job, action.id) for one in (conn, other)))
    assert sorted(one.state for one in begun if one) == ["executing", "unknown"]


@pytest.mark.parametrize(("dies", "says"), [("ran", "nobody knows"), ("ended", "ran to its end")])
async def test_a_second_cli_of_the_run_hears_what_became_of_the_call_in_the_first(
    bench: Bench, dies: str, says: str
) -> None:
    """The run has looked before the first one; told that the call was called off, the model would make it again."""
    action = await bench.asked()
    await approve(bench, action)
    bench.agent.dies, bench.agent.clis = dies, 2
    assert await bench.run() == "complete"
    assert bench.agent.ran == [COMMAND]
    told = bench.agent.told[-1]
    assert isinstance(told, Deny)
    assert says in told.reason
