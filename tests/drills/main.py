"""What drills share: their options, and fresh databases to run on."""

import argparse
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from tests.support.database import fresh_database, make_template, server


def parse(name: str, arguments: Sequence[str], *, seed: int) -> argparse.Namespace:
    """The options of every drill: --short, --seed."""
    parser = argparse.ArgumentParser(prog=f"./jobs drill {name}")
    parser.add_argument("--short", action="store_true", help="fewer jobs and faults: minutes instead of hours")
    parser.add_argument("--seed", type=int, default=seed, help="repeat a run that went wrong")
    return parser.parse_args(arguments)


def in_fresh_databases(*names: str) -> Iterator[tuple[str, str, Path]]:
    """For each name, one after another: the name, the DSN of a fresh migrated database, a file for logs."""
    with tempfile.TemporaryDirectory(prefix="jobs-drill-") as folder, server(Path(folder) / "postgres") as server_dsn:
        make_template(server_dsn)
        for name in names:
            with fresh_database(server_dsn) as dsn:
                yield name, dsn, Path(folder) / f"{name}.log"
