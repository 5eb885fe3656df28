"""What must be true: the queue's rules in Python, as plain as they can be said, without time, locks or tables.

The walk tells it what was done; it says which rows there must be then. Nothing here looks at the database.
"""

from collections import Counter
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from jobs_core import RetryPolicy
from jobs_core.children import CHILDREN, record_of
from jobs_core.upkeep import MAX_LOST_ALONE
from tests.drills.walk.known import EventKey, Known, Step, Worker, must
from tests.drills.walk.model_ageing import Ageing
from tests.drills.walk.model_lanes import Lanes
from tests.drills.walk.model_limits import Limits
from tests.drills.walk.model_pauses import Pauses
from tests.drills.walk.model_sticky import Sticky
from tests.drills.walk.model_turns import Turns, key_of

RETRIES = RetryPolicy(max_retries=2, first_s=3600, last_s=3600)
GIVE_UP_H = 24.0
"""After its first claim, time in which it waits or an operator keeps it back not counted."""


@dataclass(slots=True)
class Model:
    """Everything that the tables must show. events: those emitted, with their payload. awaited: names with a row of theirs.

    notes: who wrote it, by job, kind and number. redrives: the job that does an ended one again.
    """

    jobs: dict[int, Known] = field(default_factory=dict)
    ended: dict[int, Known] = field(default_factory=dict)
    lanes: Lanes = field(default_factory=Lanes)
    workers: dict[int, Worker] = field(default_factory=dict)
    attempts: Counter[tuple[int, int, str]] = field(default_factory=Counter)
    steps: dict[tuple[int, str], Step] = field(default_factory=dict)
    events: dict[str, Any] = field(default_factory=dict)
    awaited: set[str] = field(default_factory=set)
    requests: set[int] = field(default_factory=set)
    keys: dict[tuple[str, str], EventKey] = field(default_factory=dict)
    effects: Counter[tuple[int, int]] = field(default_factory=Counter)
    limits: Limits = field(default_factory=Limits)
    pauses: Pauses = field(default_factory=Pauses)
    sticky: Sticky = field(default_factory=Sticky)
    turns: Turns = field(default_factory=Turns)
    ageing: Ageing = field(default_factory=Ageing)
    notes: dict[tuple[int, str, int], int] = field(default_factory=dict)
    redrives: dict[int, int] = field(default_factory=dict)
    tokens: set[int] = field(default_factory=set)
    _times: "count[int]" = field(default_factory=count)

    def create(self, job: Known, *, later: bool) -> None:
        """A new job, due now or later."""
        self.jobs[job.id] = job
        if not later:
            self._become_due(job)
            self._prefer(job)

    def holder(self, job_type: str, unique_key: str | None) -> int | None:
        """The job that has this key."""
        holders = [
            j.id for j in self.jobs.values() if j.holds_key and (j.job_type, j.unique_key) == (job_type, unique_key)
        ]
        return holders[0] if holders else None

    def claim(self, job_id: int, worker: int, token: int) -> None:
        """A worker has it; the token is a new one, higher than all before."""
        job = self.jobs[job_id]
        mine = job.state == "ready" or job.prefers == worker
        must(mine, f"S4: job {job_id} was claimed by worker {worker}, though it is {job.state}, for {job.prefers}")
        must(not self.pauses.keep_back(job), f"job {job_id} was claimed, though it is paused")
        must(token > max(self.tokens, default=0), f"S3: token {token} was drawn after a higher one")
        self.limits.take(job, self.held_slots())
        if job.fair is not None:
            self.turns.claimed[key_of(job)] = None
        self.tokens.add(token)
        job.prefers = job.due = None
        job.state, job.worker, job.token, job.told = "claimed", worker, token, False
        job.left_h = GIVE_UP_H if job.left_h is None else job.left_h
        job.claims += 1

    def held_slots(self) -> Counter[str]:
        """By key, how many of its slots claimed jobs hold."""
        held = Counter[str]()
        for job in self.jobs.values():
            held.update(job.slots if job.held else {})
        return held

    def pass_hours(self, hours: float) -> None:
        """For jobs without a lane, and for pauses."""
        for job in self.jobs.values():
            if job.left_h is not None and not job.lane and job.state != "waiting":
                job.left_h -= hours - self.pauses.paused_h(job, hours)
        self.pauses.pass_hours(hours)

    def end(self, job: Known, state: str, reason: str | None = None) -> None:
        """It ends: its lane goes on, its parent is told, and what it created is to be cancelled with it."""
        if reason:
            self.attempts[job.id, job.token or 0, reason] += 1
        if state == "cancelled":
            self.requests |= self.family(job.id)
        del self.jobs[job.id]
        job.state, job.worker = state, None
        if state != "complete":
            job.priority = job.priority if job.first_priority is None else job.first_priority
        self.ended[job.id] = job
        if job.joined and job.lane:
            self.lanes.jobs[job.lane].remove(job.id)
            if state == "failed" and job.holds_lane:
                self.lanes.hold_for(job.lane, job)
            self._promote(job.lane)
        if job.parent_id:
            self.steps[job.parent_id, record_of(job.id)] = Step("done", job.token or 0)
            parent = self.jobs.get(job.parent_id)
            if parent and parent.waits_for == CHILDREN and not self.children(parent.id):
                self.go_on(parent)
        if state == "cancelled":
            self.requests.discard(job.id)

    def hold(self, lane: str, held_by: str, reason: str | None) -> None:
        """Somebody holds it: its first job waits with the others, unless it was claimed before."""
        self.lanes.hold(lane, held_by, reason)
        first = self.jobs.get(self.lanes.first(lane))
        if first and first.token is None:
            first.state, first.prefers, first.due = "blocked", None, None

    def release(self, lane: str) -> None:
        """It goes on with the first that waits."""
        del self.lanes.holds[lane]
        self._promote(lane)

    def put_back(
        self, job: Known, reason: str, *, later: bool, charge: int, final: bool, policy: RetryPolicy = RETRIES
    ) -> None:
        """A run's own word: again, now or later; `final`: not if its time to give up has come."""
        if (charge and job.retries >= policy.max_retries) or (final and job.gives_up):
            self.end(job, "failed", reason)
            return
        self.attempts[job.id, job.token or 0, reason] += 1
        job.retries += charge
        job.alone = job.alone and not final
        job.state, job.worker, job.due = "scheduled" if later else "ready", None, None

    def wait(self, job: Known, event: str | None, *, timed: bool) -> None:
        """It waits, unless that has happened; then it goes on, or ends where its time to give up has come."""
        happened = event in self.events or (event == CHILDREN and not self.children(job.id))
        if event and event != CHILDREN:
            self.awaited.add(event)
        if happened and job.gives_up:
            self.end(job, "failed", "error")
            return
        job.alone, job.worker = False, None
        if happened:
            job.state, job.resumes = "ready", job.resumes + 1
        else:
            job.state, job.waits_for, job.timed, job.due = "waiting", event, timed, None

    def go_on(self, job: Known) -> None:
        """What it waits for has happened."""
        job.state, job.waits_for, job.timed, job.due, job.resumes = "ready", None, False, None, job.resumes + 1

    def emit(self, event: str, payload: Any) -> bool:
        """The first one counts."""
        first = event not in self.events
        self.awaited.add(event)
        self.events.setdefault(event, payload)
        for job in list(self.jobs.values()):
            if job.waits_for == event:
                self.go_on(job)
        return first

    def children(self, job_id: int) -> list[Known]:
        """Those that live."""
        return [job for job in self.jobs.values() if job.parent_id == job_id]

    def family(self, job_id: int) -> set[int]:
        """The job and its living descendants."""
        return {job_id}.union(*(self.family(child.id) for child in self.children(job_id)))

    def cancel(self, job_id: int) -> tuple[list[int], set[int]]:
        """Somebody wants it ended, and what it has created: those that end at once, parents first, and those to be told."""
        family = self.family(job_id)
        self.requests |= family
        ended = [one for one in sorted(family) if self.cancel_unheld(one)]
        return ended, family.difference(ended)

    def cancel_unheld(self, job_id: int) -> bool:
        """Somebody wants it ended: done, unless a worker has it or it has ended."""
        job = self.jobs.get(job_id)
        if job is None or job.held:
            return False
        self.end(job, "cancelled")
        return True

    def time_comes(self, job: Known) -> None:
        """For one that waits for a time: upkeep may let it go on from now."""
        job.due = next(self._times)

    def over(self) -> list[Known]:
        """Waiting jobs and scheduled ones whose time has come, in the order in which it did."""
        return sorted((job for job in self.jobs.values() if job.due is not None), key=lambda job: job.due or 0)

    def fall_due(self, job: Known) -> None:
        """Upkeep found it due."""
        job.due = job.prefers = None
        if job.joined or not job.lane:
            job.state = "ready"
        else:
            self._become_due(job)

    def take_back(self, job: Known, *, rescue: bool, suspected: bool = True) -> None:
        """Its worker is gone, or does not know it; only a run that had started is charged."""
        started = job.state == "running"
        if rescue and started and job.alone and job.alone_lost + 1 >= MAX_LOST_ALONE:
            self.end(job, "failed", "lost")
            return
        if started:
            self.attempts[job.id, job.token or 0, "lost"] += 1
        job.not_started += not started
        job.lost += started
        job.alone_lost += rescue and started and job.alone
        job.alone = job.alone or (started and suspected)
        job.state, job.worker, job.rescued = "ready", None, True

    def _become_due(self, job: Known) -> None:
        job.state = "ready"
        if job.lane:
            job.joined = True
            self.lanes.jobs[job.lane].append(job.id)
            job.state = "ready" if self.lanes.head(job.lane) == job.id else "blocked"

    def _promote(self, lane: str) -> None:
        head = self.jobs.get(self.lanes.head(lane))
        if head and head.state == "blocked":
            head.state = "ready"
            self._prefer(head)

    def _prefer(self, job: Known) -> None:
        """It waits for the worker that ran the last one of its key, if that lives and has room."""
        if job.state == "ready" and not job.apart:
            job.prefers = self.sticky.room_of(job.sticky, self.workers, self.jobs.values())
            job.state = "scheduled" if job.prefers else "ready"
