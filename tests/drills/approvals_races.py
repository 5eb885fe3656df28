"""One chat of the drill: a call that waits for approval, those who decide about it all at once, and an agent that is struck.

say ─▶ the agent's call waits ─▶ deciders, messages, a cancel, the clock, all at once ─▶ workers go on, struck here and there
  ─▶ nothing of the chat is left to do ─▶ what the log of effects says, against who was told that they decided
"""

import asyncio
import random
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Literal
from uuid import UUID

from assistant import actions, approvals, chats
from assistant.action import Action
from assistant.approvals import Decider
from assistant.errors import AssistantError
from jobs_core import Connection, Database, Jobs, db, execute, fetch, fetch_one
from jobs_core.job import current
from sessions import Allow, Ask, DeferredCall, ToolCall, ToolEnd, TurnEnd, canonical, digest_of

Deed = Literal["approve", "edit", "reject", "expire", "supersede", "cancel", "time", "wrong digest", "wrong person"]
DEEDS: tuple[Deed, ...] = (
    "approve",
    "edit",
    "reject",
    "expire",
    "supersede",
    "cancel",
    "time",
    "wrong digest",
    "wrong person",
)
STRIKES = ("", "before", "begun", "ran", "ended", "zombie")
"""Where the run of a decided call is lost: before it is asked about, then before its tool, after it, after that is recorded.
A zombie is taken over while it stands before the first, and goes on."""
EFFECTS = "CREATE TABLE effects (call_id text, digest text, token bigint, stale boolean)"
DECIDERS = (Decider("ann", "owner"), Decider("ada", "owner"))
CLICKS = 50


class Struck(BaseException):
    """The process of a run is gone: nothing of it is settled."""


@dataclass(slots=True)
class Race:
    """One call, and what is to happen to it. told: who was told that they decided, and how."""

    number: int
    deeds: tuple[Deed, Deed]
    strike: str
    clicks: int
    changes: bool
    call: ToolCall
    turn_id: UUID | None = None
    answered: bool = False
    told: list[str] = field(default_factory=list)

    @property
    def name(self) -> str:
        """What its messages begin with."""
        return f"race-{self.number}"

    @property
    def edited(self) -> dict[str, Any]:
        """What one of the deciders would rather have run."""
        return {"command": f"rm -r part {self.number}"}


def drawn(number: int, rng: random.Random) -> Race:
    """A race as chance has it; an approval is among its deeds more often than not, or nothing would run."""
    first: Deed = rng.choice(("approve", "approve", "approve", "edit", "edit", *DEEDS))
    call = ToolCall(f"toolu_{number}", "Bash", {"command": f"rm -r {number}"})
    clicks = CLICKS if rng.random() < 0.04 else rng.choice((1, 1, 2))
    return Race(number, (first, rng.choice(DEEDS)), rng.choice(STRIKES), clicks, rng.random() < 0.1, call)


class Agents:
    """Stands in for ClaudeSessions: the first turn of a chat makes its race's call, and its tool writes the log of effects."""

    def __init__(self, database: Database, races: dict[str, Race]) -> None:
        self._database = database
        self._races = races

    async def run_turn(self, *, turn_id: UUID, prompt: str, agent: Any, **_: Any) -> TurnEnd:
        """One run of one turn, from where its call stands."""
        race = self._races[prompt.split(maxsplit=1)[0]]
        if race.turn_id is None:
            race.turn_id = turn_id
        if race.answered or turn_id != race.turn_id or not prompt.endswith("clean up"):
            return TurnEnd("Done.", None, "recorded")
        token = current.get().token
        decided = bool(race.told)
        if decided and race.strike == "zombie":
            race.strike = ""
            raise Zombie(race, agent, self)
        self._strike(race, "before", decided)
        return await self.call(race, agent, token, stale=False)

    async def call(self, race: Race, agent: Any, token: int, *, stale: bool) -> TurnEnd:
        """Ask the gate, and do as it says."""
        decided = bool(race.told)
        changed = decided and race.changes
        given = ToolCall(race.call.id, race.call.name, {"command": "rm -r /"}) if changed else race.call
        match await agent.decide(given):
            case Ask():
                return TurnEnd("", None, "asked", DeferredCall(given.id, given.name, given.input))
            case Allow(instead):
                self._strike(race, "begun", decided)
                await self._tool(race, instead or given.input, token, stale=stale)
                self._strike(race, "ran", decided)
                await agent.on_tool_end(given, ToolEnd(failed=False, result_digest="0"))
                self._strike(race, "ended", decided)
        race.answered = True
        return TurnEnd("Done.", None, "resumed")

    async def _tool(self, race: Race, ran_with: dict[str, Any], token: int, *, stale: bool) -> None:
        values = {
            "call_id": race.call.id,
            "digest": digest_of(canonical(ran_with)),
            "token": token,
            "stale": stale,
        }
        sql = "INSERT INTO effects VALUES (%(call_id)s, %(digest)s, %(token)s, %(stale)s)"
        async with self._database.connection() as conn:
            await execute(conn, sql, values)

    def _strike(self, race: Race, where: str, decided: bool) -> None:  # noqa: FBT001 - ours alone
        if decided and race.strike == where:
            race.strike = ""
            raise Struck


