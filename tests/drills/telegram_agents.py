"""Scripted agents of the Telegram drill, who answer, wait or make a call that needs approval, as what they are asked says."""

import asyncio
import re
import time
from typing import Any

from sessions import Allow, Ask, DeferredCall, ToolCall, ToolEnd, TurnEnd


class Agents:
    """Stands in for ClaudeSessions. picked_s: when the message of a number was taken up. busy: turns that wait for `go_on`.

    thinks_s: what an answer takes; at once unless set.
    """

    def __init__(self) -> None:
        self.picked_s: dict[int, float] = {}
        self.busy = 0
        self.thinks_s = 0.0
        self.go_on = asyncio.Event()
        self.ask = asyncio.Event()

    async def run_turn(self, *, prompt: Any, agent: Any, **_: Any) -> TurnEnd:
        """Answer; or wait, or make a call, as one is told."""
        now_s, numbers = time.time(), re.findall(r"#(\d+)", str(prompt))
        for number in numbers:
            self.picked_s.setdefault(int(number), now_s)
        await asyncio.sleep(self.thinks_s)
        if "hang" in str(prompt):
            self.busy += 1
            await self.go_on.wait()
        if "call" in str(prompt):
            await self.ask.wait()
            return await self._call(agent)
        return TurnEnd("Answer " + " ".join(numbers), None, "asked")

    async def _call(self, agent: Any) -> TurnEnd:
        call = ToolCall("toolu_1", "Bash", {"command": "make"})
        match await agent.decide(call):
            case Ask():
                return TurnEnd("", None, "asked", DeferredCall(call.id, call.name, call.input))
            case Allow():
                await agent.on_tool_end(call, ToolEnd(failed=False, result_digest="0"))
        return TurnEnd("Called.", None, "resumed")
