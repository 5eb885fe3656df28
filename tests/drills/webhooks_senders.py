"""Senders of the webhooks drill: each event until it is acknowledged, some twice at once, some again, some with another body.

send ─┬─ no answer, 429, 503: again, signed anew
      └─ 2xx: noted ─▶ perhaps the same again: 2xx ─▶ perhaps another body under its id: 409, and never 2xx
"""

import asyncio
import json
import random
import time
from collections import Counter
from dataclasses import dataclass, field

import httpx

from gateways.webhooks import signing

SOURCE = "drill"
_AT_ONCE = 24
_AGAIN_S = 0.03
_MAY_BE_SENT_AGAIN = (429, 502, 503)


@dataclass(slots=True)
class Heard:
    """acknowledged: of each event (number), the event and job ids it was told with 2xx. statuses: of all answers, and
    "none". forged: how many of another body were taken."""

    acknowledged: dict[int, list[tuple[int, int | None]]] = field(default_factory=dict)
    statuses: Counter[str] = field(default_factory=Counter)
    forged: int = 0


class Senders:
    """Sends `events` events, so many at once, to a door at `url`."""

    def __init__(self, url: str, secret: str, events: int, seed: int) -> None:
        self.heard = Heard()
        self._url = url
        self._secret = secret
        self._numbers = iter(range(events))
        self._rng = random.Random(seed)

    async def run(self) -> None:
        """Until all are acknowledged."""
        limits = httpx.Limits(max_connections=2 * _AT_ONCE)
        async with httpx.AsyncClient(base_url=self._url, timeout=30, limits=limits, trust_env=False) as client:
            await asyncio.gather(*(self._send_some(client) for _ in range(_AT_ONCE)))

    async def _send_some(self, client: httpx.AsyncClient) -> None:
        for n in self._numbers:
            twice, again, forge = (self._rng.random() < share for share in (0.2, 0.2, 0.2))
            await asyncio.gather(*(self._until_taken(client, n) for _ in range(1 + twice)))
            if again:
                await self._until_taken(client, n)
            if forge:
                answer = await self._until_answered(client, n, {"n": n, "forged": True})
                self.heard.forged += answer.is_success

    async def _until_taken(self, client: httpx.AsyncClient, n: int) -> None:
        answer = await self._until_answered(client, n, {"n": n})
        if answer.is_success:
            told = answer.json()
            self.heard.acknowledged.setdefault(n, []).append((told["event_id"], told["job_id"]))

    async def _until_answered(self, client: httpx.AsyncClient, n: int, event: dict[str, object]) -> httpx.Response:
        body = json.dumps(event).encode()
        while True:
            headers = signing.sign([self._secret], f"msg_{n}", int(time.time()), body)
            try:
                answer = await client.post(f"/hooks/{SOURCE}", content=body, headers=headers)
            except httpx.HTTPError:
                self.heard.statuses["none"] += 1
            else:
                self.heard.statuses[str(answer.status_code)] += 1
                if answer.status_code not in _MAY_BE_SENT_AGAIN:
                    return answer
            await asyncio.sleep(_AGAIN_S)
