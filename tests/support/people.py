"""What tests of people and agents stand on: contacts as a door has them, and an agent that says something of everything."""

from typing import Any

from assistant import people
from assistant.people import User
from jobs_core import Database

ADA, EVE = 4711, 666
NOTES = {"command": "notes", "args": ["--all"], "env": {"TOKEN": "hidden"}}
EVERYTHING: dict[str, Any] = {
    "owner_prompt": "Serve {owner}.",
    "external_prompt": "You are {owner}'s, and speak with {name}. {other}",
    "model": "claude-opus-5",
    "fallback_model": "claude-sonnet-5",
    "effort": "high",
    "tools": ["Bash", "Read"],
    "gate_policy": [{"tool": "Bash", "then": "ask"}],
    "mcp_servers": {
        "notes": NOTES,
        "web": {"type": "http", "url": "https://mcp.example/x", "headers": {"X-Key": "hidden"}},
    },
    "budget": {"turn_usd": 1.5, "day_usd": 20},
    "limits": {"max_turns": 30},
    "workspace": True,
}


async def contact(database: Database, address: object, channel: str = "telegram", **said: Any) -> User:
    """A contact in a transaction of its own, as a door has it."""
    async with database.transaction() as conn:
        return await people.contact(conn, channel, str(address), **said)


async def owner(database: Database) -> User:
    async with database.transaction() as conn:
        return await people.owner(conn)


async def set_role(database: Database, user: User, role: people.Role) -> User:
    async with database.transaction() as conn:
        return await people.set_role(conn, user.id, role)
