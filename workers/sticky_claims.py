"""The claims of one worker id for jobs that wait for it (jobs_core/sticky.py), for the runners of ordinary jobs.

    wait (a hint that names this worker, room made, the poll) ─▶ others' turn? ─ no ─▶ claim what waits for it ─▶ runs.take ─┐
      ▲                                                                └─ yes ─▶ they claim first ─▲                         │
      └──────────────────────────────────────────────────────────────────────────────────────────────────────────────────────┘

Where no type of this process is sticky, nothing runs. What it misses is ready for all a moment later. After each claim of its
own, ordinary jobs that were left for want of room have their turn: or a lane that stays here would keep them out until its end.
"""

import asyncio
from collections.abc import Sequence
from typing import Any

from jobs_core import JobType
from jobs_core.sticky import claim_sticky
from jobs_core.tasks import wait_at_most
from workers.claims import Claimer, Claims, Runs, give_up_after_s


class StickyClaims:
    """The loop; `once` is one look. `others` claims ordinary jobs for these runs, and its lock is held meanwhile."""

    def __init__(self, claimer: Claimer, runs: Runs, job_types: Sequence[JobType[Any]], *, others: Claims) -> None:
        self._claimer = claimer
        self._runs = runs
        self._others = others
        self._had_its_turn = False
        self._give_up_after_s = give_up_after_s(job_type for job_type in job_types if job_type.sticky_key)
        self.job_types = list(self._give_up_after_s)
        self._look = asyncio.Event()
        self._wants_room = False

    def wake(self) -> None:
        """Look now: a job waits for this worker."""
        self._look.set()

    def room_made(self) -> None:
        """Look again if there was more to claim than there was room for."""
        if self._wants_room:
            self._look.set()

    async def run(self) -> None:
        """Claim until cancelled."""
        while self.job_types:
            wait_s = self._claimer.poll_s()
            self._look.clear()
            try:
                await self.once()
            except Exception as error:  # noqa: BLE001 - a worker that claims no more would live on for nothing
                wait_s = self._claimer.failed(error)
            await wait_at_most(self._look, wait_s)

    async def once(self) -> None:
        """Claim as many as there is room for, and hand them over."""
        if self._had_its_turn and self._others.left_some and self._runs.room():
            self._had_its_turn = False
            await self._others.once()
        async with self._others.lock:
            room = self._runs.room()
            self._wants_room = not room
            if not room:
                return
            async with self._claimer.database.connection() as conn:
                jobs = await claim_sticky(
                    conn,
                    worker_id=self._claimer.worker_id,
                    queues=self._claimer.queues,
                    job_types=self.job_types,
                    slots=room,
                    give_up_after_s=self._give_up_after_s,
                )
            self._wants_room = len(jobs) == room
            self._had_its_turn = bool(jobs)
            self._runs.take(jobs)
            if self._wants_room and self._runs.room():  # made while the claim was under way, when none was wanted
                self._look.set()
