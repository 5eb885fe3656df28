"""What is written when somebody presses a button: what it decides, and that it was pressed, in the caller's one transaction.

    known? ─▶ what was shown then      who pressed it ─▶ assistant.presses ─▶ what to show them, after the commit

Telegram tells a press again until it is answered, so that one which a crash cut off comes once more.
"""

from assistant import presses
from gateways.telegram.after import After
from gateways.telegram.door import Door, person
from gateways.telegram.incoming import Pressed
from jobs_core import Connection, execute, fetch_one, statement


async def take_press(conn: Connection, door: Door, pressed: Pressed) -> After:
    """Decide what a button says, once; do what is returned after the commit."""
    values = {"account": door.held.name, "query_id": pressed.query_id}
    before = await fetch_one(conn, statement("gateways", "press/find"), values)
    if before is not None:
        return After(shown=[(pressed.query_id, before["shown"])])
    user = await person(conn, door, pressed)
    done = await presses.press(conn, door.jobs, user, pressed.data)
    values |= {
        "chat_id": pressed.chat_id,
        "message_id": pressed.message_id,
        "sender_id": pressed.sender_id,
        "shown": done.text,
    }
    await execute(conn, statement("gateways", "press/add"), values)
    return After(wake=[done.wake], shown=[(pressed.query_id, done.text)])
