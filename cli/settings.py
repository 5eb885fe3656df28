"""Settings of the `jobs` command itself; its options come first where both are given."""

from pathlib import Path

from pydantic import Field

from jobs_core.settings import RoomSettings

CHECKOUT = Path(__file__).resolve().parents[1]


class CliSettings(RoomSettings):
    """Where `./jobs up` keeps its things and what it runs; where the other commands find it."""

    data: Path = CHECKOUT / ".jobs"
    """The folder of `./jobs up`: its Postgres, the token, the running address."""
    port: int = Field(8080, ge=0, le=65535)
    """The web API's port on 127.0.0.1; 0 lets the system pick one."""
    processes: int = Field(2, ge=1, le=64)
    """How many worker processes one `./jobs up` or `./jobs worker` runs."""
    handlers: str = Field("", pattern=r"^[\w.]*(,[\w.]+)*$")
    """More modules with job types, by import path, separated by commas; each has a `register(table)`."""
    url: str = Field("", pattern=r"^(https?://.+)?$")
    """The web API that `./jobs chat` talks to; empty: the `./jobs up` that runs in the folder."""
    metrics_address: str = Field("", pattern=r"^((\[[0-9a-fA-F:]+\]|[\w.-]+):\d{1,5})?$")
    """Where `./jobs worker`, `telegram` and `scheduler` serve what they count, as HOST:PORT; empty: nowhere."""
    hosts: str = Field("", pattern=r"^[\w.:-]*(,[\w.:-]+)*$")
    """Names that the web API is known by beside 127.0.0.1 and localhost, separated by commas; a proxy's with its port."""
    token: str = Field("", pattern="^(.{16,})?$", repr=False)
    """The web API's token; empty: the one in the folder, made on first start."""
