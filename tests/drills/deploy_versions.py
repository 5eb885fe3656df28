"""Checkouts of other versions of the queue than today's: the one that was released last, and one that comes next.

The released one is taken from git, where its history is there. The next one is today's with a migration more, which does what
most do: a column for jobs and one for history, a table, an index of jobs that is built while others write.
"""

import io
import shutil
import subprocess
import tarfile
from pathlib import Path

from tests.drills.fleet import CHECKOUT
from tests.drills.report import CannotRun

RELEASED = "b5135feaa478553f24d97e2a0d54b1f5616e3429"
"""Its schema ends with migration 0002: no steps, no limits, no pauses."""
_ROOMS = (
    "jobs_core",
    "workers",
    "schedules",
    "sessions",
    "assistant",
    "handlers",
    "gateways",
    "simulator",
    "cli",
    "tests",
)
_NEXT = {
    "9001_next.sql": """
CREATE TABLE {schema}.next_things (id bigint PRIMARY KEY);
ALTER TABLE {schema}.jobs ADD COLUMN next_note text, ADD COLUMN next_n integer NOT NULL DEFAULT 0;
ALTER TABLE {schema}.history ADD COLUMN next_note text;
""",
    "9002_next_indexes.sql": """-- Outside a transaction: an index of jobs, built while others write to it.
CREATE INDEX CONCURRENTLY jobs_next ON {schema}.jobs (next_note) WHERE next_note IS NOT NULL;
""",
}


def released(folder: Path) -> Path:
    """The code that was released last, in this folder. Raises CannotRun where git cannot give it."""
    command = ["git", "archive", RELEASED]
    try:
        archive = subprocess.run(command, cwd=CHECKOUT, capture_output=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        raise CannotRun(
            f"git has no commit {RELEASED[:12]} here (a tarball, or a shallow clone: git fetch --unshallow)"
        ) from None
    with tarfile.open(fileobj=io.BytesIO(archive)) as files:
        files.extractall(folder, filter="data")
    return folder


def next_one(folder: Path) -> Path:
    """Today's code with a migration more, in this folder."""
    for room in _ROOMS:
        shutil.copytree(CHECKOUT / room, folder / room, ignore=shutil.ignore_patterns("__pycache__"))
    for name, sql in _NEXT.items():
        (folder / "jobs_core" / "sql" / "migrations" / name).write_text(sql, encoding="utf-8")
    return folder
