"""Which errors are a person's to mend, and the one line each becomes."""

import sys

_TREES = (
    "assistant.errors.AssistantError",
    "sessions.errors.SessionsError",
    "gateways.telegram.errors.TelegramError",
    "gateways.webhooks.errors.WebhookError",
)
"""Errors of rooms whose text is one line for people."""


def one_line(error: Exception) -> str | None:
    """What to tell the person, in one line; None for an error nobody expected."""
    core = sys.modules.get("jobs_core")  # imported by whatever could raise its errors; --help does without
    if core is not None:
        if isinstance(error, core.JobsError):
            return " ".join(str(error).split())
        if isinstance(error, core.db.Retryable):
            return f"Others were faster each time ({first_line(error)}): try again"
        if isinstance(error, core.ConnectionFailed):
            return f"Postgres cannot be reached ({first_line(error)}): see that it runs, and try again"
    for name in _TREES:
        module, _, known = name.rpartition(".")
        if module in sys.modules and isinstance(error, getattr(sys.modules[module], known)):
            return " ".join(str(error).split())
    if isinstance(error, OSError) and error.filename:
        return f"{error.filename}: {error.strerror}: choose another place, or change its permissions"
    return None


def first_line(error: Exception) -> str:
    """The first line of an error's text: libpq adds hints in further ones."""
    return next(iter(str(error).splitlines()), type(error).__name__).strip()
