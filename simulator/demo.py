"""What the simulator says when no script tells it what to say.

Short and honest: it names itself, and shows by what it quotes that the conversation really reaches the model.
"""

from typing import Final

from simulator.conversation import Conversation
from simulator.demo_schedule import scheduling
from simulator.script import Response, Text

_QUOTED_CHARACTERS: Final = 500


def respond(conversation: Conversation) -> Response:
    """Return what the demo does: it makes a schedule that it is asked for, and answers."""
    call = scheduling(conversation)
    return (call,) if call else (Text(reply(conversation)),)


def reply(conversation: Conversation) -> str:
    """Return the demo's answer to the last message of a conversation."""
    if conversation.tool_results:
        results = "; ".join(_quote(result) for result in conversation.tool_results)
        return f"This is the simulator, no model was asked. The tool answered: {results}"
    prompts = conversation.prompts
    if not prompts:
        return "This is the simulator, no model was asked. There was no text in your message."
    asks_for_first = all(word in prompts[-1].lower() for word in ("what", "say", "first"))
    if asks_for_first and len(prompts) > 1:
        return f"The first thing you said was: {_quote(prompts[0])} (This is the simulator, no model was asked.)"
    return f"This is the simulator, no model was asked. Your message {len(prompts)} here: {_quote(prompts[-1])}"


def _quote(text: str) -> str:
    shown = text if len(text) <= _QUOTED_CHARACTERS else text[:_QUOTED_CHARACTERS] + "…"
    return f"“{shown.strip()}”"