class Zombie(Struck):
    """A run that is taken over while it stands before its call, and goes on after that."""

    def __init__(self, race: Race, agent: Any, agents: Agents) -> None:
        super().__init__()
        self.race = race
        self.agent = agent
        self.agents = agents


async def decide(jobs: Jobs, race: Race, action: Action) -> None:
    """All that happens to the action, at once."""
    doing = [
        _do(jobs, race, action, deed, by)
        for deed, by in zip(race.deeds, DECIDERS, strict=True)
        for _ in range(race.clicks)
    ]
    await asyncio.gather(*doing)


async def last_word(jobs: Jobs, race: Race, action: Action) -> None:
    """Reject it, where nobody has decided: no race is left to wait."""
    await _do(jobs, race, action, "reject", DECIDERS[0])


async def _do(jobs: Jobs, race: Race, action: Action, deed: Deed, by: Decider) -> None:
    async def once() -> None:
        match deed:
            case "cancel":
                await jobs.cancel(action.job_id)
            case "supersede":
                async with jobs.database.transaction() as conn:
                    words = {"session_id": action.session_id, "channel": "web", "message": f"{race.name} no"}
                    (await chats.receive(conn, jobs, user_id=None, **words)).wake()  # type: ignore[arg-type]  # as receive's
            case "time":
                async with jobs.database.connection() as conn:
                    await _pass_the_time(conn, action)
            case _:
                async with jobs.database.connection() as conn:
                    decided = await _person(conn, race, action, deed, by)
                race.told.append(deed if decided.action.decided_by == by.id else f"{deed} by another")
                jobs.notifier.wake(decided.ready)

    with suppress(AssistantError):  # too late, or not theirs
        await db.retried(once)


async def _person(conn: Connection, race: Race, action: Action, deed: Deed, by: Decider) -> approvals.Decided:
    digest = action.digest
    match deed:
        case "edit":
            return await approvals.approve(conn, action.id, by, digest=digest, edited=race.edited)
        case "reject":
            return await approvals.reject(conn, action.id, by, digest=digest, reason="no")
        case "expire":
            return await approvals.expire(conn, action.id, by, digest=digest)
        case "wrong digest":
            return await approvals.approve(conn, action.id, by, digest=digest_of("{}"))
        case "wrong person":
            return await approvals.approve(conn, action.id, Decider("bob", "external"), digest=digest)
    return await approvals.approve(conn, action.id, by, digest=digest)


async def _pass_the_time(conn: Connection, action: Action) -> None:
    await execute(
        conn,
        "UPDATE jobs.pending_actions SET expires_at = clock_timestamp() WHERE id = %(id)s AND state = 'pending'",
        {"id": action.id},
    )
    await execute(
        conn,
        "UPDATE jobs.jobs SET wait_until = clock_timestamp() WHERE id = %(id)s AND state = 'waiting'",
        {"id": action.job_id},
    )


async def judged(conn: Connection, race: Race, action_id: int) -> list[str]:
    """What is wrong with a race when it is over."""
    action = await actions.find(conn, action_id)
    effects = await fetch(conn, "SELECT digest, token, stale FROM effects WHERE call_id = %(id)s", {"id": race.call.id})
    left = await fetch_one(
        conn, "SELECT count(*) AS n FROM jobs.jobs WHERE lane = %(lane)s", {"lane": f"turn:{action.session_id}"}
    )
    approved = {"approve": action.digest, "edit": digest_of(canonical(race.edited))}
    allowed = {approved[how] for how in race.told if how in approved}
    ran = {row["digest"] for row in effects}
    found = [
        (len(race.told) > 1, f"decided {len(race.told)} times"),
        (bool(race.told) and race.told[0] not in {"approve", "edit", "reject", "expire"}, "decided by one who may not"),
        (len(effects) > 1, f"executed {len(effects)} times"),
        (not ran <= allowed, "executed with arguments that nobody approved"),
        (any(row["stale"] for row in effects), "executed by a run that was taken over"),
        (action.state in {"pending", "approved", "executing"}, f"left {action.state}"),
        (action.state == "executed" and len(effects) != 1, "executed, and was not"),
        (action.state not in {"executed", "unknown"} and bool(effects), f"{action.state}, and was executed"),
        (any(row["token"] != action.executing_token for row in effects), "executed by another run than recorded"),
        (left is not None and left["n"] > 0, "its chat has jobs left"),
    ]
    return [what for wrong, what in found if wrong]
