"""People of tests, and their tools, called as a CLI's run calls them."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from assistant.tools import RunContext, tools_for
from sessions import Call
from sessions import tools as own_tools


@dataclass(frozen=True)
class Someone:
    """A person as a run knows them."""

    id: str
    name: str
    role: str = "external"


ADA = Someone("ada", "Ada")
BOB = Someone("bob", "Bob")
OWNER = Someone("olga", "Olga", "owner")


async def call(
    context: RunContext, name: str, *, run_id: UUID, call_id: str | None = None, known: Iterable[str] = (), **given: Any
) -> str:
    """What the tool returns to a call of this run of a CLI; raises what it raises."""
    (tool,) = [tool for tool in tools_for(context) if tool.name == name]
    own_tools._call.set(Call(call_id, run_id, frozenset(known)))
    result = await tool.fn(tool.Input(**given))
    assert isinstance(result, str)
    return result
