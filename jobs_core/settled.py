"""What a settle reports."""

from dataclasses import dataclass

from jobs_core.errors import LeaseLost
from jobs_core.job import Claim
from jobs_core.wake import Ready


@dataclass(frozen=True, slots=True)
class Settled:
    """What became of the job: its new state, and where a job stands ready now (for its wake-up)."""

    state: str
    ready: tuple[Ready, ...] = ()


def lost(claim: Claim) -> LeaseLost:
    """What a settle raises whose fence found no row."""
    return LeaseLost(f"job {claim.id}: token {claim.token} is no longer the job's; its outcome was not written")
