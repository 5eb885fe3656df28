"""Which error a turn that failed at the provider is.

    what was seen (last result, last assistant message)            error               what becomes of the job
    429                                                            RateLimited         all wait, no retry spent
    529, 500 … 599, 408, 409, connection refused or cut,
      timed out, malformed or empty body, error event              ModelUnavailable    likewise, when several in a row
    401, 403, 400 for the credit                                   CredentialsRefused  all wait, an operator is told
    400, 413, prompt too long                                      PromptRefused       fails; the conversation begins anew
    404 model, refusal, token limit, whatever else                 TurnFailed          fails

The exception the SDK raises says nothing reliable; the last result and the error of the last assistant message do. What
each failure looks like was measured with Claude Code 2.1.329.
"""

import math
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass

from sessions.errors import CredentialsRefused, ModelUnavailable, PromptRefused, RateLimited, SessionsError, TurnFailed

_RATE_LIMITED = 429
_REFUSED = (401, 403)
_NOT_TAKEN = (400, 413)
_NO_MODEL = 404
_TRY_AGAIN = (408, 409)
_SERVER_ERROR = 500
_LONGEST_TEXT = 300
_OWN_STOPS = ("refusal", "max_tokens", "model_context_window_exceeded")


@dataclass(frozen=True, slots=True)
class Failure:
    """How a run ended at the provider: the assistant message's `error`, the API's `status`, what was said, and why it ended.

    stop: the result's stop_reason; ended: its terminal_reason. retry_after_s: what the provider asked for, where known.
    """

    error: str | None
    status: int | None
    text: str
    stop: str | None = None
    ended: str | None = None
    retry_after_s: float | None = None


def to_error(failure: Failure) -> SessionsError:
    """The error of this room for a failure; its text is the provider's, cut to 300 characters."""
    text = failure.text[:_LONGEST_TEXT]
    error, status = failure.error, failure.status
    if error == "rate_limit" or status == _RATE_LIMITED:
        return RateLimited(f"The model's API limits our rate: {text}", retry_after_s=failure.retry_after_s)
    if error in {"authentication_failed", "billing_error"} or status in _REFUSED:
        return CredentialsRefused(
            f"The model's API refused our credentials: {text}; check ANTHROPIC_API_KEY or CLAUDE_CODE_OAUTH_TOKEN"
        )
    if failure.stop not in _OWN_STOPS and _may_pass(error, status):
        return ModelUnavailable(f"The model gave no answer: {text}")
    if status in _NOT_TAKEN or failure.ended in {"prompt_too_long", "image_error"}:
        return PromptRefused(f"The model's API does not take this conversation: {text}")
    return TurnFailed(f"{_why(failure)}: {text}")


def retry_after_s(headers: Mapping[str, str]) -> float | None:
    """Seconds that an answer's headers ask to wait; None where they do not, or give a date: clocks differ."""
    for name, unit_s in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        with suppress(ValueError):
            wait_s = float(headers.get(name, "")) * unit_s
            if math.isfinite(wait_s):
                return max(wait_s, 0.0)
    return None


def _why(failure: Failure) -> str:
    """What a failure is that would come again."""
    if failure.stop == "refusal":
        return "The model refused to answer"
    if failure.error == "max_output_tokens" or failure.stop in _OWN_STOPS:
        return "The model's answer was longer than it may be"
    if failure.error == "model_not_found" or failure.status == _NO_MODEL:
        return "The model's API does not know the agent's model (see JOBS_MODEL, and the agent)"
    return f"The turn failed ({failure.error or failure.status or 'no reason given'})"


def _may_pass(error: str | None, status: int | None) -> bool:
    if status is not None:
        return status >= _SERVER_ERROR or status in _TRY_AGAIN
    return error in {"server_error", "unknown"}  # a connection cut or refused, an empty body
