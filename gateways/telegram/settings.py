"""Settings of the Telegram door."""

from typing import Literal

from pydantic import Field

from jobs_core.settings import RoomSettings


class TelegramSettings(RoomSettings):
    """As what program we come to Telegram, and how much of groups is taken in."""

    telegram_api_id: int | None = Field(None, gt=0, lt=2**31)
    """Of this program at Telegram, from my.telegram.org; asked for by `./jobs telegram login` where it is not set."""
    telegram_api_hash: str = Field("", pattern="^([0-9a-zA-Z]{4,64})?$", repr=False)
    """The secret that goes with it."""
    telegram_group_context: Literal["off", "on"] = "off"
    """Whether what is said in a group to nobody of ours is kept for the next message that is."""
    telegram_group_context_messages: int = Field(20, ge=1, le=200)
    """How many of those at most, in each topic."""
    telegram_server: str = Field("", pattern=r"^([\w.-]+:\d{1,5})?$")
    """Where a login connects, `host:port`; empty: Telegram's own servers. For a server of one's own."""
