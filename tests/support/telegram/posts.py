"""What is said. A post is one thing for everybody; each account sees it as a message with an id of its mailbox."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.support.telegram.chats import Chat, Topic
    from tests.support.telegram.people import Person


def now() -> datetime:
    """Give the time as Telegram says it: in whole seconds."""
    return datetime.now(UTC).replace(microsecond=0)


@dataclass(eq=False)
class File:
    """A photo, document or voice note as it lies on the server."""

    id: int
    data: bytes = field(repr=False)
    name: str = ""
    mime_type: str = "application/octet-stream"
    attributes: list[Any] = field(default_factory=list)
    is_photo: bool = False

    @property
    def is_voice(self) -> bool:
        return any(getattr(attribute, "voice", False) for attribute in self.attributes)


@dataclass(eq=False)
class Post:
    """One thing said in a chat: `text` as it stands now, `texts` as it stood one after another."""

    sender: Person
    chat: Chat
    text: str
    entities: list[Any] = field(default_factory=list)
    file: File | None = None
    reply_to: Post | None = field(default=None, repr=False)
    topic: Topic | None = field(default=None, repr=False)
    forward_of: Post | None = field(default=None, repr=False)
    buttons: Any = None
    album: int | None = None
    random_id: int | None = None
    date: datetime = field(default_factory=now)
    edited: datetime | None = None
    is_deleted: bool = False
    texts: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.texts.append(self.text)

    @property
    def opens(self) -> bool:
        """Whether this is the service message that opened its topic."""
        return self.topic is not None and self.topic.opened_by is self

    def callback(self, label: str) -> bytes:
        """Give the data of the button that says `label`."""
        buttons = [button for row in getattr(self.buttons, "rows", ()) for button in row.buttons]
        for button in buttons:
            if button.text == label:
                return bytes(button.type.data)
        raise LookupError(f"no button of {self.text!r} says {label!r}, but {[button.text for button in buttons]}")
