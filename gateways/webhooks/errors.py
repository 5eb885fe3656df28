"""What can go wrong with webhooks, as a caller tells it apart.

WebhookError
└── NotSigned  a request does not show that its sender knows the secret, or not now: answer 401, say no more
"""


class WebhookError(Exception):
    """Every error of this door; its text is one line that says what happened, to what, and what to do."""


class NotSigned(WebhookError):
    """The signature is missing, wrong, or of another time."""
