"""Standard Webhooks (standardwebhooks.com): how a message between programs is signed, for both directions.

    webhook-id: msg_2…          the same when a message is sent again
    webhook-timestamp: 17…      Unix seconds, when this try was sent
    webhook-signature: v1,…     HMAC-SHA256 over `id.timestamp.body`, base64; one for each secret while one replaces another

A secret is written `whsec_` and the key in base64. Only the symmetric version, `v1`, is known here.
"""

import base64
import binascii
import hashlib
import hmac
import re
import secrets as random_bytes
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from gateways.webhooks.errors import NotSigned
from jobs_core import InvalidInput

ID_HEADER, TIME_HEADER, SIGNATURE_HEADER = "webhook-id", "webhook-timestamp", "webhook-signature"
TOLERANCE_S = 300
"""How far a signed time may be from now, either way: five minutes, as the specification's own libraries have it."""

_PREFIX = "whsec_"
_VERSION = "v1"
_NEW_KEY_BYTES, _SHORTEST_KEY_BYTES, _LONGEST_KEY_BYTES = 32, 24, 64  # the two bounds are the specification's
_SECONDS = re.compile(r"[0-9]{1,12}", re.ASCII)
_ID = re.compile(r"[!-~]{1,200}")  # printable ASCII: it names the message in logs and tables
_MOST_SIGNATURES = 20


@dataclass(frozen=True, slots=True)
class Signed:
    """A message whose signature is right. sent_at_s: Unix seconds, of this try."""

    id: str
    sent_at_s: int


def new_secret() -> str:
    """A secret that nobody has yet: 32 random bytes, as both sides write it."""
    return _PREFIX + base64.b64encode(random_bytes.token_bytes(_NEW_KEY_BYTES)).decode()


def key_of(secret: str) -> bytes:
    """The key in a secret of this form; its padding may be missing. Raises InvalidInput, which does not repeat it."""
    text = secret.removeprefix(_PREFIX).rstrip("=")
    try:
        key = base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if not secret.startswith(_PREFIX) or not _SHORTEST_KEY_BYTES <= len(key) <= _LONGEST_KEY_BYTES:
        raise InvalidInput(
            f"secret: is not {_PREFIX} and {_SHORTEST_KEY_BYTES} to {_LONGEST_KEY_BYTES} bytes in base64; "
            "take what the sender shows, or leave it out to have one made",
            field="secret",
        )
    return key


def sign(secrets: Iterable[str], message_id: str, sent_at_s: int, body: bytes) -> dict[str, str]:
    """The three headers of a message, signed by each secret: the receiver needs one of them. Raises InvalidInput."""
    if not _ID.fullmatch(message_id):
        raise InvalidInput("webhook id: is not 1 to 200 printable ASCII characters", field="id")
    said = _signed_content(message_id, str(sent_at_s), body)
    return {
        ID_HEADER: message_id,
        TIME_HEADER: str(sent_at_s),
        SIGNATURE_HEADER: " ".join(f"{_VERSION},{_signature(key_of(secret), said)}" for secret in secrets),
    }


def verify(secrets: Iterable[str], headers: Mapping[str, str], body: bytes, *, now_s: float) -> Signed:
    """What the headers, by lower-case name, say of a body, if one of the secrets signed it within five minutes of now_s.

    Raises NotSigned.
    """
    message_id, time, given = (headers.get(name, "") for name in (ID_HEADER, TIME_HEADER, SIGNATURE_HEADER))
    if not _ID.fullmatch(message_id) or not _SECONDS.fullmatch(time) or not given:
        raise NotSigned(f"{ID_HEADER}, {TIME_HEADER} or {SIGNATURE_HEADER} is missing, or not what it should be")
    if not _any_matches(secrets, _signed_content(message_id, time, body), given):
        raise NotSigned(f"{SIGNATURE_HEADER}: no signature in it is right")
    if abs(now_s - int(time)) > TOLERANCE_S:
        raise NotSigned(f"{TIME_HEADER}: is more than {TOLERANCE_S} s from now; sign each try anew")
    return Signed(message_id, int(time))


def _any_matches(secrets: Iterable[str], said: bytes, given: str) -> bool:
    """Whether one of the signatures in a header is one of the secrets'; all are compared, each in constant time."""
    parts = [part.partition(",") for part in given.split(" ", _MOST_SIGNATURES)[:_MOST_SIGNATURES]]
    claimed = [text.encode() for version, _, text in parts if version == _VERSION]
    found = False
    for secret in secrets:
        right = _signature(key_of(secret), said).encode()
        for signature in claimed:
            found |= hmac.compare_digest(signature, right)
    return found


def _signed_content(message_id: str, time: str, body: bytes) -> bytes:
    return b".".join((message_id.encode(), time.encode(), body))


def _signature(key: bytes, said: bytes) -> str:
    return base64.b64encode(hmac.digest(key, said, hashlib.sha256)).decode()
