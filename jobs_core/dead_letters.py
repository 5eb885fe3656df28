"""Dead letters: jobs that failed, or were cancelled, as history holds them: which are meant, where they lie, what they died of.

They are walked in the order in which they ended, which is the order of a lane; in spans of days, as `look` walks them.
"""

from collections import Counter
from collections.abc import AsyncIterator, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from jobs_core import db, look
from jobs_core.history import oldest_day
from jobs_core.look import JobSummary, Span
from jobs_core.statements import statement

DEAD = ("failed", "cancelled")
PAGE = 10_000
"""Places looked up at once: finding them sorts the whole span, so not for each batch anew."""
_EXAMPLES = 3
_MOST_ERRORS = 1_000  # told apart in one span; where hardly two are alike, one is as good as another


class Place(NamedTuple):
    """Where a dead letter lies; places are ordered as the jobs ended."""

    ended_at: datetime
    id: int


@dataclass(frozen=True, slots=True)
class Letters:
    """Which dead letters: those in one of `states` that have what is given and ended from `since` to before `until`.

    ids: these only. again: also those that were redriven before; without it they are passed by, or, named in `ids`, left.
    """

    states: tuple[str, ...] = ("failed",)
    job_type: str | None = None
    queue: str | None = None
    user_id: str | None = None
    lane: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    ids: tuple[int, ...] | None = None
    again: bool = False


@dataclass(frozen=True, slots=True)
class Left:
    """A job that is not redriven.

    why: `redriven` (before, as job `by`), `met` (job `by` holds its unique key), `unfit` (its input does not fit its type any
    more: `detail`), `strange` (its type is `detail`, whose code alone knows its limits or turn), `unknown` (no job of that id
    is kept), or the state it is in, which is none of those that are meant.
    """

    id: int
    why: str
    by: int | None = None
    detail: str | None = None

    def __str__(self) -> str:
        match self.why:
            case "redriven":
                return f"job {self.id} was already redriven as job {self.by}"
            case "met":
                return f"job {self.id} has a unique key that job {self.by} holds"
            case "unfit":
                return f"job {self.id} does not fit its type any more: {self.detail}"
            case "strange":
                return f"job {self.id} has limits or a turn that only the code of {self.detail} knows: redrive it with that"
            case "unknown":
                return f"there is no job {self.id}, or history keeps it no longer"
        return f"job {self.id} is {self.why}: that is not what was asked for"


@dataclass(frozen=True, slots=True)
class OfType:
    """Dead letters of a type: n that would be redriven, and how many that were redriven before would not."""

    job_type: str
    n: int
    redriven: int


@dataclass(frozen=True, slots=True)
class OfError:
    """Dead letters of a type that failed alike. error: up to 200 characters of its first line, # for each number."""

    job_type: str
    error: str
    n: int


@dataclass(frozen=True, slots=True)
class Preview:
    """What a redrive would come to: by type and by error, the most frequent first; the first ones; what of `ids` is left."""

    types: list[OfType]
    errors: list[OfError]
    examples: list[JobSummary]
    left: list[Left]

    @property
    def n(self) -> int:
        """How many would be redriven, unless a living job has their unique key."""
        return sum(one.n for one in self.types)

    @property
    def redriven(self) -> int:
        """How many more would not, having been redriven before."""
        return sum(one.redriven for one in self.types)


async def preview(conn: db.Connection, letters: Letters, *, errors: int = 10) -> Preview:
    """Count the dead letters that are meant by type and error, and look at the three that ended first. Nothing is locked.

    errors: how many of the most frequent ones are told. Of rare ones among thousands in a span of days, counts may fall short.
    """
    by_type, before, by_error = Counter[str](), Counter[str](), Counter[tuple[str, str]]()
    for span in await _spans(conn, letters.since, letters.until):
        values = {**_chosen(letters, span), "most": _MOST_ERRORS}
        for row in await db.fetch(conn, statement("jobs_core", "redrive/count"), values, prepare=False):
            n = row["n"] + (row["redriven"] if letters.again else 0)
            if row["whole"]:
                by_type[row["job_type"]] += n
                before[row["job_type"]] += 0 if letters.again else row["redriven"]
            else:
                by_error[row["job_type"], row["error"]] += n
    return Preview(
        [OfType(name, n, before[name]) for name, n in by_type.most_common()],
        [OfError(*key, n) for key, n in by_error.most_common(errors) if n],
        await _examples(conn, letters),
        await _left(conn, letters),
    )


