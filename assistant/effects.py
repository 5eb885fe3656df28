"""What tools do in a turn is done once, though the turn is run again after a crash and the model asks again.

A call has an id, but a repeated one has another: a turn that was cut while a tool ran goes on with "its outcome is unknown", or
with no word of the call at all, and the model calls anew, perhaps in other words. So what was done is recorded with it, in one
transaction, by turn, tool and input:

    call ─▶ same input done in this turn?           yes ─▶ what the first call was answered
            done by an earlier run, not told yet?   yes ─▶ "you did this before: …"; the model decides, and may call again
            else                                        ─▶ do it, record it

Verbs take the connection first, in the caller's transaction.
"""

from collections.abc import Awaitable, Callable
from hashlib import sha256
from uuid import UUID

from pydantic import BaseModel

from jobs_core import Connection, execute, fetch, gate, statement
from sessions import ToolRefused

_MAX_RESULT_CHARS = 2_000


async def once(
    conn: Connection,
    given: BaseModel,
    effect: Callable[[], Awaitable[str]],
    *,
    tool: str,
    turn_id: UUID,
    run_id: UUID,
    most: int,
) -> str:
    """What `effect` returns, done for this input in this turn, or why it was not done now, for the model to read.

    run_id: the CLI's run that calls (`sessions.calling_run`). Raises ToolRefused where the turn did so `most` times before.
    """
    call = {"turn_id": turn_id, "tool": tool, "digest": sha256(given.model_dump_json().encode()).digest()}
    await execute(conn, statement("assistant", "tool_effect/lock"), {"turn_id": turn_id})
    done = await fetch(conn, statement("assistant", "tool_effect/of_turn"), {"turn_id": turn_id, "tool": tool})
    for row in done:
        if row["digest"] == call["digest"]:
            return f"{row['result']} (That was so already, by an earlier call in this turn; it was not done again.)"
    if len(done) >= most:
        raise ToolRefused(f"{tool} was called {most} times in this turn, and may not be again: go on without it")
    for row in done:
        if run_id not in {row["run_id"], row["told_to"]}:
            told = call | {"digest": row["digest"], "run_id": run_id}
            await execute(conn, statement("assistant", "tool_effect/tell"), told)
            return (
                f"Nothing was done now. Before you were interrupted in this turn, you had done this: {row['result']} "
                f"If you want something else done as well, call {tool} again."
            )
    result = gate.clean_text(await effect(), max_chars=_MAX_RESULT_CHARS)
    await execute(conn, statement("assistant", "tool_effect/record"), call | {"run_id": run_id, "result": result})
    return result


async def forget_effects(conn: Connection, turn_id: UUID) -> None:
    """Forget what tools did in a turn that has ended."""
    await execute(conn, statement("assistant", "tool_effect/forget"), {"turn_id": turn_id})
