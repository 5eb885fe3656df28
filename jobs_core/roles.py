"""Roles: Postgres roles that may create jobs of given types by SQL, and nothing else."""

import re
from collections.abc import Sequence

from psycopg import errors, sql

from jobs_core import db
from jobs_core.errors import ConfigurationError, InvalidInput
from jobs_core.statements import schema, statement

_ROLE_NAME = re.compile(r"(?!pg_)[a-z_][a-z0-9_]*")
_MAX_NAME_BYTES = 63  # Postgres cuts what is longer


def function_of(role: str | None) -> str:
    """The SQL function that such a role creates jobs with; without a role, the one that may create all types."""
    return f'"{schema()}".create' if role is None else f'"{_schema_of(role)}".create'


def may_create_sql(role: str, job_types: Sequence[str]) -> str:
    """The SQL that makes the role where there is none, and lets it create jobs of these types only, whatever it could before.

    Raises InvalidInput where the role is no plain name, or there is no type.
    """
    if not job_types:
        raise InvalidInput("job_types: name at least one job type", field="job_types")
    if marked := [name for name in job_types if "$" in name]:
        raise InvalidInput(f"job_types: {marked[0]!r} has a $, which ends the function's text", field="job_types")
    types = ", ".join(sql.Literal(name).as_string() for name in job_types)
    text = statement("jobs_core", "role/may_create")
    for marker, value in (("{own}", _schema_of(role)), ("{role}", role), ("{types}", types)):
        text = text.replace(marker, value)
    return text


async def let_create(conn: db.Connection, role: str, job_types: Sequence[str]) -> None:
    """Carry out `may_create_sql`, all of it or nothing.

    Raises ConfigurationError where Postgres does not let us, the role has rights in the queue's schema already, or the schema
    that is to be its own is not, or holds tables.
    """
    try:
        await conn.execute(may_create_sql(role, job_types).encode())
    except (errors.InsufficientPrivilege, errors.ReservedName, errors.RaiseException) as error:
        raise ConfigurationError(
            f"Postgres role {role} was not made ({error.diag.message_primary}): take another name, or have who may do it run "
            "what --dry-run prints"
        ) from None


def _schema_of(role: str) -> str:
    own = f"{schema()}_{role}"
    if not _ROLE_NAME.fullmatch(role) or len(own) > _MAX_NAME_BYTES:
        raise InvalidInput(
            f"role: {role!r} is not a plain name: use lower-case letters, digits and _, not pg_ first, at most "
            f"{_MAX_NAME_BYTES - len(schema()) - 1}",
            field="role",
        )
    return own
