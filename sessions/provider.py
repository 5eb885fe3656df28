"""The provider's health: one row that all workers share, so that one run's trouble keeps the others from running into it.

              429 · several others in a row          until is over: one run probes
    open ──────────────────────────────────▶ paused ─────────────────────────────▶ answered: open, and all go on at once
      └─── key, permission, credit ────────▶ stopped, an operator is told ──┘  └─▶ refused again: a longer pause
                                                                                   gone: another takes it over

Jobs that would ask the provider meanwhile stay ready and unclaimed: their type is paused in their queue (jobs_core.pauses). So
a million of them cost nothing, `explain` says why they stand, and they go on in their order. Such a pause moves no give_up_at.
"""

from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

import structlog

from jobs_core import AnyJob, Connection, execute, fence, fetch_one, gate, statement
from jobs_core.job import still_held
from jobs_core.pauses import lift_all, prolong

log = structlog.get_logger()

Trouble = Literal["limited", "failed", "refused"]
"""limited: 429. failed: overload, an error of the server, a cut connection, silence. refused: key, permission or credit."""

Alarm = Callable[[Connection, str], Awaitable[object]]

BECAUSE = "provider"
"""What the pauses of this page are set because of."""
FAILURES = 3
"""In a row, of all runs together, are the provider's; fewer may be a request's own."""
SHORTEST_PAUSE_S, LONGEST_PAUSE_S = 1.0, 60.0
LONGEST_TOLD_S = 3600.0
"""Of what the provider itself asks for; then one run tries all the same."""
PROBE_STOPPED_EVERY_S = 180.0
LOOK_AT_PROBE_S = 10.0
"""While one probes nobody else is claimed for so long; then somebody looks whether it lives."""
FIRST_FOR_PEOPLE_S = 3.0
"""Of each pause's end: then a run for which nobody waits may probe, too."""


@dataclass(frozen=True, slots=True)
class Provider:
    """How it does. until: when a run may try again. pauses, failures: in a row. prober_job: whose run tries just now."""

    state: Literal["open", "paused", "stopped"]
    reason: str | None
    since: datetime
    until: datetime | None
    pauses: int
    failures: int
    succeeded_at: datetime | None
    prober_job: int | None
    prober_token: int | None
    now: datetime

    @property
    def waits_s(self) -> float:
        """Seconds until a run may try; 0 or less: now."""
        return (self.until - self.now).total_seconds() if self.until else 0.0


@dataclass(frozen=True, slots=True)
class Admission:
    """Whether a run may ask the provider now, and whether it is the one that tries. Where not: why, and in how long again."""

    admitted: bool
    probes: bool = False
    reason: str = ""
    again_in_s: float = 0.0


def shown(provider: Provider) -> dict[str, Any]:
    """As programs are told."""
    kept = {name: value for name, value in asdict(provider).items() if name not in {"now", "prober_token"}}
    return kept | {"tries_in_s": max(provider.waits_s, 0.0) if provider.until else None}


async def look(conn: Connection) -> Provider:
    """How the provider does."""
    return await _read(conn, lock=False)


async def admit(conn: Connection, job: AnyJob, *, interactive: bool) -> Admission:
    """Whether this run may ask the provider; where not, put the job back, due `again_in_s` from now.

    That is 0 where its type is paused in its queue. Call it before the run's first transaction; the connection is in none.
    interactive: somebody waits for the answer. A run that probes tells how it went: `answered`, `report`, or `leave` where
    it never asked. Raises LeaseLost.
    """
    if (await look(conn)).state == "open":
        return Admission(admitted=True)
    async with conn.transaction():
        await fence(conn, job)
        provider = await _read(conn, lock=True)
        if provider.state == "open":
            return Admission(admitted=True)
        reason, wait_s = provider.reason or "", provider.waits_s
        if wait_s <= 0 and await _is_probed(conn, provider):
            wait_s = LOOK_AT_PROBE_S
        if wait_s > 0:
            await _hold_back(conn, job, wait_s, reason)
            return Admission(admitted=False, reason=reason)
        if not interactive and wait_s > -FIRST_FOR_PEOPLE_S:  # it alone waits: others of its type may be people's
            return Admission(admitted=False, reason=reason, again_in_s=wait_s + FIRST_FOR_PEOPLE_S)
        await execute(conn, statement("sessions", "provider/probe"), {"job_id": job.id, "token": job.token})
        await _hold_back(conn, job, LOOK_AT_PROBE_S, reason)
    log.info("provider.probed", state=provider.state)
    return Admission(admitted=True, probes=True)


