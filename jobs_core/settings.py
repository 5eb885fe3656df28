"""Settings from the environment: read once in `cli`, frozen, passed down.

Each room that has settings declares them as a `RoomSettings`; a name there is an environment variable with the prefix
`JOBS_`, and carries its unit. `docs/settings.md` lists them all, and a test holds that page to the code.
"""

import re
from typing import Any, Self

from pydantic import Field, ValidationError, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from jobs_core.errors import ConfigurationError


class RoomSettings(BaseSettings):
    """The base of a room's settings."""

    model_config = SettingsConfigDict(env_prefix="JOBS_", frozen=True, extra="ignore", hide_input_in_errors=True)

    @classmethod
    def read(cls, **overrides: Any) -> Self:
        """Read them, `overrides` (a command's options) before the environment, None meaning "not given".

        Raises ConfigurationError naming the variable that does not fit.
        """
        try:
            return cls(**{name: value for name, value in overrides.items() if value is not None})
        except ValidationError as error:
            first = error.errors()[0]
            message = first["msg"].removeprefix("Value error, ")
            if not first["loc"]:  # a check of several together, which names them itself
                raise ConfigurationError(message) from None
            variable = str(first["loc"][0])
            if not re.fullmatch(r"[A-Z_]+", variable):
                variable = f"JOBS_{variable.upper()}"
            raise ConfigurationError(f"{variable}: {message}") from None


class CoreSettings(RoomSettings):
    """What every process of Jobs needs to know."""

    database_url: str = Field("", validation_alias="DATABASE_URL", repr=False)
    """Where Postgres is; empty: `./jobs up` runs its own."""
    database_direct_url: str = Field("", validation_alias="DATABASE_DIRECT_URL", repr=False)
    """The same database past a pooler, for LISTEN and leases; empty: as `database_url`."""
    schema_name: str = Field("jobs", validation_alias="JOBS_SCHEMA")
    """The schema that all tables live in."""
    log_level: str = Field("info", pattern="^(debug|info|warning|error)$")
    """What is logged."""
    log_format: str = Field("auto", pattern="^(auto|json|text)$")
    """`json` a line an event, `text` for people, `auto`: text on a terminal."""
    database_connections: int = Field(8, ge=2, le=100)
    """The most connections of one process' pool; a worker adds two (LISTEN, lease)."""

    @model_validator(mode="after")
    def _the_same_database(self) -> Self:
        if self.database_direct_url and not self.database_url:
            raise ValueError("DATABASE_DIRECT_URL is the way past a pooler: set DATABASE_URL, too, or neither")
        return self


class HistorySettings(RoomSettings):
    """How many days ended jobs are kept, by the retention class of their type; a day is dropped as a whole."""

    history_short_days: int = Field(3, ge=1, le=3650)
    """Class `short`, and failed jobs of class `none`."""
    history_standard_days: int = Field(30, ge=1, le=3650)
    """Class `standard`; attempts that did not complete, what runs said, and counts of jobs that left no history, as long."""
    history_long_days: int = Field(365, ge=1, le=3650)
    """Class `long`."""
