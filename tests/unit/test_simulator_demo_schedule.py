"""What the demo makes of words that ask for a schedule."""

import pytest

from simulator.conversation import Conversation
from simulator.demo import respond
from simulator.demo_schedule import TOOL
from simulator.script import Text, ToolCall


def asked(prompt: str, rounds: int = 0, tools: tuple[str, ...] = (TOOL,)) -> Conversation:
    return Conversation((prompt,), rounds, (), prompt, tools)


@pytest.mark.parametrize(
    ("words", "name", "cron"),
    [
        ("every weekday at nine, tell me what is open", "weekday-0900", "0 9 * * mon-fri"),
        ("Every Day at 7:30 tell me what is open", "day-0730", "30 7 * * *"),
        ("every friday at 5 pm: tell me what is open", "friday-1700", "0 17 * * fri"),
        ("every weekend at 12am tell me what is open", "weekend-0000", "0 0 * * sat,sun"),
    ],
)
def test_a_day_and_a_time_become_a_schedule(words: str, name: str, cron: str) -> None:
    (call,) = respond(asked(words))
    assert call == ToolCall(TOOL, {"name": name, "cron": cron, "prompt": "tell me what is open"})


@pytest.mark.parametrize(
    "conversation",
    [
        asked("every weekday at nine, tell me", tools=()),
        asked("every weekday at nine, tell me", rounds=1),
        asked("every weekday at nine"),
        asked("I run every weekday at nine, and you?"),
    ],
)
def test_anything_else_is_answered(conversation: Conversation) -> None:
    (step,) = respond(conversation)
    assert isinstance(step, Text)
