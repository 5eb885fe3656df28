"""The tools that agents have of us: what each kind of person may have done, made for one run of theirs.

    RunContext ─▶ tools_for ─▶ AgentSetup.own_tools          outsiders: three; the owner: theirs

A tool knows whom it works for from the context that it was made with: no argument of a call names that person, so none can lie.
What it writes, it writes in a transaction that begins with the fence on the run's job.
"""

from typing import Any

from assistant.tools.context import RunContext
from assistant.tools.files import send_file_tool
from assistant.tools.outsiders import outsiders_tools
from assistant.tools.owner import owners_tools
from assistant.tools.schedules import schedule_tools
from sessions import Tool

__all__ = ["RunContext", "tools_for"]


def tools_for(context: RunContext) -> list[Tool[Any]]:
    """The tools of this run's person."""
    if not context.user.is_owner:
        return outsiders_tools(context)
    tools = owners_tools(context) + schedule_tools(context)
    return tools + ([send_file_tool(context, context.workspace)] if context.workspace else [])
