"""Standard Webhooks, with the package of those who specified it as the other side."""

import base64
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks import Webhook, WebhookVerificationError

from gateways.webhooks import signing
from gateways.webhooks.errors import NotSigned
from jobs_core import InvalidInput

NOW = 1_790_000_000
OLD, NEW = signing.new_secret(), signing.new_secret()
BODY = '{"type": "ticket.created", "ü": "✓"}'.encode()


def theirs(secret: str, body: bytes = BODY, *, message_id: str = "msg_1", at: int = NOW) -> dict[str, str]:
    """What the other side sends."""
    signature = Webhook(secret).sign(message_id, datetime.fromtimestamp(at, UTC), body.decode())
    return {"webhook-id": message_id, "webhook-timestamp": str(at), "webhook-signature": signature}


@given(st.text(), st.from_regex(r"\A[!-~]{1,200}\Z"))
def test_what_the_other_side_signs_is_right_here(text: str, message_id: str) -> None:
    body = text.encode(errors="replace")
    signed = signing.verify([NEW], theirs(NEW, body, message_id=message_id), body, now_s=NOW)
    assert signed == signing.Signed(message_id, NOW)


def test_what_is_signed_here_is_right_at_the_other_side() -> None:
    now = int(datetime.now(UTC).timestamp())
    headers = signing.sign([OLD, NEW], "msg_1", now, BODY)
    for secret in (OLD, NEW):
        assert Webhook(secret).verify(BODY, headers) == {"type": "ticket.created", "ü": "✓"}
    with pytest.raises(WebhookVerificationError):
        Webhook(signing.new_secret()).verify(BODY, headers)


def test_while_a_secret_is_replaced_either_will_do() -> None:
    for secret in (OLD, NEW):
        assert signing.verify([NEW, OLD], theirs(secret), BODY, now_s=NOW).id == "msg_1"
    with pytest.raises(NotSigned, match="no signature"):
        signing.verify([NEW], theirs(OLD), BODY, now_s=NOW)


@pytest.mark.parametrize("off_s", [-300, 300])
def test_a_time_five_minutes_off_is_taken(off_s: int) -> None:
    assert signing.verify([NEW], theirs(NEW), BODY, now_s=NOW + off_s)


@pytest.mark.parametrize("off_s", [-301, 301, 10**9])
def test_a_time_further_off_is_not(off_s: int) -> None:
    with pytest.raises(NotSigned, match="more than 300 s"):
        signing.verify([NEW], theirs(NEW), BODY, now_s=NOW + off_s)


def test_nothing_that_was_signed_can_be_changed() -> None:
    right = theirs(NEW)
    changed = [
        right | {"webhook-id": "msg_2"},
        right | {"webhook-timestamp": str(NOW + 1)},
        right | {"webhook-signature": right["webhook-signature"].replace("v1,", "v2,")},
        right | {"webhook-signature": right["webhook-signature"].replace("v1,", "v1a,")},
        right | {"webhook-signature": right["webhook-signature"][:-1]},
    ]
    for headers in changed:
        with pytest.raises(NotSigned, match="no signature"):
            signing.verify([NEW], headers, BODY, now_s=NOW)
    with pytest.raises(NotSigned, match="no signature"):
        signing.verify([NEW], right, BODY + b" ", now_s=NOW)


@pytest.mark.parametrize("header", ["webhook-id", "webhook-timestamp", "webhook-signature"])
@pytest.mark.parametrize("value", [None, "", "\xa0", " 1790000000", "1e9", "-1", "١", "9" * 13, "a\nb"])
def test_headers_that_are_missing_or_odd_are_refused(header: str, value: str | None) -> None:
    headers = theirs(NEW)
    del headers[header]
    with pytest.raises(NotSigned):
        signing.verify([NEW], headers | ({header: value} if value is not None else {}), BODY, now_s=NOW)


def test_of_a_flood_of_signatures_the_first_twenty_are_looked_at() -> None:
    headers = theirs(NEW)
    right, wrong = headers["webhook-signature"], "v1,AAAA"
    headers["webhook-signature"] = " ".join([*[wrong] * 19, right, *[wrong] * 5])
    assert signing.verify([NEW], headers, BODY, now_s=NOW)
    headers["webhook-signature"] = " ".join([*[wrong] * 20, right])
    with pytest.raises(NotSigned):
        signing.verify([NEW], headers, BODY, now_s=NOW)


def test_a_source_without_a_valid_secret_takes_nothing() -> None:
    with pytest.raises(NotSigned):
        signing.verify([], theirs(NEW), BODY, now_s=NOW)


def test_secrets_are_read_with_and_without_padding_and_those_of_other_forms_refused() -> None:
    key = b"k" * 25
    secret = "whsec_" + base64.b64encode(key).decode()
    assert signing.key_of(secret) == signing.key_of(secret.rstrip("=")) == key
    assert len(signing.key_of(signing.new_secret())) == 32
    for odd in ("", "hunter2", "whsec_", "whsec_aGk=", secret.removeprefix("whsec_"), "whsec_" + "?" * 40, "whsec_é"):
        with pytest.raises(InvalidInput) as refused:
            signing.key_of(odd)
        assert not odd.removeprefix("whsec_") or odd not in str(refused.value)


def test_an_id_that_no_header_can_hold_is_not_signed() -> None:
    for odd in ("", "a b", "a\nb", "é", "x" * 201):
        with pytest.raises(InvalidInput, match="printable"):
            signing.sign([NEW], odd, NOW, BODY)
