"""Which error a provider's failure is: the table of docs that was measured, row by row."""

import pytest

from sessions import CredentialsRefused, ModelUnavailable, PromptRefused, RateLimited, SessionsError, TurnFailed
from sessions.failures import Failure, retry_after_s, to_error


@pytest.mark.parametrize(
    ("error", "status", "expected"),
    [
        ("rate_limit", 429, RateLimited),
        ("server_error", 529, ModelUnavailable),
        ("server_error", 500, ModelUnavailable),
        ("server_error", 503, ModelUnavailable),
        ("unknown", 408, ModelUnavailable),
        ("unknown", 409, ModelUnavailable),
        ("server_error", None, ModelUnavailable),
        ("unknown", None, ModelUnavailable),
        ("unknown", 400, PromptRefused),
        ("invalid_request", 400, PromptRefused),
        ("billing_error", 400, CredentialsRefused),
        ("authentication_failed", 401, CredentialsRefused),
        ("authentication_failed", 403, CredentialsRefused),
        ("model_not_found", 404, TurnFailed),
        ("invalid_request", 413, PromptRefused),
        ("max_output_tokens", None, TurnFailed),
        ("invalid_request", None, TurnFailed),
        (None, None, TurnFailed),
    ],
)
def test_a_failure_is_the_error_that_its_policy_needs(
    error: str | None, status: int | None, expected: type[SessionsError]
) -> None:
    assert type(to_error(Failure(error, status, "why"))) is expected


@pytest.mark.parametrize(
    ("failure", "expected", "says"),
    [
        (Failure("invalid_request", None, "", stop="refusal"), TurnFailed, "refused to answer"),
        (Failure("unknown", None, "", stop="refusal"), TurnFailed, "refused to answer"),
        (Failure("max_output_tokens", None, ""), TurnFailed, "longer than it may be"),
        (Failure(None, None, "", stop="model_context_window_exceeded"), TurnFailed, "longer than it may be"),
        (Failure("model_not_found", 404, ""), TurnFailed, "does not know the agent's model"),
        (Failure("invalid_request", None, "", ended="prompt_too_long"), PromptRefused, "does not take"),
        (Failure("invalid_request", None, "", ended="image_error"), PromptRefused, "does not take"),
        (Failure("unknown", None, "", stop="stop_sequence"), ModelUnavailable, "gave no answer"),
    ],
)
def test_why_a_run_ended_tells_what_a_status_does_not(
    failure: Failure, expected: type[SessionsError], says: str
) -> None:
    error = to_error(failure)
    assert type(error) is expected
    assert says in str(error)


def test_a_limit_says_for_how_long_where_that_is_known() -> None:
    error = to_error(Failure("rate_limit", 429, "slow down", retry_after_s=7.0))
    assert isinstance(error, RateLimited)
    assert error.retry_after_s == 7.0


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({}, None),
        ({"retry-after": "7"}, 7.0),
        ({"retry-after": "0.5", "retry-after-ms": "250"}, 0.25),
        ({"retry-after": "-3"}, 0.0),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "1e999"}, None),
        ({"retry-after": "Wed, 21 Oct 2026 07:28:00 GMT"}, None),
    ],
)
def test_how_long_to_wait_is_read_from_the_headers(headers: dict[str, str], expected: float | None) -> None:
    assert retry_after_s(headers) == expected


def test_the_text_of_a_failure_is_cut() -> None:
    assert len(str(to_error(Failure("unknown", 400, "x" * 10_000)))) < 400
