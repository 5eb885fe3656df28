"""Filters that several commands share, as people write them: checked before any database is looked for."""

from collections.abc import Mapping, Sequence
from typing import Any

import typer

from cli.durations import parse_moment
from jobs_core import gate


def check_state(state: str | None, states: Sequence[str]) -> None:
    """Raise BadParameter for what is none of these states."""
    if state is not None and state not in states:
        raise typer.BadParameter(f"{state!r} is no state; choose one of {', '.join(states)}")


def check_names(names: Mapping[str, str | None]) -> None:
    """Raise InvalidInput, naming the option, for a name that no queue, type, user or lane can have."""
    for option, name in names.items():
        if name is not None:
            gate.check_text(name, field=option, max_chars=gate.MAX_NAME_CHARS)


def times(since: str | None, until: str | None) -> dict[str, Any]:
    """The moments that --since and --until name, None for one that is not given. Raises BadParameter or InvalidInput."""
    first = parse_moment(since, option="--since") if since is not None else None
    last = parse_moment(until, option="--until") if until is not None else None
    if first and last and first >= last:
        raise typer.BadParameter(
            f"--since ({first:%Y-%m-%d %H:%M:%S}) is not before --until ({last:%Y-%m-%d %H:%M:%S})"
        )
    return {"since": first, "until": last}
