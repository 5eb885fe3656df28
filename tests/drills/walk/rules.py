"""All rules of a walk: each of these modules registers its own."""

from tests.drills.walk import claims, creates, settles, stale, steps, upkeep, waits  # noqa: F401 - for what importing them does
from tests.drills.walk.walk import RULES

__all__ = ["RULES"]
