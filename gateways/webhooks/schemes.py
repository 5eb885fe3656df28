"""How senders show that an event is theirs, and by what id they repeat it.

A scheme tells the sender's id for an event, None where the sender gives none, or raises NotSigned. Most are an HMAC of the body
in some header, so they are rows of a table; the time is signed by Standard Webhooks alone, and there it is held against this
machine's clock. All secrets that are valid are tried, and each comparison takes the same time whatever it finds.
"""

import base64
import hmac
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Literal, Protocol

from pydantic import BaseModel, ConfigDict, Field

from gateways.webhooks import signing
from gateways.webhooks.errors import NotSigned
from jobs_core import InvalidInput

SchemeName = Literal["standard", "github", "gitlab", "jira", "taiga", "hmac", "bearer"]

_SHORTEST_SECRET = 16
_LONGEST_SECRET = 500
_MAX_ID_CHARS = 200
_HeaderName = Annotated[str, Field(pattern=r"^[a-zA-Z0-9][a-zA-Z0-9-]{0,99}$")]


class Settings(BaseModel):
    """What the schemes `hmac` and `bearer` must be told.

    header: that holds the signature, or the token. prefix: of it there. algorithm, encoding: of an HMAC of the body.
    id_header: that names the event, the same when it is sent again; without one, events are told apart by their bodies.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    header: _HeaderName | None = None
    prefix: Annotated[str, Field(max_length=50)] | None = None
    algorithm: Literal["sha256", "sha1", "sha512"] | None = None
    encoding: Literal["hex", "base64"] | None = None
    id_header: _HeaderName | None = None


@dataclass(frozen=True, slots=True)
class Request:
    """What is to be shown to come from its sender. headers: by lower-case name. now_s: Unix seconds."""

    headers: Mapping[str, str]
    body: bytes
    now_s: float


class Scheme(Protocol):
    """One way to sign."""

    @property
    def secret_headers(self) -> Sequence[str]:
        """The headers that show the secret, by lower-case name: these are not kept."""

    def check_secret(self, secret: str) -> None:
        """Raise InvalidInput, which does not repeat it, for a secret that this scheme cannot have."""

    def id_of(self, secrets: Sequence[str], request: Request) -> str | None:
        """The sender's id for the event. Raises NotSigned."""


@dataclass(frozen=True, slots=True)
class Standard:
    """Standard Webhooks."""

    secret_headers = (signing.SIGNATURE_HEADER,)

    def check_secret(self, secret: str) -> None:
        signing.key_of(secret)

    def id_of(self, secrets: Sequence[str], request: Request) -> str | None:
        return signing.verify(secrets, request.headers, request.body, now_s=request.now_s).id


@dataclass(frozen=True, slots=True)
class Hmac:
    """An HMAC of the body in a header, behind a prefix. Neither an id nor a time is signed with it."""

    header: str
    prefix: str = ""
    algorithm: str = "sha256"
    encoding: str = "hex"
    id_headers: Sequence[str] = ()

    @property
    def secret_headers(self) -> Sequence[str]:
        return (self.header,)

    def check_secret(self, secret: str) -> None:
        _check_plain(secret)

    def id_of(self, secrets: Sequence[str], request: Request) -> str | None:
        given = _given(request.headers, self.header, self.prefix)
        if self.encoding == "hex":
            given = given.lower()
        _require_one_of([self._signature(secret, request.body) for secret in secrets], given, self.header)
        return _first_id(request.headers, self.id_headers)

    def _signature(self, secret: str, body: bytes) -> str:
        digest = hmac.digest(secret.encode(), body, self.algorithm)
        return digest.hex() if self.encoding == "hex" else base64.b64encode(digest).decode()


@dataclass(frozen=True, slots=True)
class Token:
    """The secret itself in a header: whoever reads one request can send others."""

    header: str
    prefix: str = ""
    id_headers: Sequence[str] = ()

    @property
    def secret_headers(self) -> Sequence[str]:
        return (self.header,)

    def check_secret(self, secret: str) -> None:
        _check_plain(secret)
        if secret != secret.strip():
            raise InvalidInput("secret: begins or ends with a space, which no header can send", field="secret")

    def id_of(self, secrets: Sequence[str], request: Request) -> str | None:
        _require_one_of(secrets, _given(request.headers, self.header, self.prefix), self.header)
        return _first_id(request.headers, self.id_headers)


