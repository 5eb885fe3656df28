"""Inline buttons: a bot's answer to a press."""

from __future__ import annotations

from typing import Any

from telethon import functions, types

from tests.support.telegram.call import Call, Refused, answers


@answers(functions.messages.SetBotCallbackAnswerRequest)
def answer_press(call: Call, request: Any) -> Any:
    """Answer a press, once, while its person waits."""
    press = call.world.presses.get(request.query_id)
    if press is None or press.bot is not call.account or press.is_answered:
        raise Refused("QUERY_ID_INVALID")
    press.answer.set_result(
        types.messages.BotCallbackAnswer(
            request.cache_time, alert=request.alert, message=request.message, url=request.url
        )
    )
    return True
