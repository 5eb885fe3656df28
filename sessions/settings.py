"""Settings of the agents: which model, with whose credentials, and how much patience."""

from decimal import Decimal
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from jobs_core.settings import RoomSettings

CapUsd = Literal["none"] | Annotated[Decimal, Field(gt=0, le=1_000_000, allow_inf_nan=False)]
"""Nobody can tell whether 0 is meant as no cap or as no money: neither is taken for the other."""


class SessionSettings(RoomSettings):
    """What running Claude sessions needs to know."""

    model_config = SettingsConfigDict(env_ignore_empty=True)  # an empty path would be the working directory

    model: str = "claude-sonnet-5"
    """The model that answers."""
    api_key: str = Field("", validation_alias="ANTHROPIC_API_KEY", repr=False)
    """The API's key."""
    oauth_token: str = Field("", validation_alias="CLAUDE_CODE_OAUTH_TOKEN", repr=False)
    """A token of a Claude subscription, used where there is no key."""
    base_url: str = Field("", validation_alias="ANTHROPIC_BASE_URL")
    """Where the Messages API is; empty: Anthropic's."""
    http_proxy: str = Field("", pattern=r"^(https?://.+)?$", repr=False)
    """The proxy through which the Messages API is reached; empty: as HTTPS_PROXY and NO_PROXY say."""
    silence_s: float = Field(180.0, gt=0, allow_inf_nan=False)
    """How long a running turn may say nothing at all before it is stopped. At 0.8 of it a call of Bash or an MCP server is."""
    cli_starts_at_once: int = Field(2, ge=1)
    """How many CLIs may be starting in one process: a start takes 0.35 s of a core, and 20 at once took 13 s on two."""
    scratch_folder: Path | None = None
    """Where running CLIs keep their files; empty: a folder of this user's in the system's temporary folder."""
    claude_cli: Path | None = None
    """The Claude Code CLI; empty: the one that comes with claude-agent-sdk."""

    turn_cap_usd: CapUsd = Decimal(2)
    """What one turn may cost before its job waits for somebody who approves more; `none`: as much as it takes."""
    daily_cap_usd: CapUsd = Decimal(50)
    """What all turns of a UTC day together may cost before all wait; `none`: as much as they take."""

    @property
    def has_credentials(self) -> bool:
        """Whether there is a key or a token, so that the real API can serve."""
        return bool(self.api_key or self.oauth_token)

    @property
    def shown_url(self) -> str:
        """Where the Messages API is, as people may see it: user, password, path and query can be secrets."""
        if not self.base_url:
            return "the Anthropic API"
        try:
            parts = urlsplit(self.base_url)
            host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
            port = f":{parts.port}" if parts.port is not None else ""
        except ValueError:
            host = None
        return f"{parts.scheme}://{host}{port}" if host else "an ANTHROPIC_BASE_URL that is no URL"