@dataclass(frozen=True, slots=True)
class GitLab:
    """By its secret token, or, where the secret is a signing token (`whsec_…`), as Standard Webhooks.

    Its `webhook-id` is its Idempotency-Key. X-Gitlab-Event-UUID is none: an event that a webhook set off shares it, and would
    be taken for a repeat. Versions that send nothing else are told apart by the body.
    """

    secret_headers = ("x-gitlab-token", signing.SIGNATURE_HEADER)
    _token = Token("x-gitlab-token", id_headers=("idempotency-key",))
    _signed = Standard()

    def check_secret(self, secret: str) -> None:
        (self._signed if _is_signing_token(secret) else self._token).check_secret(secret)

    def id_of(self, secrets: Sequence[str], request: Request) -> str | None:
        if signing.SIGNATURE_HEADER in request.headers and any(map(_is_signing_token, secrets)):
            return self._signed.id_of([one for one in secrets if _is_signing_token(one)], request)
        return self._token.id_of([one for one in secrets if not _is_signing_token(one)], request)


_FIXED: dict[str, Scheme] = {
    "standard": Standard(),
    "github": Hmac("x-hub-signature-256", "sha256=", id_headers=("x-github-delivery",)),
    "gitlab": GitLab(),
    "jira": Hmac("x-hub-signature", "sha256=", id_headers=("x-atlassian-webhook-identifier",)),
    "taiga": Hmac("x-taiga-webhook-signature", algorithm="sha1"),
}


def scheme_of(name: SchemeName, settings: Settings) -> Scheme:
    """The scheme, made as its settings say. Raises InvalidInput where they are not for it, or one is missing."""
    given = settings.model_dump(exclude_none=True)
    allowed = {"hmac": set(Settings.model_fields), "bearer": {"header", "prefix", "id_header"}}.get(name, set())
    if odd := sorted(set(given) - allowed):
        raise InvalidInput(f"settings.{odd[0]}: the scheme {name} has no such setting; leave it out", field="settings")
    if name in _FIXED:
        return _FIXED[name]
    ids = (settings.id_header.lower(),) if settings.id_header else ()
    if name == "bearer":
        header = (settings.header or "authorization").lower()
        prefix = settings.prefix if settings.prefix is not None else "Bearer " * (header == "authorization")
        if header in ids:
            raise InvalidInput(
                "settings.id_header: holds the secret, which would stand with each event; name another one",
                field="settings",
            )
        return Token(header, prefix, ids)
    if settings.header is None:
        raise InvalidInput("settings.header: is missing; name the header that holds the signature", field="settings")
    return Hmac(
        settings.header.lower(),
        settings.prefix or "",
        settings.algorithm or "sha256",
        settings.encoding or "hex",
        ids,
    )


def new_secret(name: SchemeName) -> str:
    """A secret that suits a scheme. Services that are given one take any text; `whsec_` ones are text, too."""
    secret = signing.new_secret()
    return secret if name == "standard" else secret.removeprefix("whsec_").rstrip("=").translate(_URL_SAFE)


_URL_SAFE = str.maketrans("+/", "-_")


def _is_signing_token(secret: str) -> bool:
    return secret.startswith("whsec_")


def _check_plain(secret: str) -> None:
    if not (_SHORTEST_SECRET <= len(secret) <= _LONGEST_SECRET and secret.isascii() and secret.isprintable()):
        raise InvalidInput(
            f"secret: is not {_SHORTEST_SECRET} to {_LONGEST_SECRET} printable ASCII characters; "
            "leave it out to have one made",
            field="secret",
        )


def _given(headers: Mapping[str, str], header: str, prefix: str) -> str:
    """What a header holds behind its prefix, whose case does not matter (`Bearer`, `SHA256=`)."""
    text = headers.get(header, "")
    if not text or text[: len(prefix)].lower() != prefix.lower():
        raise NotSigned(f"{header}: is missing, or does not begin with {prefix!r}")
    return text[len(prefix) :].strip()


def _require_one_of(right: Sequence[str], given: str, header: str) -> None:
    found = False
    for one in right:
        found |= hmac.compare_digest(one.encode(), given.encode())
    if not found:
        raise NotSigned(f"{header}: is wrong")


def _first_id(headers: Mapping[str, str], names: Sequence[str]) -> str | None:
    """Raises NotSigned for an id that cannot be one: it would be somebody's else's event."""
    for name in names:
        if given := headers.get(name):
            if len(given) > _MAX_ID_CHARS or not (given.isascii() and given.isprintable()):
                raise NotSigned(f"{name}: is not 1 to {_MAX_ID_CHARS} printable ASCII characters")
            return given
    return None
