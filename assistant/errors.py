"""What can go wrong in what the assistant knows, as a door may want to tell it apart.

AssistantError
├── NoSuchChat      there is no such chat on this channel: the caller has a wrong id
├── ChatClosed      the chat takes no messages any more: the caller begins a new one
├── NoSuchAction    there is no such pending action, or nothing always allowed, under this id: the caller has a wrong one
├── MayNotDecide    it is not this person's to decide about
└── NotDecided      it was decided before, is over, or is not what the person was shown: the caller looks at it again
"""


class AssistantError(Exception):
    """Every error of this room; its text is one line that says what happened, to what, and what to do."""


class NoSuchChat(AssistantError):
    """No chat has this id on this channel."""


class ChatClosed(AssistantError):
    """The chat is not active."""


class NoSuchAction(AssistantError):
    """No action, and nothing that is always allowed, has this id."""


class MayNotDecide(AssistantError):
    """The action names others who may decide."""


class NotDecided(AssistantError):
    """The decision changed nothing: it came too late, or for other arguments."""
