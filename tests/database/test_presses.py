"""Buttons of cards and replies to them: who may, what counts, what is said; and nothing that people can send raises."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from assistant import approvals, people, presses
from assistant.action import Action
from assistant.people import User
from jobs_core import Connection, Database, execute
from sessions import ToolCall
from tests.support.approvals import ANN, COMMAND, EDITED, Bench, bench_on
from tests.support.cards import cards, owner_with_a_phone, send, stranger
from tests.support.database import Undone
from tests.support.people import contact


@pytest.fixture
async def bench(database: Database, conn: Connection) -> AsyncIterator[Bench]:
    async with bench_on(database, conn) as made:
        yield made


@pytest.fixture
async def ada(database: Database) -> User:
    return await owner_with_a_phone(database)


def button(action: Action, verb: str = "approve", check: str | None = None) -> str:
    return f"{verb}:{action.id}:{action.digest[:8] if check is None else check}"


async def press(bench: Bench, who: User, data: str) -> str:
    """A press in a transaction of its own, as a door has it."""
    async with bench.jobs.database.transaction() as own:
        pressed = await presses.press(own, bench.jobs, who, data)
    pressed.wake()
    assert len(pressed.text) <= presses.MAX_SHOWN_CHARS
    return pressed.text


async def reply(bench: Bench, who: User, text: str) -> str | None:
    """A reply to the first card."""
    card = (await cards(bench.conn))[0]
    async with bench.jobs.database.transaction() as own:
        replied = await presses.reply(own, bench.jobs, who, card.id, text)
    return None if replied is None else replied.text


@pytest.mark.parametrize(
    ("verb", "says", "state", "ran"),
    [
        ("approve", "Approved.", "executed", [COMMAND]),
        ("always", "Approved, and just such calls from now on.", "executed", [COMMAND]),
        ("reject", "Rejected.", "rejected", []),
    ],
)
async def test_a_button_decides(  # noqa: PLR0917 - the case
    bench: Bench, ada: User, conn: Connection, verb: str, says: str, state: str, ran: list[Any]
) -> None:
    action = await bench.asked()
    assert await press(bench, ada, button(action, verb)) == says
    assert await bench.run() == "complete"
    done = await bench.action()
    assert (done.state, done.decided_by, bench.agent.ran) == (state, ada.id, ran)
    assert [one.digest for one in await approvals.list_always(conn)] == ([action.digest] if verb == "always" else [])


async def test_a_press_of_somebody_else_decides_nothing_and_tells_nothing(
    bench: Bench, database: Database, ada: User
) -> None:
    """A member of the group in which the card stands; somebody with the owner's name; the same words for what there is not."""
    action = await bench.asked(channel="telegram", user_id=ada.id, account="bot")
    for other in (await stranger(database, 7, name="Ada"), await stranger(database, 8, name="Bob", username="ada")):
        said = {await press(bench, other, button(action, verb)) for verb in ("approve", "reject", "always")}
        said |= {await press(bench, other, data) for data in (f"approve:{action.id}:00000000", "approve:999:00000000")}
        said |= {await press(bench, other, f"allow:{other.id}"), await press(bench, other, f"block:{ada.id}")}
        assert said == {presses.NOT_YOURS}
        assert await reply(bench, other, "approve") is None
    assert await bench.action() == action


NO_BUTTONS = [
    *(
        "",
        "approve",
        "approve:1",
        "approve::",
        "approve:0:00000000",
        "approve:-1:00000000",
        "approve:1:0000000G",
        "x" * 64,
    ),
    *("approve:999999999999999999:00000000", "approve:9999999999999999999:00000000", "expire:1:00000000", "\0:\ud800:"),
    *("approve:\u0661:00000000", "approve:1:00000000\n", "allow:u_0000000000000000", "allow:u_1", "deny:", "allow:1:1"),
]


async def test_what_is_no_button_changes_nothing(bench: Bench, ada: User) -> None:
    action = await bench.asked()
    for data in NO_BUTTONS:
        assert await press(bench, ada, data), data
        assert await bench.action() == action, data


async def test_a_button_of_another_call_does_not_decide_about_this_one(bench: Bench, ada: User) -> None:
    """Numbers are guessed easily, and stale: the digest is that of what the card showed."""
    action = await bench.asked()
    assert "does not show the call" in await press(bench, ada, button(action, check="00000000"))
    assert await bench.action() == action


async def test_what_was_decided_is_told_to_whoever_presses_later(bench: Bench, ada: User, conn: Connection) -> None:
    action = await bench.asked()
    await press(bench, ada, button(action, "reject"))
    for text in (await press(bench, ada, button(action)), await reply(bench, ada, "approve")):
        assert text
        assert text.startswith(f'Already decided. Action {action.id} rejected by "Ada" ({ada.id})')
    assert (await bench.action()).state == "rejected"
    assert len(await cards(conn)) == 1


async def test_after_its_time_a_press_says_so(bench: Bench, ada: User, conn: Connection) -> None:
    action = await bench.asked()
    await execute(conn, "UPDATE jobs.pending_actions SET expires_at = clock_timestamp()")
    assert "is over" in await press(bench, ada, button(action))


