"""The claims of one worker id for jobs with limits or turns, for the runners that its ordinary claims fill, too.

    wait (a hint at such a type, upkeep has seen such jobs, room, a permit due) ─▶ claim, with slots ─▶ runs.take ─┐
      ▲                                                                                                                   │
      └────────────────────────────────────────────────── nothing that has slots is left ◀────────────────────────────────┘

It asks Postgres nothing by itself: where nobody uses limits or turns it costs nothing. The hint is the quick way; the sure
one is upkeep's look, which sees in passing that such jobs stand ready, whoever's they are, and while they do, this polls. A
job of a brief type is claimed like any other here, for a free runner only: it holds its slots from then on.
"""

import asyncio
import math
import random
from collections.abc import Sequence
from typing import Any

from jobs_core import JobType
from jobs_core.claim_limited import Found, claim_limited
from jobs_core.tasks import wait_at_most
from workers.claims import CONTENDED_S, GATHER_S, LONGEST_CONTENDED_S, Claimer, Runs, give_up_after_s


class LimitedClaims:
    """The loop; `once` is one look. `lock` is held while any claim for these runs is under way: they share the room.

    After a look that found nothing, upkeep's word is passed by for as long as the claimer polls.
    """

    def __init__(
        self,
        claimer: Claimer,
        runs: Runs,
        job_types: Sequence[JobType[Any]],
        *,
        lock: asyncio.Lock,
    ) -> None:
        self._claimer = claimer
        self._runs = runs
        self._lock = lock
        self._give_up_after_s = give_up_after_s(
            job_types
        )  # all types: who created a job may know limits that we do not
        self._with_limits = {job_type.name for job_type in job_types if job_type.waits_apart}
        self._poll_at = 0.0
        self._contended_s = CONTENDED_S
        self._look = asyncio.Event()
        self._wants_room = False
        self._after = ""
        self._again_at = math.inf  # for the groups that this round of looks has stepped over

    def wake(self, job_type: str | None = None) -> None:
        """Look now, if jobs of this type may wait apart: one may be ready, or a slot may be free for it.

        None: hints may have been missed; upkeep sees at its next round whether there is anything to look for.
        """
        if job_type is None:
            self._poll_at = 0.0
        elif job_type in self._with_limits:
            self._look.set()

    def poll(self) -> None:
        """Look, unless one found nothing a moment ago: somebody's job with limits stands ready."""
        if asyncio.get_running_loop().time() >= self._poll_at:
            self._look.set()

    def room_made(self) -> None:
        """Look again if there was more to claim than there was room for."""
        if self._wants_room:
            self._look.set()

    async def run(self) -> None:
        """Claim until cancelled."""
        wait_s: float | None = None
        while True:
            await wait_at_most(self._look, wait_s)
            if self._runs.room() < self._runs.wave:
                await asyncio.sleep(GATHER_S)  # at work already: more may end and make room, and free slots, meanwhile
            self._look.clear()
            try:
                wait_s = await self.once()
            except Exception as error:  # noqa: BLE001 - a worker that claims no more would live on for nothing
                wait_s = self._claimer.failed(error)

    async def once(self) -> float | None:
        """Claim and hand over; returns how long to wait for the next look, None: until somebody asks for it."""
        async with self._lock:
            room = self._runs.room()
            self._wants_room = not room
            if not room:
                return None
            if not self._after:
                self._again_at = math.inf
            async with self._claimer.database.connection() as conn:
                found = await claim_limited(
                    conn,
                    worker_id=self._claimer.worker_id,
                    queues=self._claimer.queues,
                    job_types=list(self._give_up_after_s),
                    slots=room,
                    give_up_after_s=self._give_up_after_s,
                    after=self._after,
                )
            self._after = found.after
            permit_in_s = 0.0 if found.jobs else found.permit_in_s  # what these took is not known yet
            if permit_in_s is not None:
                self._again_at = min(self._again_at, asyncio.get_running_loop().time() + permit_in_s)
            if found.jobs:
                self._runs.take(found.jobs)
        return 0.0 if len(found.jobs) == room else self._wait_s(found)

    def _wait_s(self, found: Found) -> float | None:
        now = asyncio.get_running_loop().time()
        again_in_s = found.again_in_s
        if again_in_s != 0.0 and self._again_at < math.inf:
            again_in_s = max(self._again_at - now, 0.0)
        if not found.contended:
            self._contended_s = CONTENDED_S
            if not found.jobs:
                pause_s = self._claimer.poll_s() * random.uniform(0.9, 1.0)  # noqa: S311 - keeps workers out of step
                self._poll_at = now + pause_s
            return again_in_s
        contended_s, self._contended_s = self._contended_s, min(self._contended_s * 2, LONGEST_CONTENDED_S)
        return contended_s if again_in_s is None else min(contended_s, again_in_s)