async def pages(
    conn: db.Connection, letters: Letters, after: Place | None = None, *, size: int = PAGE
) -> AsyncIterator[list[Place]]:
    """Where they lie, the first that ended first, from behind `after` on; `size` at most at once."""
    since = max((moment for moment in (letters.since, after and after.ended_at) if moment), default=None)
    for span in await _spans(conn, since, letters.until):
        while page := await _page(conn, letters, span, after, size):
            yield page
            after = page[-1]


async def _page(conn: db.Connection, letters: Letters, span: Span, after: Place | None, size: int) -> list[Place]:
    values = {
        **_chosen(letters, span),
        "redriven": letters.again or letters.ids is not None,
        "after_at": after and after.ended_at,
        "after_id": after and after.id,
        "batch": size,
    }
    rows = await db.fetch(conn, statement("jobs_core", "redrive/letters"), values, prepare=False)
    return [Place(**row) for row in rows]


async def strangers(conn: db.Connection, letters: Letters, known: Collection[int]) -> list[Left]:
    """Those of `ids` that are none of the dead letters meant, and what they are instead."""
    left = []
    for job_id in sorted(set(letters.ids or ()).difference(known)):
        job = await look.find(conn, job_id)
        left.append(Left(job_id, job.state if job else "unknown"))
    return left


async def successors(conn: db.Connection, ids: Sequence[int]) -> dict[int, int]:
    """Which job does each of these again, of those that were redriven."""
    rows = await db.fetch(conn, statement("jobs_core", "redrive/successors"), {"ids": list(ids)})
    return {row["job_id"]: row["successor_id"] for row in rows}


async def _left(conn: db.Connection, letters: Letters) -> list[Left]:
    """What a redrive would leave of the ids that it was given."""
    if letters.ids is None:
        return []
    known = [place.id async for page in pages(conn, letters) for place in page]
    redriven = {} if letters.again else await successors(conn, known)
    return [Left(job_id, "redriven", by) for job_id, by in redriven.items()] + await strangers(conn, letters, known)


async def _spans(conn: db.Connection, since: datetime | None, until: datetime | None) -> list[Span]:
    """The spans of days to walk, the oldest first."""
    return list(look.spans(await oldest_day(conn), since, until))[::-1]


def _chosen(letters: Letters, span: Span) -> dict[str, Any]:
    """What the statements take to choose the letters in a span."""
    return {
        "states": list(letters.states),
        "job_type": letters.job_type,
        "queue": letters.queue,
        "user_id": letters.user_id,
        "lane": letters.lane,
        "ids": None if letters.ids is None else list(letters.ids),
        "first": span[0],
        "next": span[1],
    }


async def _examples(conn: db.Connection, letters: Letters) -> list[JobSummary]:
    places = list[Place]()
    async for page in pages(conn, letters, size=_EXAMPLES):  # one ends with its span of days, with fewer or not
        places += page
        if len(places) >= _EXAMPLES:
            break
    any_of_them = dict.fromkeys(("state", "job_type", "queue", "user_id", "lane"))
    found = list[db.Row]()
    for place in places[:_EXAMPLES]:
        moment = {
            "first": place.ended_at,
            "next": place.ended_at + timedelta(microseconds=1),
            "before_id": place.id + 1,
        }
        values = {**any_of_them, **moment, "limit": 1}
        found += await db.fetch(conn, statement("jobs_core", "history/newest"), values, prepare=False)
    return [JobSummary(**row) for row in found]
