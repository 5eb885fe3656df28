"""What the proxy itself answers with, in the API's words, so that the CLI stops at once."""

from starlette.responses import JSONResponse


class Refused(Exception):
    """A request that is not passed on. `x-should-retry: false` has the CLI ask no second time."""

    def __init__(self, status: int, error_type: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.error_type = error_type

    def response(self) -> JSONResponse:
        """The answer."""
        error = {"type": "error", "error": {"type": self.error_type, "message": str(self)}}
        return JSONResponse(error, self.status, {"x-should-retry": "false"})
