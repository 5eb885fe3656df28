"""Which error a turn that failed at the provider is.

The exception the SDK raises says nothing reliable; the last result and the error of the last assistant message do. What
each failure looks like was measured with Claude Code 2.1.329.
"""

from dataclasses import dataclass

from sessions.errors import CredentialsRefused, ModelUnavailable, PromptRefused, RateLimited, SessionsError, TurnFailed

_RATE_LIMITED = 429
_REFUSED = (401, 403)
_NOT_TAKEN = (400, 413)
_TRY_AGAIN = (408, 409)
_SERVER_ERROR = 500
_LONGEST_TEXT = 300


@dataclass(frozen=True, slots=True)
class Failure:
    """How a run ended at the provider: the assistant message's `error`, the API's `status`, and what was said."""

    error: str | None
    status: int | None
    text: str


def to_error(failure: Failure) -> SessionsError:
    """The error of this room for a failure; its text is the provider's, cut to 300 characters."""
    text = failure.text[:_LONGEST_TEXT]
    error, status = failure.error, failure.status
    if error == "rate_limit" or status == _RATE_LIMITED:
        return RateLimited(f"The model's API limits our rate: {text}")
    if error in {"authentication_failed", "billing_error"} or status in _REFUSED:
        return CredentialsRefused(
            f"The model's API refused our credentials: {text}; check ANTHROPIC_API_KEY or CLAUDE_CODE_OAUTH_TOKEN"
        )
    if _may_pass(error, status):
        return ModelUnavailable(f"The model gave no answer: {text}")
    if status in _NOT_TAKEN:
        return PromptRefused(f"The model's API does not take this conversation: {text}")
    return TurnFailed(f"The turn failed ({error or status or 'no reason given'}): {text}")


def _may_pass(error: str | None, status: int | None) -> bool:
    if status is not None:
        return status >= _SERVER_ERROR or status in _TRY_AGAIN
    return error in {"server_error", "unknown"}  # a connection cut or refused, an empty body
