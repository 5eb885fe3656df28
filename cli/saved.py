"""Settings that are kept in the folder of `./jobs up`, read into the environment before a command looks at anything.

    DIR/settings.env   0600   NAME=value, a line each, quoted as a shell does; lines of others are kept

What the environment names already comes first, be it empty. Names that belong together come from one place: the simulator's
address with the environment's key would send that key to it. Processes that we start have it all in their environment, and do
not read the file, which may be another one by then. Standard library only: `--help` comes by here.
"""

import os
import re
import shlex
import stat
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

FILE = "settings.env"
HAS_READ = "JOBS_SETTINGS_READ"
"""Set in the environment of processes that we start."""
TOGETHER = (
    frozenset({"ANTHROPIC_API_KEY", "CLAUDE_CODE_OAUTH_TOKEN", "ANTHROPIC_BASE_URL"}),
    frozenset({"DATABASE_URL", "DATABASE_DIRECT_URL"}),
)
OURS = frozenset({"JOBS_MODEL", "JOBS_WORKSPACES", "JOBS_OWNER_TG_USER_ID"}).union(*TOGETHER)
"""What `./jobs setup` sets; by hand anything can be set there."""
_CHECKOUT = Path(__file__).resolve().parents[1]
_LINE = re.compile(r"\s*(?:export\s+)?([A-Z][A-Z0-9_]*)=(.*)")
_in_use = set[str]()


def use_saved(arguments: Sequence[str]) -> None:
    """Read the file of the folder that these arguments, or JOBS_DATA, name into the environment.

    Raises ConfigurationError for a file that cannot be read, or that others could write: it says which code is run.
    """
    if HAS_READ in os.environ:
        return
    file = folder_of(arguments) / FILE
    known = outside()
    for name, value in read(file).items():
        if not before(name, known):
            os.environ[name] = value
            _in_use.add(name)


def outside() -> frozenset[str]:
    """What the environment named before the file was read."""
    return frozenset(os.environ) - _in_use


def before(name: str, outside: Collection[str]) -> str | None:
    """The name outside by which what the file says of this one does not count; None: it counts."""
    return next((one for one in sorted(_with(name)) if one in outside), None)


def folder_of(arguments: Sequence[str]) -> Path:
    """The folder of `./jobs up` that a command line names, before it is parsed."""
    for n, argument in enumerate(arguments):
        if argument == "--":
            break
        if argument == "--data" and n + 1 < len(arguments):
            return Path(arguments[n + 1])
        if argument.startswith("--data="):
            return Path(argument.removeprefix("--data="))
    return Path(os.environ.get("JOBS_DATA") or _CHECKOUT / ".jobs")


def read(file: Path) -> dict[str, str]:
    """What the file says; nothing where there is none. Raises ConfigurationError."""
    try:
        found = file.stat()
        us = os.geteuid()
        if us and found.st_uid not in {0, us}:  # root works in others' folders: what it writes there is theirs
            raise _unusable(
                f"{file} belongs to another user, and says which code is run: name a folder of your own (--data)"
            )
        if found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
            raise _unusable(f"{file} can be written by others, and says which code is run: chmod 600 it")
        lines = file.read_text(encoding="utf-8").splitlines()
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except (OSError, UnicodeDecodeError) as error:
        raise _unusable(f"{file} cannot be read ({error}): mend it, or remove it and run ./jobs setup") from None
    said = dict[str, str]()
    for n, line in enumerate(lines, start=1):
        if line.strip() and not line.lstrip().startswith("#"):
            name, value = _parse(line) or (None, "")
            if name is None:
                raise _unusable(
                    f"{file}, line {n}: it is not NAME=value, quoted as a shell does: mend it, or remove it"
                )
            said[name] = value
    return said


def write(file: Path, changes: Mapping[str, str]) -> None:
    """Change the file as a whole: these are as given from now on, and those given as empty are named no more.

    Raises ConfigurationError for a value of several lines, and where others can write to the folder, or it is theirs.
    """
    from cli.postgres_folder import FolderUnusable, open_folder, write_private

    for name, value in changes.items():
        if "\n" in value or "\0" in value:
            raise _unusable(f"{name} has more than one line: give it on one")
    try:
        folder = open_folder(file.parent)
    except FolderUnusable as error:
        raise _unusable(str(error)) from None
    before = file.read_text(encoding="utf-8").splitlines() if file.exists() else []
    kept = [line for line in before if not ((parsed := _parse(line)) and parsed[0] in changes)]
    new = [f"{name}={shlex.quote(value)}" for name, value in changes.items() if value]
    write_private(folder / file.name, "".join(f"{line}\n" for line in [*kept, *new]))


def _with(name: str) -> frozenset[str]:
    return next((names for names in TOGETHER if name in names), frozenset({name}))


def _parse(line: str) -> tuple[str, str] | None:
    found = _LINE.fullmatch(line)
    if found is None:
        return None
    try:
        words = shlex.split(found[2])
    except ValueError:
        return None
    return (found[1], "".join(words)) if len(words) < 2 else None  # noqa: PLR2004 - one word, or none


def _unusable(text: str) -> Exception:
    from jobs_core.errors import ConfigurationError  # with it comes psycopg, which --help does without

    return ConfigurationError(text)