async def report(
    conn: Connection,
    job: AnyJob,
    trouble: Trouble,
    reason: str,
    *,
    retry_after_s: float | None = None,
    alarm: Alarm | None = None,
) -> Provider:
    """Tell what a run met; returns how the provider does now. While that is not open, put the job back, ready at once.

    The connection is in no transaction. retry_after_s: what the provider asked for. alarm: called in the transaction that
    stops it, once until it has answered again. Raises LeaseLost.
    """
    reason = gate.clean_text(reason)
    async with conn.transaction():
        await fence(conn, job)
        before = await _read(conn, lock=True)
        probed = before.prober_token == job.token
        if trouble == "refused" and (before.state != "stopped" or probed):
            await _pause(conn, "stopped", PROBE_STOPPED_EVERY_S, before, reason)
        elif before.state == "open" and trouble == "failed" and before.failures + 1 < FAILURES:
            await execute(conn, statement("sessions", "provider/fail"))
        elif trouble != "refused" and (before.state == "open" or probed):
            state: Literal["paused", "stopped"] = (
                "paused" if trouble == "limited" or before.state != "stopped" else "stopped"
            )
            await _pause(conn, state, _pause_s(before, state, retry_after_s), before, reason)
        elif retry_after_s is not None and before.prober_token is None:  # one of several that were refused at once
            await execute(
                conn, statement("sessions", "provider/prolong"), {"delay_s": min(retry_after_s, LONGEST_TOLD_S)}
            )
        after = await _read(conn, lock=False)
        if after.state != "open":
            await _hold_back(conn, job, max(after.waits_s, LOOK_AT_PROBE_S if after.prober_token else 0.0), reason)
        if alarm and after.state == "stopped" != before.state:
            await alarm(conn, reason)
    _tell(before, after)
    return after


async def answered(conn: Connection, job: AnyJob, *, probes: bool) -> bool:
    """Tell that a run got an answer; True: the provider was paused and is open now, so wake all workers.

    The connection is in no transaction. probes: as its admission said; what began before a pause does not end it.
    """
    if not probes:
        await execute(conn, statement("sessions", "provider/succeeded"))
        return False
    async with conn.transaction():
        provider = await _read(conn, lock=True)
        if provider.prober_token != job.token:
            return False
        await execute(conn, statement("sessions", "provider/open"))
        await lift_all(conn, because=BECAUSE)
    log.info("provider.opened", after_s=round((provider.now - provider.since).total_seconds(), 1), was=provider.state)
    return True


async def leave(conn: Connection, job: AnyJob) -> bool:
    """A run that was to probe asked nothing: another may; True: wake all workers. The connection is in no transaction."""
    async with conn.transaction():
        if (await _read(conn, lock=True)).prober_token != job.token:
            return False
        await _release(conn)
    return True


async def resume(conn: Connection) -> Provider | None:
    """Let one run try now, whatever the pause says; returns how it was, None where it was open. Wake all after the commit."""
    async with conn.transaction():
        provider = await _read(conn, lock=True)
        if provider.state == "open":
            return None
        await _release(conn)
    return provider


async def _release(conn: Connection) -> None:
    await execute(conn, statement("sessions", "provider/release"))
    await lift_all(conn, because=BECAUSE)


async def _read(conn: Connection, *, lock: bool) -> Provider:
    name = statement("sessions", "provider/lock" if lock else "provider/look")
    if (row := await fetch_one(conn, name)) is None:  # nobody has met anything yet
        await execute(conn, statement("sessions", "provider/make"))
        row = await fetch_one(conn, name)
    assert row is not None, "it was there, or has been made"
    return Provider(**row)


async def _is_probed(conn: Connection, provider: Provider) -> bool:
    """Whether the run that tries still holds its job; otherwise it died, or has ended without a word."""
    if provider.prober_job is None or provider.prober_token is None:
        return False
    return bool(await still_held(conn, [(provider.prober_job, provider.prober_token)]))


def _pause_s(before: Provider, state: Literal["paused", "stopped"], retry_after_s: float | None) -> float:
    if state == "stopped":
        return PROBE_STOPPED_EVERY_S
    if retry_after_s is not None:
        return min(max(retry_after_s, SHORTEST_PAUSE_S), LONGEST_TOLD_S)
    return float(min(SHORTEST_PAUSE_S * 2.0 ** min(before.pauses, 10), LONGEST_PAUSE_S))


async def _pause(
    conn: Connection, state: Literal["paused", "stopped"], delay_s: float, before: Provider, reason: str
) -> None:
    values = {"state": state, "delay_s": delay_s, "pauses": before.pauses + 1, "reason": reason}
    await execute(conn, statement("sessions", "provider/pause"), values)
    await lift_all(conn, because=BECAUSE)  # those that kept others back while one probed last longer, perhaps


async def _hold_back(conn: Connection, job: AnyJob, delay_s: float, reason: str) -> None:
    """Have no job of this one's type claimed from its queue for so long, which the provider's row is locked for."""
    await prolong(
        conn,
        queue=job.queue,
        job_type=job.job_type,
        until=timedelta(seconds=delay_s),
        because=BECAUSE,
        reason=reason,
        set_by=f"job {job.id}",
    )


def _tell(before: Provider, after: Provider) -> None:
    about = {"reason": after.reason, "until": after.until and after.until.isoformat(), "pauses": after.pauses}
    if after.state == "stopped" and before.state != "stopped":
        log.error("provider.stopped", **about, meaning="agents' jobs wait; mend it, then ./jobs provider resume")
    elif after.state == "paused" and after.until != before.until:
        log.warning("provider.paused", **about)
