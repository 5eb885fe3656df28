"""All rules of a walk: each of these modules registers its own."""

from tests.drills.walk import (  # noqa: F401 - for what importing them does
    ageing,
    cancels,
    claims,
    creates,
    lanes,
    limits,
    notes,
    pauses,
    prunes,
    redrives,
    settles,
    sql_creates,
    stale,
    steps,
    sticky,
    turns,
    upkeep,
    waits,
)
from tests.drills.walk.walk import RULES

__all__ = ["RULES"]
