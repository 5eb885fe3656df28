"""What a run of the benchmarks does: how many jobs, how often, for how long."""

from dataclasses import dataclass
from pathlib import Path

from cli.settings import CHECKOUT

BATCH = 5_000
"""Jobs in one call of a bulk create, for everybody."""
SLOTS = 500
"""Jobs that one worker process of ours runs at once; peers have what their docs advise."""
DRAIN_LIMIT_S = 30.0
"""The longest that one drain is watched; a slower contender's rate is what it handled until then."""
ONE_BY_ONE = 2_000
"""The most jobs of one timed run of single creates."""
PINNED_S, PINNED_FULL_S = 30.0, 120.0
PICKUPS = 500
CLAIMS = 300
PICKUPS_PER_S = 50
CALLS = 400
TURNS = 10
APPROVALS = 40


@dataclass(frozen=True, slots=True)
class Plan:
    """jobs: of one drain. rounds: figures are medians of so many. beside: rows that a drain has to pass by."""

    jobs: int = 50_000
    rounds: int = 3
    beside: int = 1_000_000
    ended: int = 10_000_000
    """Jobs of a year of history."""
    base: str = "HEAD"
    """The commit that we are measured against, by ourselves."""
    pinned_s: float = PINNED_S
    idle_s: float = 6.0
    live_s: float = 10.0
    webhooks_s: float = 10.0
    looks: int = 100
    first_words: int = 40
    peers: Path = CHECKOUT / ".jobs" / "bench-peers"
    """Where the peers are installed, each in a folder of its own."""

    @property
    def one_by_one(self) -> int:
        """Jobs of one timed run of single creates."""
        return min(self.jobs, ONE_BY_ONE)

    @property
    def pickups(self) -> int:
        """Jobs of one measurement of the time from create to start."""
        return min(self.jobs, PICKUPS)

    @property
    def calls(self) -> int:
        """Calls to the model's API each way."""
        return min(self.jobs, CALLS)

    @property
    def turns(self) -> int:
        """Turns of agents, and starts of the CLI by hand: half a second of a core each."""
        return min(self.jobs, TURNS)

    @property
    def approvals(self) -> int:
        """Calls of tools that are approved: two starts of the CLI each."""
        return min(self.jobs, APPROVALS)

    @property
    def claims(self) -> int:
        """Claims of one round and one queue."""
        return min(self.jobs // 10, CLAIMS)
