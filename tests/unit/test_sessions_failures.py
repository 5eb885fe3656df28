"""Which error a provider's failure is: the table of docs that was measured, row by row."""

import pytest

from sessions import CredentialsRefused, ModelUnavailable, PromptRefused, RateLimited, SessionsError, TurnFailed
from sessions.failures import Failure, to_error


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


def test_the_text_of_a_failure_is_cut() -> None:
    assert len(str(to_error(Failure("unknown", 400, "x" * 10_000)))) < 400
