"""What is told of a load that went on while Postgres was taken away from it, again and again."""

from dataclasses import dataclass, field

from tests.drills import load
from tests.drills.report import quantile


@dataclass(slots=True)
class Report:
    """goes_on_s: for each outage, from its end until work went on. unanswered: attempts to create."""

    findings: load.Findings | None = None
    created: int = 0
    unanswered: int = 0
    goes_on_s: list[float] = field(default_factory=list)

    def broken(self, goes_on_s: float) -> list[str]:
        """What did not hold, where work must go on within that time."""
        assert self.findings
        slowest = quantile(self.goes_on_s, 1.0)
        late = [f"work went on after {slowest:.1f} s"] if slowest > goes_on_s else []
        return [*self.findings.broken, *late]
