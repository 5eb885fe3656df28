"""What drills share: their options, and fresh databases to run on."""

import argparse
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from pathlib import Path

from tests.support.database import by_way_of, fresh_database, make_template, server
from tests.support.pgbouncer import pgbouncer


def parse(name: str, arguments: Sequence[str], *, seed: int, poolable: bool = False) -> argparse.Namespace:
    """The options of every drill: --short, --seed; of those that can have a PgBouncer before their database, --pgbouncer."""
    parser = argparse.ArgumentParser(prog=f"./jobs drill {name}")
    parser.add_argument("--short", action="store_true", help="fewer jobs and faults: minutes instead of hours")
    parser.add_argument("--seed", type=int, default=seed, help="repeat a run that went wrong")
    if poolable:
        add_pgbouncer(parser)
    return parser.parse_args(arguments)


def add_pgbouncer(parser: argparse.ArgumentParser) -> None:
    """The option --pgbouncer."""
    parser.add_argument("--pgbouncer", action="store_true", help="with a PgBouncer in transaction mode before Postgres")


def in_fresh_databases(*names: str, pooled: bool = False) -> Iterator[tuple[str, str, Path]]:
    """For each name, one after another: the name, the DSN of a fresh migrated database, a file for logs.

    pooled: the DSN leads through a PgBouncer.
    """
    with tempfile.TemporaryDirectory(prefix="jobs-drill-") as folder, server(Path(folder) / "postgres") as server_dsn:
        make_template(server_dsn)
        with pgbouncer(server_dsn) if pooled else nullcontext(server_dsn) as entrance:
            for name in names:
                with fresh_database(server_dsn) as dsn:
                    yield name, by_way_of(entrance, dsn), Path(folder) / f"{name}.log"
