"""What an owner says of a call of which nobody knew whether it ran: that it did, or did not.

    unknown ─ close ─┬─ ran ─▶ executed      with a row of the audit, in one transaction
                     └─ not run ─▶ cancelled

Nothing is run, and no job goes on: the model was told that nobody knows. Verbs take the connection first.
"""

from assistant import action_cards, metrics
from assistant.action import Action
from assistant.actions import find
from assistant.approvals import MAX_REASON_CHARS, Decider
from assistant.errors import MayNotDecide, NotDecided
from jobs_core import Connection, fetch_one, gate, statement
from sessions.tool_calls import Word, record_word


async def close(
    conn: Connection, action_id: int, by: Decider, *, ran: bool, digest: str, reason: str | None = None
) -> Action:
    """Close an action that is unknown; returns it. digest: as for `approvals.approve`.

    Raises NoSuchAction, MayNotDecide for whoever is no owner, and NotDecided where it is not unknown, or has another digest;
    nothing was written then.
    """
    found = await find(conn, action_id)
    if by.role != "owner":
        raise MayNotDecide(f"{by.id} may not close action {action_id}; role:owner may")
    who = gate.clean_text(by.id, max_chars=gate.MAX_NAME_CHARS)
    said = f"{who} said that it {'ran' if ran else 'did not run'}"
    why = f": {gate.clean_text(reason, max_chars=MAX_REASON_CHARS)}" if reason else ""
    values = {"id": action_id, "digest": digest, "state": "executed" if ran else "cancelled", "said": said + why}
    async with conn.transaction():
        row = await fetch_one(conn, statement("assistant", "action/close"), values)
        if row is None:
            now = await find(conn, action_id)
            raise NotDecided(
                f"Action {action_id} is {now.state}, with the digest {now.digest}: one that is unknown is closed, under the "
                "digest that was shown; nothing was changed"
            )
        word = Word(
            found.claude_session_id,
            found.turn_id,
            found.call_id,
            found.user_id,
            found.agent,
            found.tool,
            found.digest,
            found.runs_with[1] if ran else None,
            f"{said}, in action {action_id}",
        )
        await record_word(conn, word)
        action = Action(**row)
        await action_cards.changed(conn, action)
    metrics.approvals.labels(action.state).inc()
    return action
