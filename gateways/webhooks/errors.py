"""What can go wrong with webhooks, as a caller tells it apart.

WebhookError
├── NotSigned     a request does not show that its sender knows the secret, or not now: answer 401, say no more
├── NotMapped     no job can be made of an event by its source's mapping: keep the event, mend the mapping, replay
├── NoSuchSource  there is no source of this name: the caller has a wrong one
├── SourceExists  there is one already: change it, or take another name
├── NoSuchEvent   nothing was received under this number, or it is no longer kept
├── NotReplayed   a job was made of this event: the caller says so if another one is wanted
└── NotCallable   a receiver may not be called, or not now: say why, try again later or take another one
"""


class WebhookError(Exception):
    """Every error of this door; its text is one line that says what happened, to what, and what to do."""


class NotSigned(WebhookError):
    """The signature is missing, wrong, or of another time."""


class NotMapped(WebhookError):
    """An expression of the mapping failed, or what it gave fits no job of the source's type."""


class NoSuchSource(WebhookError):
    """No source has this name."""


class SourceExists(WebhookError):
    """A source of this name is there already."""


class NoSuchEvent(WebhookError):
    """No received event has this number."""


class NotReplayed(WebhookError):
    """The event has its job; nothing was created."""


class NotCallable(WebhookError):
    """A receiver's URL is none that we call, or its name leads where we do not go."""
