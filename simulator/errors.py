"""Everything this room raises.

SimulatorError
├── ApiError       a refusal as the Messages API words it; becomes the status and body of the answer
├── ScriptError    a script that cannot be read; nothing of it was taken
└── ControlError   a control call was refused or waited in vain; only the client raises it
"""

from collections.abc import Mapping
from typing import Any, Final

# The types the API documents for each status; any other 4xx is an invalid request, any other 5xx an API error.
_TYPES: Final = {
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    504: "timeout_error",
    529: "overloaded_error",
}
_FIRST_SERVER_STATUS: Final = 500


class SimulatorError(Exception):
    """The root of the tree."""


class ApiError(SimulatorError):
    """A refusal with the HTTP status, wording and headers of the API."""

    def __init__(self, status: int, message: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.headers = dict(headers or {})

    def body(self, request_id: str) -> dict[str, Any]:
        """Return the API's error body; the same object is the data of a mid-stream `error` event."""
        fallback = "invalid_request_error" if self.status < _FIRST_SERVER_STATUS else "api_error"
        error = {"type": _TYPES.get(self.status, fallback), "message": self.message}
        return {"type": "error", "error": error, "request_id": request_id}


class ScriptError(SimulatorError):
    """A script that cannot be read; its message names the directive and what it should look like."""


class ControlError(SimulatorError):
    """A control call that was refused or that waited in vain; its message is the server's."""


def invalid(message: str) -> ApiError:
    """Return the refusal for an ill-formed request (400 `invalid_request_error`)."""
    return ApiError(400, message)
