"""People with private chats at Telegram, as an ingress leaves them behind, without one."""

from uuid import uuid4

from assistant import people
from assistant.people import User
from jobs_core import Connection, Database, execute

_SAID = "INSERT INTO jobs.chat_message_history (session_id, type, content) VALUES (%(chat)s, 'human', 'hello')"
_CHAT = """
INSERT INTO jobs.chat_sessions (session_id, channel, user_id, agent_name, account, claude_session_id)
VALUES (%(chat)s, 'telegram', %(user_id)s, 'assistant', %(account)s, %(claude)s) ON CONFLICT DO NOTHING
"""


async def owner_at(database: Database, conn: Connection, number: int, account: str = "bot") -> User:
    """The owner, who has a private chat under this number."""
    async with database.transaction() as own:
        user = await people.owner(own)
        await people.contact(own, "telegram", str(number), tg_user_id=number, owner_tg_user_id=number)
    await come(conn, user, number, account)
    return user


async def person_at(database: Database, conn: Connection, number: int, account: str = "bot") -> User:
    """Somebody who has one."""
    async with database.transaction() as own:
        user = await people.contact(own, "telegram", str(number), name="Ada", tg_user_id=number)
    await come(conn, user, number, account)
    return user


async def come(conn: Connection, user: User, number: int, account: str, *, named: bool = False) -> str:
    """Say something in the private chat with this account, the first one of ours, or one that is named in chats; the chat."""
    chat = f"telegram_{account}_{number}" if named else f"telegram_{number}"
    await execute(conn, _CHAT, {"chat": chat, "user_id": user.id, "account": account, "claude": uuid4()})
    await execute(conn, _SAID, {"chat": chat})
    return chat
