"""Trying an answer: with it in the environment, the checks of `./jobs doctor` that it is about."""

import asyncio
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from cli.doctor.checks import CHECKS
from cli.doctor.checkup import check_up
from cli.doctor.place import Place
from cli.errors import CommandFailed
from cli.printing import note
from cli.settings import CliSettings

DATABASE = ("postgres", "durability", "isolation", "timeouts", "connections", "pooler", "privileges", "schema")
MODEL = ("cli", "credentials")


@contextmanager
def tried(changes: Mapping[str, str]) -> Iterator[None]:
    """The environment with these changes; they stay unless the block raises."""
    before = dict(os.environ)
    for name, value in changes.items():
        if value:
            os.environ[name] = value
        else:
            os.environ.pop(name, None)
    try:
        yield
    except BaseException:
        os.environ.clear()
        os.environ.update(before)
        raise


def try_checks(settings: CliSettings, names: Sequence[str]) -> None:
    """Make these checks. Raises CommandFailed where one fails that we could not mend; what is weaker is told on stderr."""
    found = asyncio.run(check_up(Place(settings), CHECKS, names))
    for check, finding in found.items():
        if finding.state == "fail" and finding.mend is None:
            raise CommandFailed(f"{finding.text}: {finding.todo}")
        if finding.state == "warn":
            note(f"{check.name}: {finding.text}: {finding.todo}")
