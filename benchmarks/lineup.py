"""Who is measured: ourselves and the smallest SQL that could do the same. The peers stand in `peers.py`."""

from pathlib import Path

from benchmarks.contender import Contender, python


def us(logs: Path) -> Contender:
    """Jobs."""
    return Contender(
        "jobs",
        python("us"),
        mark="SELECT coalesce(max(id), 0) FROM jobs.jobs",
        unfinished="SELECT count(*) FROM jobs.jobs WHERE id > %s",
        log=logs / "jobs.log",
        migrated=True,
    )


def raw(logs: Path) -> Contender:
    """Claim and delete in batches of 500 by plain psycopg."""
    return Contender(
        "raw",
        python("raw"),
        mark="SELECT coalesce(max(id), 0) FROM raw_jobs",
        unfinished="SELECT count(*) FROM raw_jobs WHERE id > %s",
        log=logs / "raw.log",
    )
