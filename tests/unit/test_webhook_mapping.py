"""What is made of an event, and what is kept of its headers."""

from typing import Any

import pytest

from gateways.webhooks.errors import NotMapped
from gateways.webhooks.making import kept, read_event
from gateways.webhooks.mapping import Event, Mapping, check_mapping, job_of
from jobs_core import InvalidInput, NewJob

EVENT = Event(
    "tracker",
    "e1",
    {"x-github-event": "issues"},
    {
        "action": "opened",
        "issue": {"id": 7, "title": "It broke", "labels": [{"name": "a"}, {"name": "b"}]},
        "job_type": "evil",
    },
)


def made(**mapping: Any) -> NewJob | None:
    return job_of(check_mapping(mapping), "note", EVENT)


def test_texts_are_expressions_and_all_else_is_itself() -> None:
    template = {
        "title": "body.issue.title",
        "labels": "body.issue.labels[].name",
        "nested": {"event": 'headers."x-github-event"', "list": ["id", "source", "'as it stands'", 3, True, None]},
        "missing": "body.nothing.here",
    }
    job = made(input=template)
    assert job
    assert job.input == {
        "title": "It broke",
        "labels": ["a", "b"],
        "nested": {"event": "issues", "list": ["e1", "tracker", "as it stands", 3, True, None]},
        "missing": None,
    }


def test_without_a_mapping_the_body_is_the_input() -> None:
    job = made()
    assert job
    assert job.input == EVENT.body


def test_the_type_is_the_sources_whatever_an_event_says() -> None:
    for mapping in ({}, {"input": "body"}, {"input": {"job_type": "body.job_type"}}):
        job = made(**mapping)
        assert job
        assert job.job_type == "note"
    with pytest.raises(InvalidInput, match="job_type"):
        check_mapping({"job_type": "body.job_type"})


@pytest.mark.parametrize(
    ("expression", "is_made"),
    [
        ("body.action == 'opened'", True),
        ("body.action == 'closed'", False),
        ("body.nothing", False),
        ("`[]`", False),
        ("`{}`", False),
        ("''", False),
        ("`0`", True),
        ("body.issue.labels", True),
    ],
)
def test_a_filter_is_true_as_jmespath_has_it(expression: str, *, is_made: bool) -> None:
    assert (made(filter=expression) is not None) is is_made


def test_keys_and_users_are_texts_or_whole_numbers_or_left_out() -> None:
    job = made(user_id="body.issue.id", unique_key="body.nothing", idempotency_key="join('/', [source, id])")
    assert job
    assert (job.user_id, job.unique_key, job.idempotency_key) == ("7", None, "tracker/e1")
    for odd in ("body.issue", "body.issue.labels", "`true`", "`1.5`"):
        with pytest.raises(NotMapped, match="not a text"):
            made(user_id=odd)


@pytest.mark.parametrize(
    "expression",
    ["length(body.issue.id)", "no_such(@)", '`"x"` < `1` && sum(body)', "body.issue.title", "sum(body.issue.labels)"],
)
def test_an_expression_that_fails_is_named(expression: str) -> None:
    with pytest.raises(NotMapped, match="input"):
        made(input=expression)
    with pytest.raises(NotMapped, match=r"input.a.1|input: is"):
        made(input={"a": [1, expression]}) if "title" not in expression else made(input=expression)


@pytest.mark.parametrize(
    ("mapping", "place"),
    [
        ({"filter": "body..x"}, "mapping.filter"),
        ({"filter": ""}, "mapping.filter"),
        ({"input": {"a": ["body.["]}}, "mapping.input"),
        ({"input": 3}, "mapping.input"),
        ({"user_id": 7}, "mapping.user_id"),
        ({"lane": "body.id"}, "mapping.lane"),
        ([], "mapping"),
        ({"filter": "x" * 5000}, "mapping.filter"),
        ({"filter": "(" * 2000}, "mapping.filter"),
    ],
)
def test_a_mapping_that_is_none_is_refused_by_its_place(mapping: Any, place: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        check_mapping(mapping)
    assert refused.value.field.startswith(place)


def test_nothing_of_an_events_text_is_ever_an_expression() -> None:
    hostile = Event("s", "e", {}, {"text": "body.secret", "secret": "hidden"})
    job = job_of(Mapping(input={"text": "body.text"}), "note", hostile)
    assert job
    assert job.input == {"text": "body.secret"}


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"3",
        b'"text"',
        b"null",
        b'{"a": "\\u0000"}',
        b'{"a": "\\ud800"}',
        b'{"a": 1e400}',
        b"[" * 70 + b"]" * 70,
    ],
)
def test_a_body_that_is_no_json_object_or_array_is_no_event(body: bytes) -> None:
    with pytest.raises(InvalidInput):
        read_event("s", "e", {}, body)


def test_a_form_is_told_what_its_sender_must_change() -> None:
    """GitHub sends one unless its webhook's content type is set; a body that is JSON counts as it, whatever it is called."""
    form = {"content-type": "application/x-www-form-urlencoded"}
    with pytest.raises(InvalidInput, match="application/json"):
        read_event("s", "e", form, b"payload=%7B%22action%22%3A1%7D")
    assert read_event("s", "e", form, b'{"action": 1}').body == {"action": 1}


def test_headers_are_kept_that_say_what_it_is_and_none_that_shows_a_secret() -> None:
    shown = {"x-github-event": "push", "content-type": "application/json", "idempotency-key": "k", "webhook-id": "w"}
    hidden = {
        "authorization": "Bearer x",
        "cookie": "a=b",
        "x-api-key": "x",
        "x-gitlab-token": "x",
        "x-hub-signature-256": "x",
        "x-forwarded-for": "10.0.0.1",
        "x-real-ip": "10.0.0.1",
        "x-own": "x",
        "x-goog-iap-jwt-assertion": "x",
        "x-amzn-oidc-data": "x",
        "x-session-id": "x",
        "x-user-credential": "x",
        "host": "x",
        f"x-{'a' * 2_000}": "x",
    }
    assert kept(shown | hidden, secret=["x-own"]) == shown
    assert len(kept({f"x-{n}": "v" * 9_999 for n in range(500)}, secret=[])) == 40