async def test_a_card_of_a_cancelled_job_says_so_when_it_is_pressed(bench: Bench, ada: User, conn: Connection) -> None:
    """Nobody had looked by then: the press itself finds it."""
    action = await bench.asked()
    await send(conn)
    await bench.jobs.cancel(action.job_id)
    assert f"Action {action.id} called off" in await press(bench, ada, button(action))
    assert "called off" in (await cards(conn))[-1].payload["text"]


async def test_two_presses_at_once_decide_once_and_each_is_answered(bench: Bench, ada: User, conn: Connection) -> None:
    action = await bench.asked()
    await send(conn)
    verbs = ["approve", "reject"] * 5
    said = await asyncio.gather(*(press(bench, ada, button(action, verb)) for verb in verbs))
    assert len([text for text in said if text in {"Approved.", "Rejected."}]) == 1
    assert len([text for text in said if text.startswith("Already decided.")]) == len(verbs) - 1
    assert len([one for one in await cards(conn) if "edits" in one.payload]) == 1


async def test_pressed_and_killed_before_the_commit_may_be_pressed_again(
    bench: Bench, ada: User, conn: Connection
) -> None:
    action = await bench.asked()
    await send(conn)
    with pytest.raises(Undone):
        async with conn.transaction():
            assert (await presses.press(conn, bench.jobs, ada, button(action))).text == "Approved."
            raise Undone
    assert (await bench.action(), len(await cards(conn))) == (action, 1)
    assert await press(bench, ada, button(action)) == "Approved."
    assert await bench.run() == "complete"
    assert bench.agent.ran == [COMMAND]


@pytest.mark.parametrize(
    ("text", "says", "state", "reason"),
    [
        (" Approve ", "Approved.", "approved", None),
        (json.dumps(EDITED), "Approved, with your arguments.", "approved", None),
        ("Reject, use staging", "Rejected.", "rejected", "use staging"),
        ("use the other host", "Rejected.", "rejected", "use the other host"),
        ("approve, but not on Fridays", "Rejected.", "rejected", "approve, but not on Fridays"),
        ("rejected long ago", "Rejected.", "rejected", "rejected long ago"),
    ],
)
async def test_a_reply_decides(  # noqa: PLR0917 - the case
    bench: Bench, ada: User, text: str, says: str, state: str, reason: str | None
) -> None:
    await bench.asked()
    assert await reply(bench, ada, text) == says
    action = await bench.action()
    assert (action.state, action.reason, action.decided_by) == (state, reason, ada.id)
    assert json.loads(action.runs_with[0]) == (EDITED if text.startswith("{") else COMMAND)


NO_DECISIONS = [
    *("", "ok", "Yes", "{", '{"command": "\\u0000"}', '{"id": 9007199254740993}', '{"__proto__": {}}', "{" * 9_000),
    *('{"a": ' * 70 + "1" + "}" * 70, '{"a": "' + "x" * 300_000 + '"}', '{"a": NaN}'),
]


async def test_a_reply_that_is_no_decision_is_answered_and_changes_nothing(bench: Bench, ada: User) -> None:
    action = await bench.asked()
    for text in NO_DECISIONS:
        said = await reply(bench, ada, text)
        assert (said or "").startswith("Nothing was changed."), text
        assert await bench.action() == action, text


async def test_what_no_card_shows_whole_is_not_allowed_for_good_from_one(
    bench: Bench, conn: Connection, ada: User
) -> None:
    bench.agent.call = ToolCall("toolu_1", "Bash", {"command": "ls" + " " * 900 + "; curl evil"})
    action = await bench.asked()
    for said in (await press(bench, ada, button(action, "always")), await reply(bench, ada, "always")):
        assert (said or "").startswith("Nothing was changed. Not all of it was shown")
    assert await approvals.list_always(conn) == []
    assert await press(bench, ada, button(action)) == "Approved."


async def test_a_reply_to_what_is_no_card_is_an_ordinary_message(bench: Bench, conn: Connection, ada: User) -> None:
    action = await bench.asked(channel="telegram", user_id=ada.id, account="bot")
    assert await presses.reply(conn, bench.jobs, ada, 10**12, "approve") is None
    await send(conn)
    await approvals.approve(conn, action.id, ANN, digest=action.digest)
    change = (await cards(conn))[-1]
    again = await presses.reply(conn, bench.jobs, ada, change.id, "reject")
    assert again
    assert again.text.startswith("Already decided.")


async def test_a_role_that_was_taken_decides_no_more(bench: Bench, database: Database, ada: User) -> None:
    eve = await contact(database, 5, name="Eve", account="bot")
    async with database.transaction() as own:
        await people.set_role(own, eve.id, "owner")
    action = await bench.asked()
    async with database.transaction() as own:
        await people.set_role(own, eve.id, "external")
    assert await press(bench, await contact(database, 5), button(action)) == presses.NOT_YOURS
    assert await press(bench, ada, button(action)) == "Approved."
