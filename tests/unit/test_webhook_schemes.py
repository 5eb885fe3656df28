"""Each service's way to sign: what it sends is taken, and nothing that differs from it."""

import base64
import hashlib
import hmac

import pytest

from gateways.webhooks.errors import NotSigned
from gateways.webhooks.schemes import Request, SchemeName, Settings, new_secret, scheme_of
from jobs_core import InvalidInput
from tests.support.webhooks import PLAIN_SECRET, SIGNING_SECRET, mac, standard

NOW = 1_790_000_000
BODY = b'{"a": 1}'
OWN = Settings(header="X-Own", prefix="v0=", algorithm="sha512", encoding="base64", id_header="X-Own-Id")
SHA512 = base64.b64encode(hmac.digest(PLAIN_SECRET.encode(), BODY, hashlib.sha512)).decode()
NONE = Settings()

SENT: dict[str, tuple[SchemeName, Settings, str, dict[str, str], str | None]] = {
    "standard": (
        "standard",
        NONE,
        SIGNING_SECRET,
        standard(BODY, message_id="msg_1", at=NOW),
        "msg_1",
    ),
    "github": (
        "github",
        NONE,
        PLAIN_SECRET,
        {"x-hub-signature-256": f"sha256={mac(BODY)}", "x-github-delivery": "72d3162e"},
        "72d3162e",
    ),
    "gitlab, token": (
        "gitlab",
        NONE,
        PLAIN_SECRET,
        {"x-gitlab-token": PLAIN_SECRET, "idempotency-key": "f5e5", "x-gitlab-event-uuid": "shared"},
        "f5e5",
    ),
    "gitlab before 17.4": (
        "gitlab",
        NONE,
        PLAIN_SECRET,
        {"x-gitlab-token": PLAIN_SECRET, "x-gitlab-event-uuid": "shared"},
        None,
    ),
    "gitlab, signed": (
        "gitlab",
        NONE,
        SIGNING_SECRET,
        {"idempotency-key": "f5e5", **standard(BODY, message_id="f5e5", at=NOW)},
        "f5e5",
    ),
    "jira": (
        "jira",
        NONE,
        PLAIN_SECRET,
        {"x-hub-signature": f"sha256={mac(BODY)}", "x-atlassian-webhook-identifier": "j1"},
        "j1",
    ),
    "taiga": ("taiga", NONE, PLAIN_SECRET, {"x-taiga-webhook-signature": mac(BODY, "sha1")}, None),
    "hmac": ("hmac", OWN, PLAIN_SECRET, {"x-own": f"v0={SHA512}", "x-own-id": "o1"}, "o1"),
    "bearer": ("bearer", NONE, PLAIN_SECRET, {"authorization": f"bearer {PLAIN_SECRET}"}, None),
    "bearer elsewhere": ("bearer", Settings(header="X-Key"), PLAIN_SECRET, {"x-key": PLAIN_SECRET}, None),
}


def id_of(case: str, headers: dict[str, str], body: bytes = BODY, secrets: list[str] | None = None) -> str | None:
    name, settings, secret, _, _ = SENT[case]
    shown = Request(headers, body, NOW)
    return scheme_of(name, settings).id_of([secret] if secrets is None else secrets, shown)


@pytest.mark.parametrize("case", SENT)
def test_what_a_service_sends_is_taken_under_its_id(case: str) -> None:
    _, _, secret, headers, expected = SENT[case]
    assert id_of(case, headers) == expected
    assert id_of(case, headers, secrets=[new_secret(SENT[case][0]), secret]) == expected


@pytest.mark.parametrize("case", SENT)
def test_another_secret_or_none_is_refused(case: str) -> None:
    _, _, secret, headers, _ = SENT[case]
    other = new_secret("standard") if secret.startswith("whsec_") else new_secret("github")
    for secrets in ([], [other]):
        with pytest.raises(NotSigned):
            id_of(case, headers, secrets=secrets)


@pytest.mark.parametrize("case", SENT)
def test_without_its_header_or_with_another_value_it_is_refused(case: str) -> None:
    name, settings, _, headers, _ = SENT[case]
    for header in scheme_of(name, settings).secret_headers:
        if header not in headers:
            continue
        cut, value = {key: text for key, text in headers.items() if key != header}, headers[header]
        for odd in (
            cut,
            cut | {header: ""},
            cut | {header: value[:-1]},
            cut | {header: f"{value}é"},
            cut | {header: "é"},
        ):
            with pytest.raises(NotSigned):
                id_of(case, odd)


@pytest.mark.parametrize(
    "case", [case for case in SENT if "bearer" not in case and "token" not in case and "before" not in case]
)
def test_another_body_is_refused_where_the_body_is_signed(case: str) -> None:
    with pytest.raises(NotSigned):
        id_of(case, SENT[case][3], b'{"a": 2}')


def test_a_signature_of_another_kind_is_not_one() -> None:
    """Jira's header takes only SHA-256, and GitHub's older header of SHA-1 is not looked at."""
    for case, headers in (
        ("jira", {"x-hub-signature": f"sha1={mac(BODY, 'sha1')}"}),
        ("github", {"x-hub-signature": f"sha1={mac(BODY, 'sha1')}"}),
        ("taiga", {"x-taiga-webhook-signature": mac(BODY)}),
        ("gitlab, signed", {"x-gitlab-token": SIGNING_SECRET}),
    ):
        with pytest.raises(NotSigned):
            id_of(case, headers)


def test_an_id_that_is_none_is_refused() -> None:
    right = SENT["github"][3]
    for odd in ("x" * 201, "é", "a\tb"):
        with pytest.raises(NotSigned):
            id_of("github", right | {"x-github-delivery": odd})


def test_secrets_that_could_be_guessed_or_not_be_sent_are_refused_and_not_repeated() -> None:
    names: tuple[SchemeName, ...] = ("github", "gitlab", "jira", "taiga", "bearer")
    for name in names:
        scheme = scheme_of(name, NONE)
        scheme.check_secret(new_secret(name))
        for odd in ("hunter2", "a\nsecret for tests", "ein Geheimnis für uns", "x" * 501):
            with pytest.raises(InvalidInput) as refused:
                scheme.check_secret(odd)
            assert odd not in str(refused.value)
    with pytest.raises(InvalidInput, match="whsec_"):
        scheme_of("gitlab", NONE).check_secret("whsec_short")


def test_settings_are_for_the_schemes_that_have_them() -> None:
    odd: tuple[tuple[SchemeName, Settings], ...] = (
        ("standard", OWN),
        ("github", Settings(header="x")),
        ("bearer", Settings(algorithm="sha1")),
    )
    for name, settings in odd:
        with pytest.raises(InvalidInput, match="has no such setting"):
            scheme_of(name, settings)
    with pytest.raises(InvalidInput, match="is missing"):
        scheme_of("hmac", NONE)


def test_a_header_that_holds_the_secret_names_no_event() -> None:
    """An event's id is listed, and a token would be it."""
    for settings in (Settings(id_header="Authorization"), Settings(header="X-Key", id_header="x-key")):
        with pytest.raises(InvalidInput, match="holds the secret"):
            scheme_of("bearer", settings)


def test_a_token_that_no_header_can_send_is_refused() -> None:
    names: tuple[SchemeName, ...] = ("gitlab", "bearer")
    for name in names:
        with pytest.raises(InvalidInput, match="space"):
            scheme_of(name, NONE).check_secret(f"{PLAIN_SECRET} ")
