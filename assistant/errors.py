"""What can go wrong in what the assistant knows, as a door may want to tell it apart.

AssistantError
├── NoSuchChat      there is no such chat on this channel: the caller has a wrong id
└── ChatClosed      the chat takes no messages any more: the caller begins a new one
"""


class AssistantError(Exception):
    """Every error of this room; its text is one line that says what happened, to what, and what to do."""


class NoSuchChat(AssistantError):
    """No chat has this id on this channel."""


class ChatClosed(AssistantError):
    """The chat is not active."""
