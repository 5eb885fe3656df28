"""What commands print: JSON for machines, text for people with nothing in it that a terminal would obey."""

import json
import sys
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from datetime import date, datetime
from typing import Any
from uuid import UUID

from jobs_core.look import JobSummary

_KEPT = frozenset("\n\t\u200c\u200d")  # the joiners that emoji and some scripts are written with
_WIDTH = 200  # where stdout is no terminal: whoever reads it further wants whole lines


def print_json(value: Any) -> None:
    """One JSON value on one line of stdout; all but ASCII is escaped."""
    sys.stdout.write(json.dumps(value, default=_json_form) + "\n")


def as_json(job: JobSummary) -> dict[str, Any]:
    """A job as `--json` shows it, whole or as in a list."""
    return asdict(job)


def plain(text: str) -> str:
    """The text with control characters, escape sequences and direction marks made visible as `�`."""
    return "".join(char if char.isprintable() or char in _KEPT else "\N{REPLACEMENT CHARACTER}" for char in text)


def print_plain(text: str) -> None:
    """A line of text from a job or a model on stdout, made safe for a terminal."""
    sys.stdout.write(plain(text) + "\n")


def tell(value: Any, text: str, *, as_json: bool) -> None:
    """What a command has done: the value for a machine, or the text for a person."""
    if as_json:
        print_json(value)
    else:
        print_plain(text)


def line(value: Any) -> str:
    """A value as one line that is safe for a terminal."""
    if value is None:
        return ""
    return f"{value:%Y-%m-%d %H:%M:%S}" if isinstance(value, datetime) else plain(str(value)).replace("\n", " ")


def print_fields(values: Mapping[str, Any], *, width: int) -> None:
    """What is known of one thing, a line each, names to this width; what is None is left out."""
    for name, value in values.items():
        if value is not None:
            print_plain(f"{name:<{width}} {line(value)}")


def print_table(rows: Iterable[Mapping[str, Any]], headings: Mapping[str, str], *, as_json: bool = False) -> None:
    """Rows as a table of the columns that `headings` names, or all of them as JSON."""
    if as_json:
        print_json(list(rows))
        return
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False)
    for heading in headings.values():
        table.add_column(heading, no_wrap=True, overflow="ellipsis")
    for row in rows:
        table.add_row(*(Text(line(row[name])) for name in headings))
    Console(width=None if sys.stdout.isatty() else _WIDTH).print(table)


def note(text: str) -> None:
    """A line for the person on stderr, so that stdout stays the command's answer."""
    sys.stderr.write(plain(text) + "\n")


def warn(text: str) -> None:
    """A line on stderr that names the program, as errors do."""
    note(f"jobs: {text}")


def _json_form(value: Any) -> str:
    if isinstance(value, UUID):
        return str(value)
    if isinstance(value, date):  # or a time, which is one, too
        return value.isoformat()
    raise TypeError(f"{type(value).__name__} has no JSON form")
