"""Settings of the assistant: who its owner is, where its agents work, which files it takes, and what hears voice messages."""

from pathlib import Path
from typing import Literal

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from jobs_core.settings import RoomSettings

_PATTERNS = r"^[a-z0-9.*+/-]+(,[a-z0-9.*+/-]+)*$"


class AssistantSettings(RoomSettings):
    """What people and agents need to know of this installation."""

    model_config = SettingsConfigDict(env_ignore_empty=True)  # an empty path would be the working directory

    owner_tg_user_id: int | None = Field(None, gt=0, lt=2**63)
    """The owner's number at Telegram, which no name can copy."""
    unknown_senders: Literal["hold", "serve"] = "hold"
    """What becomes of people whom no owner has allowed: held until one says a word, or served as external at once."""
    workspaces: Path | None = None
    """Where agents have their folders, one path on all hosts; empty: `workspaces` in the folder of `./jobs up`."""


class MediaSettings(RoomSettings):
    """Which files are taken that people send by channels other than the web, and how long their bytes are kept."""

    media_max_bytes: int = Field(20_000_000, ge=1, le=2_000_000_000)
    """Of one file."""
    media_day_bytes: int = Field(200_000_000, ge=1)
    """Of all that one person sends in 24 hours."""
    media_types: str = Field("*", pattern=_PATTERNS)
    """Types that are taken, as their bytes say: patterns, separated by commas."""
    media_refused: str = Field("application/x-executable", pattern=f"^$|{_PATTERNS}")
    """Types that are not, though they fit those."""
    media_keep_days: int = Field(7, ge=1, le=3650)
    """What is older is known by its name and size only."""

    @property
    def taken_types(self) -> list[str]:
        """Patterns of `media_types`."""
        return self.media_types.split(",")

    @property
    def refused_types(self) -> list[str]:
        """Patterns of `media_refused`."""
        return [pattern for pattern in self.media_refused.split(",") if pattern]


class VoiceSettings(RoomSettings):
    """What hears voice messages: faster-whisper, which requirements-voice.txt brings."""

    voice_model: str = ""
    """The folder of a model, or the name of one that is fetched at first use; empty: voice messages are not transcribed."""
    voice_device: Literal["auto", "cpu", "cuda"] = "auto"
    """What it runs on."""
    voice_compute_type: str = Field("default", pattern="^[a-z0-9_]+$")
    """How it counts, in CTranslate2's words: `int8` is the quickest on a CPU."""
    voice_language: str = Field("", pattern="^([a-z]{2,3})?$")
    """What is spoken, as `en`; empty: what it hears."""
    voice_longest_s: float = Field(600.0, gt=0, le=7200)
    """A longer clip is not transcribed."""
