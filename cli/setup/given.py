"""What a person has said, by options or when asked."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Bot:
    """A bot to log in to Telegram, and as what program."""

    token: str = field(repr=False)
    api_id: str
    api_hash: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Given:
    """What is to change. variables: of the environment, as they are to be; empty: not set. None: not said."""

    variables: Mapping[str, str] = field(default_factory=dict, repr=False)
    owner: str | None = None
    zone: str | None = None
    bot: Bot | None = None


@dataclass(frozen=True, slots=True)
class Known:
    """What the database says already. place: host, port and name. accounts: of ours at Telegram that are logged in."""

    place: str = ""
    owner: str | None = None
    zone: str | None = None
    accounts: tuple[str, ...] = ()
