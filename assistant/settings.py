"""Settings of the assistant: who its owner is, and where its agents work."""

from pathlib import Path
from typing import Literal

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from jobs_core.settings import RoomSettings


class AssistantSettings(RoomSettings):
    """What people and agents need to know of this installation."""

    model_config = SettingsConfigDict(env_ignore_empty=True)  # an empty path would be the working directory

    owner_tg_user_id: int | None = Field(None, gt=0, lt=2**63)
    """The owner's number at Telegram, which no name can copy."""
    unknown_senders: Literal["hold", "serve"] = "hold"
    """What becomes of people whom no owner has allowed: held until one says a word, or served as external at once."""
    workspaces: Path | None = None
    """Where agents have their folders, one path on all hosts; empty: `workspaces` in the folder of `./jobs up`."""
