"""Schedules in files, `DIR/schedules/*.toml`: a table each, by its name. However often they are applied, they are as these say.

    [morning]
    cron = "0 9 * * mon-fri"
    zone = "Europe/Berlin"
    prompt = "What is on today?"

All files are read, and all that is wrong in them is told at once, by file and line; then all is applied, or nothing.
"""

import re
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time
from pathlib import Path
from typing import Any

import schedules
from assistant.agent_schedules import FILE, save
from assistant.errors import AssistantError
from assistant.schedule_drafts import Draft, read
from cli.errors import CommandFailed
from jobs_core import Connection, HandlerTable, InvalidInput, JobsError
from schedules import Put, Schedule

SUBFOLDER = "schedules"
_PAGE = 1_000
_LINE = re.compile(r"\(at line (\d+)")


@dataclass(frozen=True, slots=True)
class Entry:
    """A schedule that a file describes; file: its name, as in `source`. text: all of the file, to find lines in."""

    draft: Draft
    file: str
    text: str = field(repr=False)

    def at(self, key: str = "") -> str:
        """File and line of a key of it, of its heading where that is not found."""
        return f"{self.file}:{_line_of(self.text, self.draft.name, key)}"


@dataclass(frozen=True, slots=True)
class Applied:
    """What it came to. removed: because no file has them any more. left: likewise, but nobody asked to remove them."""

    saved: Sequence[Put]
    removed: Sequence[Schedule]
    left: Sequence[Schedule]


def read_folder(folder: Path) -> list[Entry]:
    """What the files of a folder say, by name, [] where it has none. Raises CommandFailed that names each fault."""
    entries, wrong = dict[str, Entry](), list[str]()
    for path in sorted((folder / SUBFOLDER).glob("*.toml")):
        found, faults = _read_file(path)
        wrong += faults
        for entry in found:
            other = entries.setdefault(entry.draft.name, entry)
            if other is not entry:
                wrong.append(f"{entry.at()}: {entry.draft.name} stands in {other.at()} already: rename one of the two")
    if wrong:
        raise CommandFailed("; ".join(wrong))
    return sorted(entries.values(), key=lambda entry: entry.draft.name)


async def apply(
    conn: Connection, table: HandlerTable, entries: Sequence[Entry], *, prune: bool, dry_run: bool
) -> Applied:
    """Have all schedules of files be as these say. Raises CommandFailed that names each fault; nothing was written then.

    prune: remove those that files made and no file has. dry_run: say what would be done.
    """
    async with conn.transaction(force_rollback=dry_run):
        saved, wrong = list[Put](), list[str]()
        for entry in entries:  # by name, so that two who apply wait for each other in one order
            try:
                async with conn.transaction():
                    saved.append(await save(conn, table, entry.draft, source=f"{FILE}{entry.file}"))
            except (AssistantError, JobsError) as error:
                wrong.append(f"{entry.at(_key(error))}: {error}")
        if wrong:
            raise CommandFailed("; ".join(wrong))
        named = {entry.draft.name for entry in entries}
        gone = [schedule for schedule in await _of_files(conn) if schedule.name not in named]
        for schedule in gone if prune else ():
            await schedules.remove(conn, schedule.id)
    return Applied(saved, gone if prune else (), () if prune else gone)


async def _of_files(conn: Connection) -> list[Schedule]:
    found = list[Schedule]()
    while page := await schedules.listed(conn, source=FILE, limit=_PAGE, after=found[-1].name if found else None):
        found += page
    return found


def _read_file(path: Path) -> tuple[list[Entry], list[str]]:
    """What a file says, and what is wrong in it."""
    try:
        text = path.read_text(encoding="utf-8")
        tables = tomllib.loads(text)
    except OSError as error:
        return [], [f"{path.name}: cannot be read ({error.strerror}): change its permissions, or move it"]
    except UnicodeDecodeError:
        return [], [f"{path.name}: is not UTF-8 text: convert it with iconv"]
    except tomllib.TOMLDecodeError as error:
        line = _LINE.search(str(error))
        return [], [f"{path.name}:{line[1] if line else text.count(chr(10)) + 1}: is no TOML: {error}"]
    except (ValueError, RecursionError) as error:  # a number of thousands of digits, brackets in thousands of others
        return [], [f"{path.name}: cannot be read as TOML ({error}): take out what is so long or so deep"]
    entries, wrong = list[Entry](), list[str]()
    for name, values in tables.items():
        try:
            entries.append(Entry(_draft(name, values), path.name, text))
        except InvalidInput as error:
            wrong.append(f"{path.name}:{_line_of(text, name, _key(error))}: {name}: {error}")
    return entries, wrong


def _draft(name: str, values: Any) -> Draft:
    if not isinstance(values, dict):
        raise InvalidInput("stands in no table: begin one with [NAME] above it")
    if "name" in values:
        raise InvalidInput("name: the table's heading is the schedule's name; leave it out", field="name")
    return read(_plain(values) | {"name": name})


def _plain(value: Any) -> Any:
    """TOML's values as JSON has them: its times become text."""
    match value:
        case dict():
            return {key: _plain(inner) for key, inner in value.items()}
        case list():
            return [_plain(inner) for inner in value]
        case datetime() | date() | time():
            return value.isoformat()
    return value


def _key(error: Exception) -> str:
    """Which key an error is about: `schedule.cron` is cron."""
    place = error.field if isinstance(error, InvalidInput) else ""
    return next((part for part in (place or "").split(".") if part not in {"schedule", "rule"}), "")


def _line_of(text: str, name: str, key: str) -> int:
    """The line of a key in the table of that name, else of its heading, else 1."""
    heading = re.compile(rf"\s*\[\s*[\"']?{re.escape(name)}[\"']?\s*[.\]]|{re.escape(name)}\s*=")
    any_heading, wanted = re.compile(r"\s*\[[^\[\]]+\]\s*(#.*)?$"), re.compile(rf"\s*[\"']?{re.escape(key)}[\"']?\s*=")
    begins = 0
    for number, line in enumerate(text.splitlines(), start=1):
        if heading.match(line):
            begins = begins or number
        elif begins and any_heading.match(line):
            break
        elif begins and key and wanted.match(line):
            return number
    return begins or 1
