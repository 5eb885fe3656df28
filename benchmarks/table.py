"""The table that a run prints: one line a measure, each figure beside its reference of the same run."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median


@dataclass(frozen=True, slots=True)
class Row:
    """One measure: our figure, in `unit`, and the reference's, which `against` names (none: the goal is a plain figure).

    paired: the median of the rounds' own ratios, where each figure stood beside its reference; else the figures' is taken.
    """

    measure: str
    us: float
    unit: str
    goal: str
    against: str = ""
    reference: float | None = None
    paired: float | None = None

    @property
    def ratio(self) -> float | None:
        """Us by the reference."""
        return self.paired or (self.us / self.reference if self.reference else None)


def markdown(rows: Sequence[Row]) -> str:
    """The rows as a Markdown table."""
    return grid(("measure", "us", "reference", "ratio", "goal"), [_cells(row) for row in rows])


def grid(head: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    """A Markdown table."""
    return "\n".join(f"| {' | '.join(line)} |" for line in (head, ["---"] * len(head), *lines))


def figure(value: float) -> str:
    """To three figures: more of them would be noise."""
    three = float(f"{value:.3g}")
    return f"{three:,.0f}" if three >= 100 else f"{three:.3g}"  # noqa: PLR2004 - where three figures need no decimals


def compared(measure: str, ours: Sequence[float], theirs: Sequence[float], goal: str, *, against: str) -> Row:
    """A row of rates in jobs/s: the medians, and the ratio of the medians."""
    return Row(measure, median(ours), "/s", goal, against, median(theirs))


def paired(measure: str, rounds: Sequence[tuple[float, float]], goal: str, *, against: str) -> Row:
    """A row of rates in jobs/s, of rounds that were run side by side: the medians, and the median of the rounds' ratios."""
    ours, theirs = zip(*rounds, strict=True)
    ratio = median(one / other for one, other in rounds)
    return Row(measure, median(ours), "/s", goal, against, median(theirs), ratio)


def _cells(row: Row) -> tuple[str, ...]:
    reference = "–" if row.reference is None else f"{row.against} {figure(row.reference)}{row.unit}"
    ratio = "–" if row.ratio is None else f"{row.ratio:.2f}"
    return row.measure, f"{figure(row.us)}{row.unit}", reference, ratio, row.goal
