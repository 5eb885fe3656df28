"""SQL in files: one statement a file, `<room>/sql/<record>/<verb>.sql`, read once.

The one thing ever filled in is the schema's name, validated here; all else is a named parameter.
"""

import re
from functools import cache
from importlib import resources
from typing import LiteralString

from jobs_core.errors import ConfigurationError

_SCHEMA_NAME = re.compile(r"(?!pg_)[a-z_][a-z0-9_]{0,57}")  # with _wake behind it, it is a channel: 63 at most
_schema = "jobs"


def use_schema(name: str) -> None:
    """Choose the schema that all rooms' tables live in; called once, before the first statement is read.

    Raises ConfigurationError for a name that is not a plain lower-case identifier.
    """
    global _schema  # noqa: PLW0603 - one schema a process: the statements are read once with it
    if not _SCHEMA_NAME.fullmatch(name):
        raise ConfigurationError(
            f"JOBS_SCHEMA={name!r} is not a schema name: use lower-case letters, digits and _, at most 58, not pg_ first"
        )
    _schema = name
    statement.cache_clear()


def schema() -> str:
    """The schema's name, safe to place in SQL."""
    return _schema


def fill_in(text: LiteralString) -> LiteralString:
    """The text with `{schema}` replaced by the schema's quoted name: `order` is a good one, too."""
    return text.replace("{schema}", f'"{_schema}"')


@cache
def statement(room: str, name: str) -> LiteralString:
    """The statement in `<room>/sql/<name>.sql`, for example `statement("jobs_core", "job/claim")`."""
    return fill_in((resources.files(room) / "sql" / f"{name}.sql").read_text(encoding="utf-8"))
