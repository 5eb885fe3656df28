"""What the demo makes of "every weekday at nine, tell me what is open": the call that a model would make of it.

Only where the agent has a tool for schedules. Other words for the same are left to models.
"""

import re
from typing import Final

from simulator.conversation import Conversation
from simulator.script import ToolCall

TOOL: Final = "mcp__jobs__create_schedule"
_HOURS: Final = ["one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"]
_WEEK: Final = ["sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday"]
_DAYS: Final = {"day": "*", "weekday": "mon-fri", "weekend": "sat,sun", **{day: day[:3] for day in _WEEK}}
_NOON: Final = 12
_ASKED: Final = re.compile(
    rf"every ({'|'.join(_DAYS)}) at (?:({'|'.join(_HOURS)})|([0-9]{{1,2}})(?::([0-5][0-9]))?)(?: ?(am|pm))?\b[\s,:]*(.+)",
    re.IGNORECASE | re.DOTALL,
)


def scheduling(conversation: Conversation) -> ToolCall | None:
    """The call that makes the schedule which the last message asks for; None: it asks for none, or it was made."""
    asked = _ASKED.fullmatch(conversation.prompt.strip())
    if asked is None or conversation.round or TOOL not in conversation.tools:
        return None
    day, word, digits, minute, half, prompt = asked.groups()
    hour = _HOURS.index(word.lower()) + 1 if word else int(digits)
    hour = hour % _NOON + _NOON * (half.lower() == "pm") if half else hour
    name = f"{day.lower()}-{hour:02}{minute or '00'}"
    return ToolCall(TOOL, {"name": name, "cron": f"{minute or 0} {hour} * * {_DAYS[day.lower()]}", "prompt": prompt})
