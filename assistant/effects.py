"""What tools do in a turn is done once, though the turn is run again after a crash and the model asks again.

A call has an id, but a repeated one has another: a turn that was cut while a tool ran goes on with "its outcome is unknown", or
with no word of the call at all, and the model calls anew, perhaps in other words. So what was done is recorded with it, in one
transaction, by turn, tool and input:

    call ─▶ same input done in this turn?                     yes ─▶ what the first call was answered
            done by an earlier run, its result never seen,
            and this run not told of it yet?                  yes ─▶ "you did this before: …"; the model may call again
            else                                              ─▶ do it, record it

Verbs take the connection first, in the caller's transaction.
"""

from collections.abc import Awaitable, Callable
from hashlib import sha256
from uuid import UUID

from pydantic import BaseModel

from jobs_core import Connection, execute, fetch, gate, statement
from sessions import Call, ToolRefused

_MAX_RESULT_CHARS = 2_000


async def once(
    conn: Connection,
    call: Call,
    given: BaseModel,
    effect: Callable[[], Awaitable[str]],
    *,
    tool: str,
    turn_id: UUID,
    most: int,
) -> str:
    """What `effect` returns, done for this input in this turn, or why it was not done now, for the model to read.

    Raises ToolRefused where calls of the tool have done something in this turn `most` times.
    """
    key = {"turn_id": turn_id, "tool": tool, "digest": sha256(given.model_dump_json().encode()).digest()}
    await execute(conn, statement("assistant", "tool_effect/lock"), {"turn_id": turn_id})
    done = await fetch(conn, statement("assistant", "tool_effect/of_turn"), {"turn_id": turn_id, "tool": tool})
    for row in done:
        if row["digest"] == key["digest"]:
            return f"{row['result']} (That was so already, by an earlier call in this turn; it was not done again.)"
    if len(done) >= most:
        raise ToolRefused(f"{tool} was called {most} times in this turn, and may not be again: go on without it")
    for row in done:
        if row["call_id"] not in call.known and call.run_id not in {row["run_id"], row["told_to"]}:
            told = key | {"digest": row["digest"], "run_id": call.run_id}
            await execute(conn, statement("assistant", "tool_effect/tell"), told)
            return (
                f"Nothing was done now. Before you were interrupted in this turn, you had done this: {row['result']} "
                f"If you want something else done as well, call {tool} again."
            )
    result = gate.clean_text(await effect(), max_chars=_MAX_RESULT_CHARS)
    record = key | {"call_id": call.id, "run_id": call.run_id, "result": result}
    await execute(conn, statement("assistant", "tool_effect/record"), record)
    return result


async def forget_effects(conn: Connection, turn_id: UUID) -> None:
    """Forget what tools did in a turn that has ended."""
    await execute(conn, statement("assistant", "tool_effect/forget"), {"turn_id": turn_id})
