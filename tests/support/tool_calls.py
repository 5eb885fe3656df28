"""People of tests, and their tools, called as a CLI's run calls them."""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from assistant.people import Role, User
from assistant.tools import RunContext, tools_for
from sessions import Call
from sessions import tools as own_tools


def someone(user_id: str, name: str, role: Role = "external") -> User:
    """A person as a run knows them."""
    now = datetime.now(UTC)
    return User(user_id, name, None, role, None, now, now)


ADA, BOB, OWNER = someone("ada", "Ada"), someone("bob", "Bob"), someone("olga", "Olga", "owner")
THEY_ARE_KNOWN = (
    "INSERT INTO jobs.users (id, name, role) VALUES ('ada', 'Ada', 'external'), ('bob', 'Bob', 'external'), "
    "('olga', 'Olga', 'owner')"
)


async def call(
    context: RunContext,
    name: str,
    /,
    *,
    run_id: UUID,
    call_id: str | None = None,
    known: Iterable[str] = (),
    **given: Any,
) -> str:
    """What the tool returns to a call of this run of a CLI; raises what it raises."""
    (tool,) = [tool for tool in tools_for(context) if tool.name == name]
    own_tools._call.set(Call(call_id, run_id, frozenset(known)))
    result = await tool.fn(tool.Input(**given))
    assert isinstance(result, str)
    return result
