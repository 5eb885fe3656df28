"""The API behind the proxy: where it is, with what credential, and which headers pass."""

import ipaddress
import ssl
from collections.abc import Iterable
from http.cookiejar import CookieJar, DefaultCookiePolicy
from urllib.parse import urlsplit

import httpx
from starlette.requests import Request

from jobs_core import ConfigurationError
from sessions.settings import SessionSettings

_ANTHROPIC = "https://api.anthropic.com"
_CONNECT_TIMEOUT_S = 10.0
_KEPT_IDLE_S = 60.0

_HOP_BY_HOP = {
    "connection",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
}
_OURS = {"host", "content-length", "accept-encoding", "authorization", "x-api-key", "cookie"}
_OF_ANOTHER_BODY = {"content-length", "content-encoding", "set-cookie"}


class Upstream:
    """The API, for all runs of a process."""

    def __init__(self, settings: SessionSettings) -> None:
        self._url = (settings.base_url or _ANTHROPIC).rstrip("/")
        self._credential = (
            {"x-api-key": settings.api_key} if settings.api_key else {"authorization": f"Bearer {settings.oauth_token}"}
        )
        self.client = _client(settings, self._url)

    async def send(self, request: Request, body: bytes) -> httpx.Response:
        """Ask the API; its answer is not read yet. Raises httpx.HTTPError."""
        return await self.client.send(self._request(request, body), stream=True)

    def _request(self, request: Request, body: bytes) -> httpx.Request:
        """The same request, for the API: with the credential in place of the run's."""
        query = f"?{request.url.query}" if request.url.query else ""
        # What is not compressed can be counted as it passes, and need not be packed and unpacked on the way.
        headers = [*_kept(request.headers.items(), _OURS), ("accept-encoding", "identity"), *self._credential.items()]
        return self.client.build_request(
            request.method, f"{self._url}{request.url.path}{query}", headers=headers, content=body
        )


def passed_on(response: httpx.Response) -> list[tuple[bytes, bytes]]:
    """The headers of an answer that pass, `retry-after` and the rate limits' among them."""
    return [(name.encode("latin-1"), value.encode("latin-1")) for name, value in _response_headers(response)]


def _response_headers(response: httpx.Response) -> Iterable[tuple[str, str]]:
    return _kept(response.headers.multi_items(), _OF_ANOTHER_BODY)


def _kept(headers: Iterable[tuple[str, str]], but: set[str]) -> list[tuple[str, str]]:
    """Headers that are for the other end."""
    pairs = [(name.lower(), value) for name, value in headers]
    named = {token.strip().lower() for name, value in pairs if name == "connection" for token in value.split(",")}
    return [(name, value) for name, value in pairs if name not in _HOP_BY_HOP | named | but]


def _client(settings: SessionSettings, url: str) -> httpx.AsyncClient:
    """Raises ConfigurationError for a URL that is none, or certificates that cannot be read."""
    try:
        local = _is_local(url)
        return httpx.AsyncClient(
            proxy=None if local else settings.http_proxy or None,
            trust_env=not local,  # HTTPS_PROXY, NO_PROXY, SSL_CERT_FILE
            timeout=httpx.Timeout(None, connect=_CONNECT_TIMEOUT_S),  # how long an answer may take is the CLI's affair
            cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),  # none are kept: they would go from run to run
            limits=httpx.Limits(max_connections=None, keepalive_expiry=_KEPT_IDLE_S),
        )
    except (ValueError, httpx.InvalidURL, ssl.SSLError, OSError) as error:
        raise ConfigurationError(
            f"The way to the model's API cannot be set up ({type(error).__name__}): check ANTHROPIC_BASE_URL, "
            "JOBS_HTTP_PROXY, HTTPS_PROXY and SSL_CERT_FILE"
        ) from None


def _is_local(url: str) -> bool:
    """Whether the API is on this machine, as the simulator is: no proxy stands in between."""
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
